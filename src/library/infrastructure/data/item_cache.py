"""The keyed cache of a memory unit: least recently used items go first, and items may expire."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

from library.infrastructure.data.errors import InvalidOptionError
from library.infrastructure.data.fork_safety import reset_after_fork
from library.infrastructure.data.isolation import IMMUTABLE

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable


class Missing(Enum):
    """The type of `MISSING`, which says that a key has no item; `None` may be one."""

    MISSING = "missing"


MISSING: Final = Missing.MISSING


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheInfo:
    """What a keyed cache has counted since its unit was opened."""

    hits: int
    """Lookups that found an item."""
    misses: int
    """Lookups that found none, or one that had expired."""
    evictions: int
    """Items that went because there were more than `max_size`."""
    size: int
    """Items held now; those that have expired count until they are looked up or evicted."""
    max_size: int
    """The `cache_size` of the config."""


class ItemCache:
    """A bounded map from keys to values, safe to use from any thread."""

    def __init__(self, max_size: int, clock: Callable[[], float], isolate: Callable[[Any], Any]) -> None:
        """Start empty.

        Args:
            max_size: the most items to hold, from 1 up.
            clock: seconds, from a clock that never goes back.
            isolate: copies what goes in and out; returns the very object if it need not be copied.

        """
        self._max_size = max_size
        self._clock = clock
        self.isolate = isolate
        self.entries: OrderedDict[Hashable, tuple[Any, float | None, bool]] = OrderedDict()
        """By key: the item, when it expires, and whether the object itself may be given; oldest first."""
        self.touch = self.entries.move_to_end
        self.hits = self.misses = self._evictions = 0
        self.reset_after_fork()
        reset_after_fork(self)

    def reset_after_fork(self) -> None:
        """Replace the lock; the items stay."""
        self._guard = threading.RLock()

    def find(self, key: Hashable) -> Any:
        """Return the value under `key`, or `MISSING`; a hit takes no lock."""
        items = self.entries
        try:
            found = items.get(key)
            if found is None:
                self.misses += 1
                return MISSING
            kept, expires_at, shared = found
            if expires_at is None or self._clock() < expires_at:
                self.touch(key)
                self.hits += 1
                return kept if shared else self.isolate(kept)
        except KeyError:
            self.misses += 1
            return MISSING
        except TypeError as error:
            raise unhashable(key) from error
        self.misses += 1
        self.discard(key)
        return MISSING

    def peek(self, key: Hashable) -> Any:
        """Return what is under `key`, or `MISSING`; that counts neither as a use nor as a lookup."""
        kept, expires_at, _ = self.entries.get(key, (MISSING, None, True))
        return kept if expires_at is None or self._clock() < expires_at else MISSING

    def store(self, key: Hashable, value: Any, ttl: float | None) -> None:
        """Put `value` under `key` for `ttl` seconds, or until it is evicted.

        Raises:
            InvalidOptionError: `key` cannot be hashed, or `ttl` is not a number above 0.

        """
        expires_at = None if ttl is None else self._clock() + check_ttl(ttl)
        kept = value if type(value) in IMMUTABLE else self.isolate(value)
        items = self.entries
        guard = self._guard
        guard.acquire()  # without `with`, which takes as long as what it guards
        try:
            items[key] = (kept, expires_at, kept is value)
            self.touch(key)
            if len(items) > self._max_size:
                items.popitem(last=False)
                self._evictions += 1
        except TypeError as error:
            raise unhashable(key) from error
        finally:
            guard.release()

    def discard(self, key: Hashable) -> bool:
        """Remove the item under `key`; tell whether there was one."""
        try:
            with self._guard:
                return self.entries.pop(key, None) is not None
        except TypeError as error:
            raise unhashable(key) from error

    def clear(self) -> None:
        """Remove all items; the counts stay."""
        with self._guard:
            self.entries.clear()

    def reset_counts(self) -> None:
        """Count from 0 again."""
        self.hits = self.misses = self._evictions = 0

    def info(self) -> CacheInfo:
        """Return the counts."""
        return CacheInfo(
            hits=self.hits,
            misses=self.misses,
            evictions=self._evictions,
            size=len(self.entries),
            max_size=self._max_size,
        )


def check_ttl(ttl: float) -> float:
    """Return `ttl` if it is a time to live.

    Raises:
        InvalidOptionError: it is not a number above 0.

    """
    if isinstance(ttl, int | float) and not isinstance(ttl, bool) and 0 < ttl < float("inf"):
        return ttl
    message = f"ttl must be a number of seconds above 0, not {ttl!r}"
    raise InvalidOptionError(message, option="ttl")


def unhashable(key: object) -> InvalidOptionError:
    """Build the error for a key of a wrong type."""
    message = f"a key must be hashable, and an object of type {type(key).__name__} is not"
    return InvalidOptionError(message, option="key")
