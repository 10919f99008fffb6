"""Putting the messages of a conversation that branches in order, whatever their links say.

Exports are not always consistent: links lead nowhere, contradict each other, or run in circles. Here every
message comes exactly once, behind the one that it follows. Nothing recurses: threads may be of any length.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence


class Links(NamedTuple):
    """What a message says of its place."""

    key: Any
    """What other messages call it."""
    parent: Any = None
    """The key of the message that it follows."""
    children: Any = ()
    """The keys of those that follow it, in the order in which they are shown."""


class Order(NamedTuple):
    """Messages in an order in which each comes behind the one that it follows."""

    numbers: list[int]
    """Where each stood."""
    parents: list[int | None]
    """Of each, the place in this order of the one that it follows; `None`: it begins a thread."""


def arrange(messages: Sequence[Links]) -> Order:
    """Walk through all threads, depth first.

    What a message names as its parent counts. Where that is nothing, or no message of the conversation, the
    first message counts that names it as a child. A circle is entered at its first message, and ends before
    that.
    """
    index = _index(messages)
    above = _parents(messages, index)
    below = _children(messages, index, above)
    order = Order([], [])
    is_reached = [False] * len(messages)
    roots = (number for number, parent in enumerate(above) if parent is None)
    for number in chain(roots, range(len(messages))):
        if not is_reached[number]:
            _walk(_entry(number, above), below, is_reached, order)
    return order


def in_a_row(count: int) -> list[int | None]:
    """Return the parents of messages of which each follows the one before."""
    return [number - 1 if number else None for number in range(count)]


def _index(messages: Sequence[Links]) -> dict[str, int]:
    """Map keys to messages; of those with equal keys, the first is meant."""
    index: dict[str, int] = {}
    for number, message in enumerate(messages):
        if isinstance(message.key, str):
            index.setdefault(message.key, number)
    return index


def _find(key: Any, index: dict[str, int]) -> int | None:
    return index.get(key) if isinstance(key, str) else None


def _named_children(message: Links, index: dict[str, int]) -> list[int]:
    if not isinstance(message.children, list):
        return []
    found = (_find(key, index) for key in message.children)
    return [number for number in found if number is not None]


def _parents(messages: Sequence[Links], index: dict[str, int]) -> list[int | None]:
    claimed: dict[int, int] = {}
    for number, message in enumerate(messages):
        for child in _named_children(message, index):
            claimed.setdefault(child, number)
    parents: list[int | None] = []
    for number, message in enumerate(messages):
        parent = _find(message.parent, index)
        parents.append(claimed.get(number) if parent is None else parent)
    return parents


def _children(messages: Sequence[Links], index: dict[str, int], above: list[int | None]) -> list[list[int]]:
    """List the children of each: first those that it names, in its order, then the others that name it."""
    below: list[list[int]] = [[] for _ in messages]
    is_listed = [False] * len(messages)
    for number, message in enumerate(messages):
        for child in _named_children(message, index):
            if above[child] == number and not is_listed[child]:
                below[number].append(child)
                is_listed[child] = True
    for number, parent in enumerate(above):
        if parent is not None and not is_listed[number]:
            below[parent].append(number)
    return below


def _entry(number: int, above: list[int | None]) -> int:
    """Go up from a message to a root, or, where there is none, until a circle closes."""
    passed: set[int] = set()
    while number not in passed:
        passed.add(number)
        parent = above[number]
        if parent is None:
            break
        number = parent
    return number


def _walk(start: int, below: list[list[int]], is_reached: list[bool], order: Order) -> None:
    waiting: list[tuple[int, int | None]] = [(start, None)]
    while waiting:
        number, parent = waiting.pop()
        if is_reached[number]:
            continue
        is_reached[number] = True
        here = len(order.numbers)
        order.numbers.append(number)
        order.parents.append(parent)
        waiting.extend((child, here) for child in reversed(below[number]))
