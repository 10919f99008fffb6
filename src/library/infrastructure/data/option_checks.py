"""Checks of arguments that several units take."""

from __future__ import annotations

from typing import Any

from library.infrastructure.data.errors import InvalidOptionError


def check_whole_number(option: str, value: Any, least: int, most: int | None = None) -> int:
    """Return `value`, which was given as `option`, if it is a whole number within the limits.

    Raises:
        InvalidOptionError: it is not; `True` and `False` are none.

    """
    if (
        isinstance(value, int)
        and not isinstance(value, bool)
        and least <= value
        and (most is None or value <= most)
    ):
        return value
    limits = f"from {least} up" if most is None else f"from {least} to {most}"
    raise InvalidOptionError(f"{option} must be a whole number {limits}, not {value!r}", option=option)


def check_version(option: str, value: Any) -> int | None:
    """Return `value`, which was given as `option`, if it can be a version, or is `None`.

    Raises:
        InvalidOptionError: it is neither.

    """
    return None if value is None else check_whole_number(option, value, 0)


def check_texts(option: str, value: Any) -> list[str]:
    """Return the texts in `value`, which was given as `option`, as a list; one text is not several.

    Raises:
        InvalidOptionError: it is no iterable of texts.

    """
    try:
        given = [] if isinstance(value, str | bytes) else list(value)
    except TypeError:
        given = [None]
    if isinstance(value, str | bytes) or not all(isinstance(each, str) for each in given):
        raise InvalidOptionError(f"{option} must be several texts, such as a list", option=option)
    return given
