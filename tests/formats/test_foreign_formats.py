"""What holds for all readers of other programs' files."""

from __future__ import annotations

import copy
import json
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from library.infrastructure.data import ConversationMessage, FormatError, TransferError, TransferLimitError
from library.infrastructure.data.formats.json_text import digest, parse
from library.infrastructure.data.formats.record_format import Fault

if TYPE_CHECKING:
    from tests.formats.conftest import ForeignFiles

EXPORTS = Path(__file__).parents[2] / "examples/library/data/exports"
SAMPLES = {
    "chatgpt": "chatgpt-conversations.json",
    "claude": "claude-conversations.json",
    "langchain": "langchain.json",
    "llm": "llm-logs.json",
    "oasst": "oasst.jsonl",
    "open-webui": "open-webui.json",
    "openai": "openai-finetuning.jsonl",
    "sharegpt": "sharegpt.json",
}
every_format = pytest.mark.parametrize("name", SAMPLES)


def sample(name: str) -> list[Any]:
    """Return the conversations of a sample."""
    text = (EXPORTS / SAMPLES[name]).read_text()
    return (
        [json.loads(line) for line in text.splitlines()] if SAMPLES[name].endswith("l") else json.loads(text)
    )


def check(exchanges: list[dict[str, Any]]) -> None:
    """Check that exchanges can be saved as they are, in their order."""
    seen: dict[int, str] = {}
    for number, values in enumerate(exchanges, 1):
        message = ConversationMessage(**values)
        json.dumps(message.metadata, allow_nan=False)
        assert number == message.message_id
        if message.parent_id is not None:
            assert seen[message.parent_id] == message.conversation_id
        seen[number] = message.conversation_id
    changes = sum(one != other for one, other in pairwise(seen.values()))
    assert len(set(seen.values())) == changes + bool(seen)


@every_format
def test_samples(foreign: ForeignFiles, name: str) -> None:
    """Nothing is lost: each value of the file occurs in an exchange; and all of them can be saved."""
    exchanges = foreign.exchanges(name, (EXPORTS / SAMPLES[name]).read_bytes())

    check(exchanges)
    assert [] == foreign.missing(sample(name), exchanges)
    assert {name} == {each["metadata"]["source"]["format"] for each in exchanges}


@every_format
def test_twice_the_same(foreign: ForeignFiles, name: str) -> None:
    """A file that is read again, or in another form, gives the same exchanges."""
    values = sample(name)
    exchanges = foreign.exchanges(name, values)

    assert exchanges == foreign.exchanges(name, json.dumps(values, indent=3, ensure_ascii=False))
    if name != "langchain":  # where a line that is a list would be the whole file
        assert exchanges == foreign.exchanges(name, "\n".join(map(json.dumps, values)))


JUNK: st.SearchStrategy[Any] = st.sampled_from(
    [
        None,
        True,
        0,
        -1,
        1.5,
        10**30,
        "",
        "text",
        "a",
        [],
        {},
        [None],
        [[]],
        {"a": None},
        {"parts": [1]},
        ["text", 7],
    ]
)
MUTATIONS = st.lists(st.tuples(st.integers(0, 10**6), JUNK, st.booleans()), max_size=5)


def mutate(value: Any, mutations: list[tuple[int, Any, bool]]) -> Any:
    """Replace or remove values somewhere within."""
    holder = [copy.deepcopy(value)]
    for place, junk, is_removed in mutations:
        slots: list[tuple[Any, Any]] = []
        waiting: list[Any] = [holder]
        while waiting:
            container = waiting.pop()
            keys = container if isinstance(container, dict) else range(len(container))
            for key in list(keys):
                slots.append((container, key))
                if isinstance(container[key], dict | list):
                    waiting.append(container[key])
        container, key = slots[place % len(slots)]
        if is_removed and container is not holder:
            del container[key]
        else:
            container[key] = copy.deepcopy(junk)
    return holder[0]


@every_format
@settings(max_examples=150, deadline=None)
@given(data=st.data(), mutations=MUTATIONS)
def test_files_that_are_somewhat_wrong(
    foreign: ForeignFiles, name: str, data: st.DataObject, mutations: list[tuple[int, Any, bool]]
) -> None:
    """Are read, nothing of them lost, or give faults; nothing else is raised."""
    value = mutate(data.draw(st.sampled_from(sample(name))), mutations)

    found = foreign.found(name, [value])

    exchanges = [values for _, values in found if isinstance(values, dict)]
    check(exchanges)
    if len(exchanges) == len(found):
        assert [] == foreign.missing(value, exchanges)


@every_format
@given(
    content=st.binary(max_size=50)
    | st.recursive(JUNK, st.lists, max_leaves=9).map(json.dumps).map(str.encode)
)
def test_files_that_are_wholly_wrong(foreign: ForeignFiles, name: str, content: bytes) -> None:
    """Give faults, or an error that names the file."""
    message = "a stream"
    try:
        found = foreign.found(name, content)
    except TransferError as error:
        found, message = [], str(error)
    assert all(isinstance(values, Fault | dict) for _, values in found)
    assert "a stream" in message


