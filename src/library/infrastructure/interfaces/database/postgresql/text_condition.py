"""What `contains_text` of a `ConversationQuery` asks for: candidates by the index, the rest by texts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from library.infrastructure.interfaces.database.full_text.index_terms import scope_mark
from library.infrastructure.interfaces.database.full_text.search_query import parse_query
from library.infrastructure.interfaces.database.full_text.tsquery import TextFilter, match_all
from library.infrastructure.interfaces.database.postgresql.candidates import search_statements

if TYPE_CHECKING:
    from collections.abc import Iterable

_FEW_MATCHES: Final = 10_000
"""Up to so many matches of a text are looked up first; of more, each row is asked whether it is one."""


class TextCondition:
    """What an exchange has to hold: all of some texts, each as a search would find it."""

    def __init__(self, texts: Iterable[str], conversation_id: str | None = None) -> None:
        """Read the texts.

        Args:
            texts: at least one.
            conversation_id: the one conversation that is looked through, if it is one.

        """
        queries = [parse_query(text) for text in texts]
        scope = None if conversation_id is None else scope_mark(conversation_id)
        expressions = [match_all(query, scope) for query in queries]
        found = [f"({expression})" for expression in expressions if expression is not None]
        self.query = " & ".join(found) if len(found) == len(expressions) else None
        """What the index is asked for, a `tsquery` as text; `None`: nothing holds it."""
        self._filters = [TextFilter(query) for query in queries]

    async def sql(self, connection: Any, schema: str, table: str, place: int) -> str:
        """Write the condition for a `WHERE`.

        Rare texts are looked up first. Common ones are asked of the column, which no index knows: the table
        is walked in the order of the query, the end of the next page is near.

        Args:
            connection: the one that is about to read.
            schema: was checked.
            table: was checked.
            place: the number of the parameter that `query` is bound to.

        """
        statements = search_statements(schema, table)
        matches = await connection.fetchval(statements["count_matches"], self.query, _FEW_MATCHES + 1)
        name = "few_matches" if matches <= _FEW_MATCHES else "many_matches"
        return statements[name].replace("{query}", f"${place}")

    def fits(self, user_input: str, agent_response: str) -> bool:
        """Tell whether an exchange that the index found holds the texts; mostly that is known at once."""
        return all(each.fits(user_input, agent_response) for each in self._filters)
