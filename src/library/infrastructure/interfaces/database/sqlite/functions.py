"""SQL functions of our own, for what SQL cannot tell exactly."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from library.infrastructure.data.conversation_filters import canonical
from library.infrastructure.data.json_reading import decode
from library.infrastructure.interfaces.database.full_text.ranking import Ranker
from library.infrastructure.interfaces.database.full_text.search_query import parse_query
from library.infrastructure.interfaces.database.sqlite.rows import session_key_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    import apsw


def register_functions(connection: apsw.Connection) -> None:
    """Make the functions known to a connection."""
    functions: dict[str, Any] = {
        "nanobrain_json_holds": _json_holds,
        "nanobrain_fits": _fits,
        "nanobrain_session_key": session_key_of,
    }
    for name, function in functions.items():
        connection.create_scalar_function(name, function, deterministic=True)


def _json_holds(document: str, wanted: str) -> bool:
    """Tell whether a JSON document has certain values; integers of any size are told apart.

    Args:
        document: JSON.
        wanted: a JSON list of pairs: a path of keys and indexes, and the value as `canonical` wrote it.

    """
    root = decode(document.encode())
    return all(_value_at(root, path) == value for path, value in _pairs(wanted))


def _value_at(value: Any, path: Iterable[str | int]) -> str | None:
    """Write the value at a path; `None` if there is none."""
    for step in path:
        container: Any = value if isinstance(value, list if isinstance(step, int) else dict) else {}
        try:
            value = container[step]
        except LookupError:
            return None
    return canonical(value)


def _fits(user_input: str, agent_response: str, text: str) -> bool:
    """Tell whether an exchange holds all that a search asks for, symbols included."""
    return _ranker(text).score(user_input, agent_response).holds_all


@lru_cache(maxsize=64)
def _ranker(text: str) -> Ranker:
    return Ranker(parse_query(text), {}, 1)


@lru_cache(maxsize=64)
def _pairs(wanted: str) -> list[tuple[list[str | int], str]]:
    pairs: list[tuple[list[str | int], str]] = decode(wanted.encode())
    return pairs
