"""What PostgreSQL is given to find exchanges by, and asked for them: a real server reads both."""

from __future__ import annotations

import base64
import random
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from postgresql_server import shared_server

from library.infrastructure.data.conformance.conversation_foundation import TEXTS as ANY_TEXTS
from library.infrastructure.data.conformance.conversation_foundation import property_test
from library.infrastructure.interfaces.database.full_text.index_terms import (
    index_texts,
    prepared_tokens,
    scope_mark,
)
from library.infrastructure.interfaces.database.full_text.lexemes import UNPLACED, lexeme
from library.infrastructure.interfaces.database.full_text.ranking import Ranker
from library.infrastructure.interfaces.database.full_text.search_query import parse_query
from library.infrastructure.interfaces.database.full_text.tsquery import (
    TextFilter,
    match_all,
    match_all_exact,
    match_term,
)
from library.infrastructure.interfaces.database.postgresql.search_vector import search_vector

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

WORDS = st.sampled_from(
    [
        "learn", "learning", "Learned", "happy", "happiness", "dying", "die", "possible", "possibility",
        "node.js", "c++", "c#", "C++11", ".net", "#tag", "foo-bar", "foo bar", "foo_bar", "don't", "the",
        "3.14", "50%", "$100", "日本", "日本語", "本語", "日", "入門Python", "가나다", "나다", "naïve", "a+",
        "हिन्दी", "🎉", "👍🏽", "Straße", "lea", "foo", "bar", "_x_", "да", "Да!", "naive", "Caroline's",
    ]
)  # fmt: skip
GAPS = st.sampled_from([" ", "  ", ", ", ". ", "\n", " - ", "", "…", "\0"])
TEXTS = st.lists(st.tuples(WORDS, GAPS), max_size=8).map(lambda parts: "".join(map("".join, parts)))
OPERATORS = st.sampled_from([" ", " ", " ", " OR ", " -", '" "', ' "', '" ', "* "])
QUERIES = st.lists(st.tuples(WORDS, OPERATORS), min_size=1, max_size=4).map(
    lambda parts: "".join(map("".join, parts))
)
NASTY = st.text(alphabet="ab \"-*OR+#.日🎉\u0301\x00'\\():&|!<>^{}\u02e1\u02e2\uff0b\u3000\u00a0\u2028\u13a0")
CONVERSATION = "c"


@pytest.fixture
async def connection() -> AsyncIterator[Any]:
    """A connection to a database that is never changed."""
    connection = await asyncpg.connect(shared_server().url("postgres"))
    yield connection
    await connection.close()


async def holds(connection: Any, vector: str, query: str | None) -> bool:
    """Have the server compare."""
    statement = "SELECT $1::text::tsvector @@ $2::text::tsquery"
    return query is not None and bool(await connection.fetchval(statement, vector, query))


async def finds(
    connection: Any, user_input: str, agent_response: str, *texts: str, scope: str | None = None
) -> list[str]:
    """Return which of some queries find an exchange: by the index, and by what it cannot tell."""
    vector = search_vector(user_input, agent_response, CONVERSATION)
    queries = [match_all(parse_query(text), scope) or "'ˡ-'" for text in texts]
    rows = await connection.fetch(
        "WITH given AS MATERIALIZED (SELECT $1::text::tsvector AS vector) "
        "SELECT vector @@ query "
        "FROM given, unnest($2::text[]::tsquery[]) WITH ORDINALITY AS asked (query, place) ORDER BY place",
        vector,
        queries,
    )
    return [
        text
        for text, (found,) in zip(texts, rows, strict=True)
        if found and TextFilter(parse_query(text)).fits(user_input, agent_response)
    ]


def as_indexed(text: str) -> list[str]:
    """List the tokens of a prepared text as SQLite's tokenizer finds them."""
    return prepared_tokens(text.lower() if text.isascii() else text)


@given(user_input=ANY_TEXTS | NASTY | TEXTS, agent_response=ANY_TEXTS | NASTY | TEXTS)
@property_test(300)
async def test_vectors_hold_what_is_indexed(connection: Any, user_input: str, agent_response: str):
    """Each token in its place, the texts apart, and the marks anywhere; nothing else."""
    texts = index_texts(user_input, agent_response, scope_mark(CONVERSATION))
    asked, answered = as_indexed(texts.user_input), as_indexed(texts.agent_response)
    expected: defaultdict[str, list[int]] = defaultdict(list)
    for place, token in [*enumerate(asked, 1), *enumerate(answered, len(asked) + 2)]:
        expected[lexeme(token)].append(place)
    for mark in prepared_tokens(texts.marks.lower() if user_input.isascii() else texts.marks):
        expected[mark.lower()].extend(())

    rows = await connection.fetch(
        "SELECT lexeme, positions FROM unnest($1::text::tsvector)",
        search_vector(user_input, agent_response, CONVERSATION),
    )

    found = {word: list(places or ()) for word, places in rows}
    assert {word: places for word, places in expected.items() if places} == {
        word: places for word, places in found.items() if places
    }
    assert {word.lower() for word in expected} == {word.lower() for word in found}


