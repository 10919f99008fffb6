"""What the tests of single units share."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def in_thread() -> Iterator[Callable[..., Future[Any]]]:
    """Run a function in a thread of its own; the threads are joined at the end of the test."""
    threads: list[threading.Thread] = []

    def in_thread(function: Callable[..., Any], *arguments: object) -> Future[Any]:
        result: Future[Any] = Future()

        def work() -> None:
            try:
                result.set_result(function(*arguments))
            except BaseException as error:  # noqa: BLE001 - it is raised where the result is asked for
                result.set_exception(error)

        threads.append(threading.Thread(target=work))
        threads[-1].start()
        return result

    yield in_thread
    for thread in threads:
        thread.join(timeout=60)
        assert not thread.is_alive()