@every_format
def test_a_file_that_is_cut(foreign: ForeignFiles, name: str) -> None:
    """Is an error that says so."""
    text = json.dumps(sample(name))

    with pytest.raises(FormatError, match="cut off"):
        foreign.found(name, text[: len(text) // 2])


@every_format
def test_nesting(foreign: ForeignFiles, name: str) -> None:
    """Has the limit that is set, and needs no recursion of ours."""
    deep = '{"messages": ' * 2_000 + "1" + "}" * 2_000

    with pytest.raises(TransferLimitError, match="max_depth"):
        foreign.found(name, deep)
    for _, values in foreign.found(name, deep, max_depth=10_000):
        assert isinstance(values, Fault)


@every_format
def test_texts_that_are_too_long(foreign: ForeignFiles, name: str) -> None:
    """Exceed a limit."""
    with pytest.raises(TransferLimitError, match=r"of a stream has a value of more than 10 characters"):
        foreign.found(name, sample(name), max_field_characters=10)


def test_a_deep_conversation(foreign: ForeignFiles) -> None:
    """Of a hundred thousand messages is read message by message."""
    mapping = {
        str(number): {
            "id": str(number),
            "parent": str(number - 1),
            "message": {
                "author": {"role": "assistant" if number % 2 else "user"},
                "content": {"parts": [str(number)]},
            },
        }
        for number in range(100_000)
    }

    exchanges = foreign.exchanges("chatgpt", [{"id": "c", "mapping": mapping}])

    assert 50_000 == len(exchanges)
    assert ("99998", "99999", None) == (
        exchanges[-1]["user_input"],
        exchanges[-1]["agent_response"],
        exchanges[-1]["parent_id"],
    )


def test_branches_that_would_repeat_too_much(foreign: ForeignFiles) -> None:
    """Are refused before they fill the memory."""
    answers = {
        str(number): {
            "parent": "q",
            "message": {"author": {"role": "assistant"}, "content": {"parts": ["a"]}},
        }
        for number in range(1_000)
    }
    question = {"message": {"author": {"role": "user"}, "content": {"parts": ["q" * 10_000]}}}
    value = [{"id": "c", "mapping": {"q": question, **answers}}]

    assert 1_000 == len(foreign.exchanges("chatgpt", value))
    with pytest.raises(TransferLimitError, match="what exchanges of conversation 1 have in common"):
        foreign.found("chatgpt", value, max_record_bytes=1_000_000)


def test_faults_that_are_no_json(foreign: ForeignFiles) -> None:
    """Stand where the broken conversation is, and reading goes on."""
    good = '{"conversations": [{"from": "human", "value": "Hi"}]}'

    found = foreign.found("sharegpt", f'[{good}, {{"conversations": [01]}}, {good}]')

    assert ["conversation 1", 2, "conversation 3"] == [place for place, _ in found]
    assert isinstance(found[1][1], Fault)
    assert found[1][1].reason.startswith("it is not JSON: ")


# ------------------------------------------------------------------------------------ JSON of others


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (rb'"\ud83d\ude00"', "\N{GRINNING FACE}"),
        (rb'"a\ud83d"', "a\ufffd"),
        (rb'"\ud83db"', "\ufffdb"),
        (rb'"\ude00c"', "\ufffdc"),
        (rb'["\ude00\ud83d", "\ud83d\ud83d\ude00"]', ["\ufffd\ufffd", "\ufffd\N{GRINNING FACE}"]),
        (rb'{"\\ud83d": "\uD83D"}', {"\\ud83d": "\ufffd"}),
        (rb'{"k": 12345678901234567890123, "t": "\ud83d"}', {"k": 12345678901234567890123, "t": "\ufffd"}),
    ],
)
def test_half_characters(raw: bytes, value: Any) -> None:
    """What is left of an emoji that was cut in two is replaced; numbers stay exact."""
    assert value == parse(raw)


@given(st.text(st.characters() | st.characters(categories=["Cs"])))
def test_any_half_character(text: str) -> None:
    """Is replaced by one character, and all others stay."""
    raw = json.dumps([text]).encode()

    (read,) = parse(raw)

    assert read == json.loads(raw)[0].encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    assert len(read) == len(json.loads(raw)[0])


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"NaN", b"[1,]", b'"\xff"', rb'["\ud83d", NaN]', rb'["\ud83d", 1e999]']
)
def test_what_is_no_json(raw: bytes) -> None:
    """Is a fault."""
    assert isinstance(parse(raw), Fault)


def test_digests() -> None:
    """Are those of the values, and the same on every machine."""
    assert digest({"b": [1, "ü"], "a": None}) == digest({"a": None, "b": [1, "ü"]})
    assert "2afb9b83f9314e5d" == digest({})[:16]