@given(text=st.text() | NASTY | QUERIES)
@property_test(300)
async def test_every_query_is_read(connection: Any, text: str):
    """Whatever is typed, the server understands what is asked of it."""
    query = parse_query(text)
    for scope in (None, scope_mark(CONVERSATION)):
        for expression in (
            match_all(query, scope),
            match_all_exact(query, scope),
            *(match_term(query, term, scope) for term in (*query.terms, *query.hints)),
        ):
            await holds(connection, "", expression)


@pytest.mark.parametrize("text", ["w{} ", "a{}+b ", '"p{} q" ', "-x{} ", "v{} OR ", "日{}本語 ", "c{}++ "])
async def test_long_queries_are_read(connection: Any, text: str):
    """Neither the depth nor the length of a query goes beyond what the server takes."""
    query = parse_query("some " + "".join(text.format(number) for number in range(5000)))
    await holds(connection, "", match_all(query, scope_mark(CONVERSATION)))


@given(user_input=TEXTS, agent_response=TEXTS, text=QUERIES)
@property_test(500)
async def test_what_is_found_is_what_holds_all(
    connection: Any, user_input: str, agent_response: str, text: str
):
    """The index finds at least what ranking takes, and with the filter exactly that."""
    query = parse_query(text)
    scored = Ranker(query, {}, 10).score(user_input, agent_response)
    vector = search_vector(user_input, agent_response, CONVERSATION)
    for expression, wanted in (
        (match_all(query), scored.holds_all),
        (match_all_exact(query), scored.is_exact),
    ):
        assert not wanted or await holds(connection, vector, expression)
    found = await holds(connection, vector, match_all(query))
    assert scored.holds_all is (found and TextFilter(query).fits(user_input, agent_response))
    terms = (*query.terms, *query.hints)
    assert not scored.score or any(
        [await holds(connection, vector, match_term(query, term)) for term in terms]
    )


async def test_no_phrase_reaches_from_one_text_into_the_other(connection: Any):
    """Nor into the marks."""
    assert ["quick brown"] == await finds(connection, "the quick", "brown", '"quick brown"', "quick brown")
    assert [] == await finds(connection, "日本", "語る", "日本語")
    assert [] == await finds(connection, "x", "learning", '"learning learn"', f'"{scope_mark(CONVERSATION)}"')


async def test_scope(connection: Any):
    """The mark of the conversation is there, also in what is long."""
    for text in ("cat", "cat " * 1000):
        for name, expected in ((CONVERSATION, ["cat"]), ("other", [])):
            assert expected == await finds(connection, text, "", "cat", scope=scope_mark(name))


# -- what is long --------------------------------------------------------------------------------------------


async def test_a_word_more_often_than_there_are_positions(connection: Any):
    """Phrases are found all the same, and only where they are."""
    text = "the cat " * 400 + "sat on a mat"
    queries = ('"cat sat"', '"the mat"', '"on a mat"', "cats", '"mat sat"', "sat-cat", "cat mat -sat")
    assert ['"cat sat"', '"on a mat"', "cats"] == await finds(connection, text, "", *queries)
    assert [] == await finds(connection, "", text, '"on mat"', '"mat a"')


async def test_more_words_than_there_are_positions(connection: Any):
    """Each is found, and so are phrases of the last ones."""
    words = [f"w{number}x" for number in range(40_000)]
    vector = search_vector(" ".join(words), "", CONVERSATION)
    assert f"'{UNPLACED}'" in vector
    queries = (*words[::997], f'"{words[-2]} {words[-1]}"', "w39999*")
    assert list(queries) == await finds(connection, " ".join(words), "", *queries)
    assert [] == await finds(connection, " ".join(words), "", f'"{words[-1]} {words[-2]}"', "absent", "w4*9")


@pytest.mark.parametrize("kind", ["random bytes", "far too many words", "all of Han"])
async def test_more_than_a_vector_holds(connection: Any, kind: str):
    """Megabytes of words that differ are saved, and found by any of them."""
    numbers = random.Random(5)
    if kind == "random bytes":
        text = base64.b64encode(numbers.randbytes(1_500_000)).decode()
    elif kind == "all of Han":
        text = "".join(chr(numbers.randrange(0x4E00, 0x9FFF)) for _ in range(150_000))
    else:
        text = " ".join(
            f"{number:x}".translate(str.maketrans("0123456789", "ghijklmnop")) for number in range(250_000)
        )
    text += " a zebra is here"
    tokens = as_indexed(index_texts(text, "", scope_mark(CONVERSATION)).user_input)
    some = [token for token in tokens[:: len(tokens) // 5] if len(token) > 1]
    queries = (*some, "zebra", "zebras", '"zebra is here"', "zeb*")

    assert list(queries) == await finds(connection, text, "", *queries)

    assert [] == await finds(connection, text, "", "walruswalrus", '"here is"', "walru*", "zebra -here")


async def test_long_words(connection: Any):
    """They are found whole, and are told from each other, also within phrases."""
    word, other = "x" * 5000, "x" * 4999 + "y"
    found = await finds(
        connection, f"a {word} b", "", word, word[:250], f'"a {word}"', f'"a {other}"', "xxx*"
    )
    assert [word, word[:250], f'"a {word}"', "xxx*"] == found
    assert ["a"] == await finds(connection, f"a {word} b", "", "a", f'a -"a {word}"')
    assert [f'a -"a {other}"'] == await finds(connection, f"a {word} b", "", f'a -"a {other}"')
