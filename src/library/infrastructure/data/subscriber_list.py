"""Who is subscribed to a stream: weak references, so that a forgotten subscription ends by itself."""

from __future__ import annotations

import sys
import weakref
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from library.infrastructure.data.subscription import Subscription

_References = dict[int, "weakref.ref[Subscription]"]


class SubscriberList:
    """The subscriptions of one stream; used under the stream's lock."""

    def __init__(self, when_forgotten: Callable[[], None]) -> None:
        """Start empty.

        Args:
            when_forgotten: a method, called when a subscription was collected; its object is not kept alive.

        """
        self._all: _References = {}
        self._blocking: _References = {}
        self._when_forgotten = weakref.WeakMethod(when_forgotten)

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[Subscription]:
        return _living(self._all)

    def add(self, subscription: Subscription) -> None:
        """Take a subscription in."""
        key = id(subscription)
        subscribers, when_forgotten = weakref.ref(self), self._when_forgotten

        def forget(reference: weakref.ref[Subscription]) -> None:
            mine, call = subscribers(), when_forgotten()
            if mine is not None and mine._all.get(key) is reference:
                mine._drop(key)
                if call is not None:
                    call()

        self._all[key] = reference = weakref.ref(subscription, forget)
        if subscription._blocks:
            self._blocking[key] = reference

    def remove(self, subscription: Subscription) -> None:
        """Take a subscription out; does nothing if that was done."""
        self._drop(id(subscription))

    def remove_late(self) -> bool:
        """Take those out who fell behind and are to be disconnected for it; tell whether there were any."""
        late = [each for each in self if each._is_late]
        for subscription in late:
            self.remove(subscription)
        return bool(late)

    def clear(self) -> None:
        """Take all out."""
        self._all.clear()
        self._blocking.clear()

    def room(self) -> int:
        """Return how many messages fit until the first reader that blocks is full."""
        return min((each._room for each in _living(self._blocking)), default=sys.maxsize)

    def count_full(self) -> int:
        """Count the readers that block and are full."""
        return sum(not each._room for each in _living(self._blocking))

    def _drop(self, key: int) -> None:
        self._all.pop(key, None)
        self._blocking.pop(key, None)


def _living(references: _References) -> Iterator[Subscription]:
    for reference in list(references.values()):
        subscription = reference()
        if subscription is not None:
            yield subscription
