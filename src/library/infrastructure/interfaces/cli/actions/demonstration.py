"""`demo`: a new database with something in it to search."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from library.infrastructure.data import ConversationHistoryUnit, SessionConfig, SessionManager
from library.infrastructure.interfaces.cli import inventory
from library.infrastructure.interfaces.cli.actions.demo_script import begins, exchanges, read_scripts
from library.infrastructure.interfaces.cli.exit_codes import Failure
from library.infrastructure.interfaces.cli.opening import adapter_of, table_of
from library.infrastructure.interfaces.cli.output.local_time import count

if TYPE_CHECKING:
    from library.infrastructure.data import DatabaseAdapter
    from library.infrastructure.interfaces.cli.job import Job

_DEFAULT: Final = "nanobrain-demo.db"


def demo(job: Job) -> None:
    """Make the database, and say what to try on it."""
    job.settings.database = place = job.settings.database or _DEFAULT
    adapter = adapter_of(job)
    file = inventory.file_of(adapter)
    if file is None or file.exists():
        what = "a database in memory would be gone at once" if file is None else f"{file} exists"
        raise Failure(f"{what}: name a new file with --database, and nothing of yours is touched")
    try:
        conversations, saved = job.run(_fill(job, adapter))
    except BaseException:
        for part in (file, Path(f"{file}-wal"), Path(f"{file}-shm")):
            part.unlink(missing_ok=True)  # which was made a moment ago
        raise
    facts = {"database": adapter.url, "conversations": conversations, "exchanges": saved}
    job.presenter.outcome(
        f"{place} has {count(saved, 'exchange')} of {count(conversations, 'conversation')}. Try:", facts
    )
    if job.presenter.is_for_people:
        for command in ("search oat milk", "show trip/lisbon", "stats"):
            job.say(f"  nanobrain-data {command} --database {place}")


async def _fill(job: Job, adapter: DatabaseAdapter) -> tuple[int, int]:
    """Save conversations, and a session for each user.

    Returns:
        How many conversations and exchanges were saved.

    """
    scripts = read_scripts()
    now = datetime.now().astimezone()
    moment = now
    config = SessionConfig(cleanup_interval=None)
    async with (
        adapter,
        ConversationHistoryUnit(adapter, table_of(job.settings, "conversations")) as history,
        SessionManager(config, adapter, clock=lambda: moment) as sessions,
    ):
        ids = {}
        for script in scripts:
            moment = begins(script, now)
            ids[script.user] = await sessions.create_session(script.user, {"client": "demo"})
        saved = await history.save_messages_batch(exchanges(scripts, ids, now))
    return len(scripts), len(saved)
