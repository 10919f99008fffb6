"""Exporting to each own format, against the least code that gets the same rows out of the same file.

For JSON that is reading them: `for row in cursor: pass`. For the others it is the library that people write
such files with, fed from the cursor; none of these does a conversion that its format does not force on it.
Ours writes into a new file, which is brought to the disk and renamed; the floors write and close.
"""

from __future__ import annotations

import csv
from functools import partial
from itertools import islice
from time import perf_counter
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import XMLGenerator
from xml.sax.xmlreader import AttributesImpl

import pyarrow as pa
from benchmarks._harness import Section, in_turns, number, rate, run_async, times
from benchmarks.history_setup import open_unit
from benchmarks.history_texts import BATCH
from benchmarks.transfer_setup import (
    COLUMNS,
    CSV,
    JSON,
    JSONL,
    OWN,
    PACKED,
    PARQUET,
    XML,
    Form,
    megabytes,
    open_floor,
    read_all,
)
from pyarrow import parquet

from library.infrastructure.data import ExportManager

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    import apsw
    from benchmarks.transfer_setup import Options, Stock

READING = "floor: for row in cursor, apsw"
WRITEROWS = "floor: csv.writer.writerows(cursor)"
GENERATOR = "floor: XMLGenerator, from the cursor"
PYARROW = "floor: pyarrow ParquetWriter, from the cursor"
FLOORS = {JSON: READING, JSONL: READING, CSV: WRITEROWS, XML: GENERATOR, PARQUET: PYARROW}
BARS = {
    JSON: (0.4, "reading all rows"),
    JSONL: (0.4, "reading all rows"),
    CSV: (0.9, "csv.writer.writerows(cursor)"),
    XML: (1.2, "xml.sax.saxutils.XMLGenerator"),
    PARQUET: (0.9, "pyarrow ParquetWriter"),
}

NONE, NULL = AttributesImpl({}), AttributesImpl({"null": "true"})


def read_rows(connection: apsw.Connection, path: Path) -> None:
    for _ in read_all(connection):
        pass


def write_csv(connection: apsw.Connection, path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows(read_all(connection))


def write_xml(connection: apsw.Connection, path: Path) -> None:
    with path.open("wb") as file:
        xml = XMLGenerator(file, "utf-8")
        xml.startDocument()
        xml.startElement("conversations", NONE)
        for row in read_all(connection):
            xml.startElement("exchange", NONE)
            for name, value in zip(COLUMNS, row, strict=True):
                xml.startElement(name, NULL if value is None else NONE)
                if value is not None:
                    xml.characters(str(value))
                xml.endElement(name)
            xml.endElement("exchange")
        xml.endElement("conversations")
        xml.endDocument()


def write_parquet(connection: apsw.Connection, path: Path) -> None:
    types = [
        pa.int64(),
        pa.string(),
        pa.timestamp("us", "UTC"),
        pa.string(),
        pa.string(),
        pa.float64(),
        pa.int64(),
        pa.string(),
    ]
    schema = pa.schema(list(zip(COLUMNS, types, strict=True)))
    cursor = read_all(connection)
    with parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        while rows := list(islice(cursor, BATCH)):
            columns = map(pa.array, zip(*rows, strict=True), types)
            writer.write_batch(pa.RecordBatch.from_arrays(list(columns), schema=schema))


async def measure(section: Section, stock: Stock, rounds: int, folder: Path) -> None:
    connection = open_floor(stock.database)
    files: dict[str, Path] = {}

    async def floor(name: str, suffix: str, write: Callable[[apsw.Connection, Path], None]) -> float:
        path = files[name] = folder / f"floor{suffix}"
        start = perf_counter()
        write(connection, path)
        return stock.rows / (perf_counter() - start)

    async with open_unit(stock.database) as (_, adapter):
        manager = ExportManager(adapter)

        async def ours(form: Form) -> float:
            path = files[form.name] = folder / form.file
            start = perf_counter()
            report = await manager.export_conversations(output_file=path)
            spent = perf_counter() - start
            assert report.written == stock.rows, report
            return stock.rows / spent

        contenders: dict[str, Callable[[], Awaitable[float]]] = {
            READING: partial(floor, READING, "", read_rows),
            WRITEROWS: partial(floor, WRITEROWS, ".csv", write_csv),
            GENERATOR: partial(floor, GENERATOR, ".xml", write_xml),
            PYARROW: partial(floor, PYARROW, ".parquet", write_parquet),
            **{form.name: partial(ours, form) for form in (*OWN, *PACKED)},
        }
        samples = await in_turns(contenders, rounds, sync=True)
    connection.close()
    table = section.table(
        f"Exporting {stock.rows:,} exchanges",
        "",
        "exchanges/s",
        "x",
        "of",
        "MB",
        note="from a file of ours; ours includes the fsync of the file and its folder, the floors do not",
    )

    def add(name: str, shown: str, base: str, *, is_floor: bool = False) -> None:
        size: Any = number(megabytes(files[name])) if files[name].exists() else ""
        ratio = "1.00x" if is_floor else times(samples.ratio(name, base))
        table.add(
            shown, rate(samples.median(name)), ratio, "" if is_floor else base.removeprefix("floor: "), size
        )

    for form in OWN:
        add(form.name, f"ExportManager, {form.name}", FLOORS[form])
        bar, of = BARS[form]
        section.at_least(f"export, {form.name}", bar, samples.ratio(form.name, FLOORS[form]), of)
    for form in PACKED:
        add(form.name, f"ExportManager, {form.name}", READING)
    for name in (READING, WRITEROWS, GENERATOR, PYARROW):
        add(name, name, name, is_floor=True)


def run(options: Options) -> Section:
    section = Section("export")
    stock, rounds = options.stock, 3 if options.quick else 5
    with options.new_folder() as folder:
        run_async(measure(section, stock, rounds, folder))
    return section
