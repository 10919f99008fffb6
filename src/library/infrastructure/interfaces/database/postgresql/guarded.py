"""Calling those who give rows to an import, or take them from an export, in a worker's thread.

What they raise ends the transaction, and comes out as it is: it is wrapped on its way, lest it be taken for
an error of the database.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from library.infrastructure.data.worker import run_in_worker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

P = ParamSpec("P")
T = TypeVar("T")


class _Wrapped(Exception):  # noqa: N818 - never seen by users
    """Carries what somebody else raised."""

    def __init__(self, error: Exception) -> None:
        super().__init__(error)
        self.error = error


async def call_guarded(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call somebody else's code in a worker's thread, within a transaction; see `raised_as_it_was`."""

    def guarded() -> T:
        try:
            return call(*args, **kwargs)
        except Exception as error:
            raise _Wrapped(error) from error

    return await run_in_worker(guarded)


@contextmanager
def raised_as_it_was() -> Iterator[None]:
    """Raise what such a call raised, once the transaction has ended."""
    try:
        yield
    except _Wrapped as wrapped:
        raise wrapped.error from wrapped.error.__cause__
