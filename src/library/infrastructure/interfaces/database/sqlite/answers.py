"""Bringing answers from a thread to the tasks that wait for them, with one wake-up a loop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterable

Answer = tuple["asyncio.Future[Any]", Any]
"""A future of some loop, and its result, or the exception that it raises."""


def deliver(answers: Iterable[Answer]) -> None:
    """Complete futures, each in its own loop; those of a loop that was closed are left alone."""
    by_loop: dict[asyncio.AbstractEventLoop, list[Answer]] = {}
    for answer in answers:
        by_loop.setdefault(answer[0].get_loop(), []).append(answer)
    for loop, theirs in by_loop.items():
        try:
            loop.call_soon_threadsafe(_complete, theirs)
        except RuntimeError:  # the loop was closed, and its tasks with it: nobody waits
            continue


def _complete(answers: list[Answer]) -> None:
    for future, answer in answers:
        if future.done():
            continue
        if isinstance(answer, BaseException):
            future.set_exception(answer)
        else:
            future.set_result(answer)
