"""Which names tables may have, whatever database they are in."""

from __future__ import annotations

import re
from typing import Final

from library.infrastructure.data.errors import InvalidOptionError

_TABLE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,47}")
_RESERVED: Final = ("sqlite_", "nanobrain_", "pg_")


def is_table_name(name: object) -> bool:
    """Tell whether a table may be called so: then it can stand in SQL, quoted."""
    return isinstance(name, str) and bool(_TABLE.fullmatch(name)) and not name.lower().startswith(_RESERVED)


def check_table_name(table_name: str) -> None:
    """Refuse what is no name for a table.

    Raises:
        InvalidOptionError: it is none.

    """
    if not is_table_name(table_name):
        message = (
            f"table_name {table_name!r} cannot be used: take a letter, then letters, digits and "
            "underscores, at most 48, and none of the prefixes sqlite_, nanobrain_ and pg_"
        )
        raise InvalidOptionError(message, option="table_name")
