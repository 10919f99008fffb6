"""SQL functions of our own, for what SQL cannot tell exactly."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from library.infrastructure.data.conversation_filters import canonical
from library.infrastructure.data.json_reading import decode
from library.infrastructure.interfaces.database.full_text.ranking import Ranker
from library.infrastructure.interfaces.database.full_text.search_query import parse_query

if TYPE_CHECKING:
    import apsw


def register_functions(connection: apsw.Connection) -> None:
    """Make the functions known to a connection."""
    functions: dict[str, Any] = {"nanobrain_json_equals": _json_equals, "nanobrain_fits": _fits}
    for name, function in functions.items():
        connection.create_scalar_function(name, function, 3, deterministic=True)


def _json_equals(document: str, path: str, wanted: str) -> bool:
    """Tell whether the JSON value at a path is the wanted one; integers of any size are told apart.

    Args:
        document: JSON.
        path: a JSON list of keys and indexes.
        wanted: what `canonical` wrote.

    """
    value: Any = decode(document.encode())
    for step in _steps(path):
        container: Any = value if isinstance(value, list if isinstance(step, int) else dict) else {}
        try:
            value = container[step]
        except LookupError:
            return False
    return canonical(value) == wanted


def _fits(user_input: str, agent_response: str, text: str) -> bool:
    """Tell whether an exchange holds all that a search asks for, symbols included."""
    return _ranker(text).score(user_input, agent_response).holds_all


@lru_cache(maxsize=64)
def _ranker(text: str) -> Ranker:
    return Ranker(parse_query(text), {}, 1)


@lru_cache(maxsize=64)
def _steps(path: str) -> tuple[str | int, ...]:
    return tuple(decode(path.encode()))
