"""How often a save waits for the disk: fsync and fdatasync, counted by strace in a process of its own."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks._harness import ROOT
from benchmarks.history_floors import open_stdlib, save_with_stdlib
from benchmarks.history_setup import open_unit
from benchmarks.history_texts import RealTexts

FEW, MANY = 50, 250


def fsyncs_a_save(kind: str, folder: str) -> float | None:
    """Return the fsyncs of 200 saves divided by 200, or `None` where strace is absent or forbidden.

    What opening and closing cost is taken away: 250 saves less 50 saves. A checkpoint among them counts.
    """
    strace = shutil.which("strace")
    if strace is None or subprocess.run([strace, "-c", "true"], check=False, capture_output=True).returncode:
        return None
    counts = []
    for saves in (FEW, MANY):
        with tempfile.TemporaryDirectory(dir=folder) as own:
            report = Path(own, "report")
            command = [strace, "-f", "-c", "-o", str(report), "-e", "trace=fsync,fdatasync", sys.executable]
            command += ["-m", "benchmarks.history_fsync", kind, str(Path(own, "history.db")), str(saves)]
            subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL, timeout=120)
            lines = [line.split() for line in report.read_text().splitlines()]
            counts.append(sum(int(line[3]) for line in lines if line and line[-1] in {"fsync", "fdatasync"}))
    return (counts[1] - counts[0]) / (MANY - FEW)


async def save_ours(path: str, saves: int) -> None:
    texts = RealTexts()
    async with open_unit(path) as (unit, _):
        for exchange in texts.take(saves, "one"):
            await unit.save_message(exchange.message())


def save_floor(path: str, saves: int) -> None:
    connection = open_stdlib(path)
    for exchange in RealTexts().take(saves, "one"):
        save_with_stdlib(connection, exchange)
    connection.close()


if __name__ == "__main__":
    if sys.argv[1] == "ours":
        asyncio.run(save_ours(sys.argv[2], int(sys.argv[3])))
    else:
        save_floor(sys.argv[2], int(sys.argv[3]))
