"""SQL functions of our own, for what SQL cannot tell exactly."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from library.infrastructure.interfaces.database.full_text.ranking import Ranker
from library.infrastructure.interfaces.database.full_text.search_query import parse_query
from library.infrastructure.interfaces.database.json_conditions import json_holds
from library.infrastructure.interfaces.database.keys import session_key_of

if TYPE_CHECKING:
    import apsw


def register_functions(connection: apsw.Connection) -> None:
    """Make the functions known to a connection."""
    functions: dict[str, Any] = {
        "nanobrain_json_holds": json_holds,
        "nanobrain_fits": _fits,
        "nanobrain_session_key": session_key_of,
    }
    for name, function in functions.items():
        connection.create_scalar_function(name, function, deterministic=True)


def _fits(user_input: str, agent_response: str, text: str) -> bool:
    """Tell whether an exchange holds all that a search asks for, symbols included."""
    return _ranker(text).score(user_input, agent_response).holds_all


@lru_cache(maxsize=64)
def _ranker(text: str) -> Ranker:
    return Ranker(parse_query(text), {}, 1)
