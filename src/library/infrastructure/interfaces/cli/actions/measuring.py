"""`stats`: how much was said, and how long responses took."""

from __future__ import annotations

from datetime import date, datetime, time
from typing import TYPE_CHECKING

from library.infrastructure.interfaces.cli.exit_codes import NotFound
from library.infrastructure.interfaces.cli.opening import reading

if TYPE_CHECKING:
    from library.infrastructure.data import PerformanceMetrics
    from library.infrastructure.interfaces.cli.job import Job


def stats(job: Job, since: date | None, conversation: str | None) -> None:
    """Print counts, percentiles and charts."""
    metrics = job.run(_measure(job, None if since is None else start_of(since), conversation))
    if conversation is not None and not metrics.count and since is None:
        raise NotFound(f"no conversation {conversation!r}: `nanobrain-data list` shows what there is")
    job.presenter.metrics(metrics)
    if not metrics.count:
        job.say("no exchanges")


async def _measure(job: Job, since: datetime | None, conversation: str | None) -> PerformanceMetrics:
    async with reading(job) as history:
        with job.waiting("measuring"):
            return await history.get_performance_metrics(conversation, since)


def start_of(moment: date) -> datetime:
    """Return when a day begins, in local time; a moment is what it is."""
    return moment if isinstance(moment, datetime) else datetime.combine(moment, time()).astimezone()
