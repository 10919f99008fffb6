"""Pairing messages into exchanges, and putting those of a tree in order."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from library.infrastructure.data.formats.message_tree import Links, arrange, in_a_row
from library.infrastructure.data.formats.turns import Pairing, Speaker, Turn

SPEAKERS = {"u": Speaker.USER, "a": Speaker.AGENT, "o": Speaker.OTHER}
CONVERSATIONS = st.lists(st.sampled_from("uao"), max_size=30)


def turns(letters: str | list[str]) -> list[Turn]:
    return [
        Turn(SPEAKERS[letter], "" if letter == "o" else f"{letter}{number}", None)
        for number, letter in enumerate(letters)
    ]


def paired(letters: str, *, joins_replies: bool = False) -> list[str]:
    pairing = Pairing(turns(letters), in_a_row(len(letters)), joins_replies=joins_replies)
    return ["".join(letters[number] for number in exchange.numbers) for exchange in pairing]


@pytest.mark.parametrize(
    ("letters", "exchanges"),
    [
        ("", []),
        ("ua", ["ua"]),
        ("uaua", ["ua", "ua"]),
        ("uu", ["u", "u"]),
        ("uua", ["u", "ua"]),
        ("aua", ["a", "ua"]),
        ("uaa", ["ua", "a"]),
        ("oua", ["oua"]),
        ("uooaoua", ["uooao", "ua"]),
        ("oo", ["oo"]),
    ],
)
def test_messages_in_a_row(letters: str, exchanges: list[str]) -> None:
    """Each message of a user begins an exchange; the response, and all that nobody says, belongs to it."""
    assert exchanges == paired(letters)


def test_responses_that_are_split() -> None:
    """Are one response where tool calls split them, and else exchanges of their own."""
    assert ["uaoa", "u"] == paired("uaoau", joins_replies=True)
    assert ["uao", "a", "u"] == paired("uaoau")


def test_a_response_that_was_regenerated() -> None:
    """Two responses to a message are two exchanges with the same question, which follow the same exchange."""
    parents = [None, 0, 1, 2, 2, 4]
    pairing = Pairing(turns("uauaau"), parents, joins_replies=True)

    assert [([0, 1], None), ([2, 3], 0), ([2, 4], 0), ([5], 2)] == [tuple(each) for each in pairing]
    assert pairing.branches


def test_a_question_that_was_edited() -> None:
    """Two messages after one response are two exchanges that follow the same one."""
    pairing = Pairing(turns("ouaua"), [None, 0, 1, 0, 3], joins_replies=True)

    assert [([0, 1, 2], None), ([0, 3, 4], None)] == [tuple(each) for each in pairing]


def test_a_message_that_is_an_end_and_goes_on() -> None:
    """Where a thread goes on with a response, and another with a question, both are told."""
    pairing = Pairing(turns("uua"), [None, 0, 0], joins_replies=True)

    assert [([0], None), ([1], 0), ([0, 2], None)] == [tuple(each) for each in pairing]


@given(letters=CONVERSATIONS, joins_replies=st.booleans())
def test_a_thread_keeps_everything(letters: list[str], joins_replies: bool) -> None:
    """Each message is in exactly one exchange, in its order; what is said is of a user, then of agents."""
    pairing = Pairing(turns(letters), in_a_row(len(letters)), joins_replies=joins_replies)
    exchanges = [exchange.numbers for exchange in pairing]

    assert list(range(len(letters))) == [number for numbers in exchanges for number in numbers]
    assert not pairing.branches
    assert not pairing.repeated_size
    for numbers in exchanges:
        said = "".join(letters[number] for number in numbers).replace("o", "")
        assert said in {"", "u", "a", "ua"} or (joins_replies and set(said[1:]) == {"a"})


@given(st.data())
def test_a_tree_keeps_everything(data: st.DataObject) -> None:
    """Each message is in at least one exchange, whose messages follow each other; parents come first."""
    letters = data.draw(CONVERSATIONS)
    parents = [
        data.draw(st.none() | st.integers(0, number - 1)) if number else None
        for number in range(len(letters))
    ]
    exchanges = list(Pairing(turns(letters), parents, joins_replies=data.draw(st.booleans())))

    assert set(range(len(letters))) == {number for exchange in exchanges for number in exchange.numbers}
    for place, (numbers, follows) in enumerate(exchanges):
        assert numbers[:-1] == [parents[number] for number in numbers[1:]]
        assert follows is None or follows < place
        before = parents[numbers[0]]
        assert before == (None if follows is None else exchanges[follows].numbers[-1])


def test_what_exchanges_repeat() -> None:
    """Is known before they are built: a long question with many responses may not fill the memory."""
    many = [Turn(Speaker.USER, "x" * 1_000, None)] + [Turn(Speaker.AGENT, "y", None)] * 50
    pairing = Pairing(many, [None] + [0] * 50, joins_replies=True)

    assert 49 * 1_000 <= pairing.repeated_size <= 49 * 1_100


# ------------------------------------------------------------------------------------ trees


def test_a_tree_is_walked_thread_by_thread() -> None:
    """Children come in the order that their parent names."""
    links = [Links("a", None, ["c", "b"]), Links("b", "a"), Links("c", "a", ["d"]), Links("d", "c")]

    order = arrange(links)

    assert (["a", "c", "d", "b"], [None, 0, 1, 0]) == (
        [links[number].key for number in order.numbers],
        order.parents,
    )


@pytest.mark.parametrize(
    ("links", "keys", "parents"),
    [
        pytest.param([Links("b", "a"), Links("a")], "ab", [None, 0], id="a parent that comes later"),
        pytest.param([Links("a"), Links("b", "gone")], "ab", [None, None], id="a parent that is missing"),
        pytest.param([Links("a", None, ["b"]), Links("b")], "ab", [None, 0], id="only children are named"),
        pytest.param(
            [Links("a", None, ["c"]), Links("b", "a", []), Links("c", "b")],
            "abc",
            [None, 0, 1],
            id="the two contradict each other",
        ),
        pytest.param([Links("a", "a")], "a", [None], id="a message that follows itself"),
        pytest.param(
            [Links("c", "b"), Links("a", "b"), Links("b", "a")],
            "bca",
            [None, 0, 0],
            id="a circle with a tail",
        ),
        pytest.param([Links("a"), Links("a", None)], "aa", [None, None], id="one key twice"),
        pytest.param([Links(None, 7, 9), Links(["x"], {}, [[], 1])], None, [None, None], id="no keys at all"),
    ],
)
def test_links_that_are_wrong(links: list[Links], keys: str | None, parents: list[int | None]) -> None:
    """Lose nothing and end: what follows nothing that is there begins a thread."""
    order = arrange(links)

    assert parents == order.parents
    if keys is not None:
        assert list(keys) == [links[number].key for number in order.numbers]


@given(
    st.lists(
        st.builds(
            Links,
            st.integers(0, 9).map(str),
            st.integers(0, 9).map(str),
            st.lists(st.integers(0, 9).map(str)),
        )
    )
)
def test_any_links(links: list[Links]) -> None:
    """Each message comes once, behind the one that it follows."""
    order = arrange(links)

    assert list(range(len(links))) == sorted(order.numbers)
    assert all(parent is None or parent < place for place, parent in enumerate(order.parents))


@pytest.mark.parametrize("is_shuffled", [False, True])
def test_a_deep_tree(is_shuffled: bool) -> None:
    """A hundred thousand messages in one thread are in reach of no recursion limit."""
    links = [Links(str(number), str(number - 1), [str(number + 1)]) for number in range(100_000)]
    if is_shuffled:
        random.Random(1).shuffle(links)

    order = arrange(links)
    exchanges = list(Pairing(turns("ua" * 50_000), order.parents, joins_replies=True))

    assert in_a_row(100_000) == order.parents
    assert 50_000 == len(exchanges)
