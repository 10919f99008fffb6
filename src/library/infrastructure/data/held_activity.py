"""Activity of sessions that is known in this process, but not written yet."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from library.infrastructure.data.fork_safety import reset_after_fork

if TYPE_CHECKING:
    from datetime import datetime

    from library.infrastructure.data.session_record import SessionRecord


@dataclass(slots=True, eq=False)
class HeldTouch:
    """What is known of one session."""

    session_id: str
    until: datetime
    """What was written as `alive_at`: activity up to then need not be written."""
    floor: datetime
    """What stood there before, where somebody else holds activity up to then; else long ago."""
    last_activity: datetime
    """When it was active last, as far as is known here."""
    is_open: bool = True
    """Whether more may be noted here: not any more once it is being written."""


class HeldActivity:
    """Holds the activity of many sessions; all may be called from any thread.

    What is held counts only while what was written for it stands: the records that are given here are those
    that were read, unchanged.
    """

    def __init__(self) -> None:
        """Begin with none."""
        self._guard = threading.Lock()
        self._touches: dict[str, HeldTouch] = {}
        reset_after_fork(self)

    def reset_after_fork(self) -> None:
        """Forget all: it is the parent that writes it."""
        self._guard = threading.Lock()
        self._touches = {}

    def __len__(self) -> int:
        """Count the sessions."""
        return len(self._touches)

    def note(self, record: SessionRecord, now: datetime) -> bool:
        """Take note of activity, if it need not be written; tell whether that is so."""
        with self._guard:
            touch = self._touches.get(record.session_id)
            if touch is None or not touch.is_open or now >= touch.until or record.alive_at < touch.until:
                return False
            touch.last_activity = max(touch.last_activity, now)
            return True

    def hold(self, record: SessionRecord, until: datetime, now: datetime) -> None:
        """Take note that `until` is written in the place of `record.alive_at`."""
        with self._guard:
            former = self._touches.get(record.session_id)
            floor, last_activity = record.alive_at, max(record.last_activity, now)
            if former is not None:
                last_activity = max(last_activity, former.last_activity)
                if former.until == record.alive_at:
                    floor = former.floor
            self._touches[record.session_id] = HeldTouch(record.session_id, until, floor, last_activity)

    def drop(self, session_id: str) -> None:
        """Forget the activity of a session: its time of activity is set by hand."""
        with self._guard:
            self._touches.pop(session_id, None)

    def close(self, session_id: str) -> HeldTouch | None:
        """Return what is held of a session, which takes no more notes from now on."""
        with self._guard:
            touch = self._touches.get(session_id)
            if touch is not None:
                touch.is_open = False
            return touch

    def exactly(self, record: SessionRecord) -> SessionRecord:
        """Return a session that was read with what is known here beyond that."""
        touch = self._touches.get(record.session_id)
        if touch is None or record.alive_at < touch.until:
            return record
        last_activity = max(record.last_activity, touch.last_activity)
        if record.alive_at > touch.until:  # somebody else has written since, and knows more
            return record.alive_since(last_activity, record.alive_at)
        return record.alive_since(last_activity, max(last_activity, touch.floor))

    def has_idle(self, cutoff: datetime) -> bool:
        """Tell whether a session was last active at `cutoff` or before: what is written may not tell."""
        with self._guard:
            return any(touch.last_activity <= cutoff for touch in self._touches.values())

    def is_due(self, now: datetime | None) -> bool:
        """Tell whether there is anything for `begin_writing(now, again=True)`."""
        with self._guard:
            return any(now is None or touch.until <= now for touch in self._touches.values())

    def begin_writing(self, now: datetime | None = None, *, again: bool = False) -> list[HeldTouch]:
        """Return what is held, which takes no more notes from now on.

        Args:
            now: only that of which no more can be noted anyway, since its time is over; `None`: all.
            again: whether what was returned before is returned again: it may not have been written after all.

        """
        with self._guard:
            touches = [
                touch
                for touch in self._touches.values()
                if (again or touch.is_open) and (now is None or touch.until <= now)
            ]
            for touch in touches:
                touch.is_open = False
            return touches

    def forget(self, touches: list[HeldTouch]) -> None:
        """Forget what was written."""
        with self._guard:
            for touch in touches:
                if self._touches.get(touch.session_id) is touch:
                    del self._touches[touch.session_id]
