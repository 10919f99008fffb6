"""Reading the logs of `llm`: its JSON, and both schemas of its database."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from library.infrastructure.data import ExportFormat, FormatError, ImportLimits, TransferLimitError
from library.infrastructure.data.formats.record_format import Fault, ReadOptions
from library.infrastructure.data.formats.record_kind import EXCHANGES
from library.infrastructure.data.formats.registry import reader_class
from library.infrastructure.data.formats.source import Source

if TYPE_CHECKING:
    from pathlib import Path

    from tests.formats.conftest import ForeignFiles

CONVERSATIONS = "CREATE TABLE conversations (id TEXT PRIMARY KEY, name TEXT, model TEXT);"
RESPONSES = """
CREATE TABLE responses (
    id TEXT PRIMARY KEY, model TEXT, prompt TEXT, system TEXT, prompt_json TEXT, options_json TEXT,
    response TEXT, response_json TEXT, conversation_id TEXT REFERENCES conversations(id),
    duration_ms INTEGER, datetime_utc TEXT
);
"""
OLD_SCHEMA = (
    CONVERSATIONS
    + RESPONSES
    + """
CREATE TABLE attachments (id TEXT PRIMARY KEY, type TEXT, path TEXT, url TEXT, content BLOB);
CREATE TABLE prompt_attachments (
    response_id TEXT REFERENCES responses(id), attachment_id TEXT REFERENCES attachments(id),
    "order" INTEGER,
    PRIMARY KEY (response_id, attachment_id)
);
CREATE TABLE tools (id INTEGER PRIMARY KEY, name TEXT);
CREATE TABLE tool_results (
    id INTEGER PRIMARY KEY, response_id TEXT REFERENCES responses, tool_id INTEGER REFERENCES tools,
    output TEXT
);
CREATE TABLE tool_results_attachments (
    tool_result_id INTEGER REFERENCES tool_results(id), attachment_id TEXT REFERENCES attachments(id)
);
CREATE VIRTUAL TABLE responses_fts USING fts5(prompt, response, content=responses);
INSERT INTO conversations VALUES ('c1', 'Greetings', 'm'), ('c2', NULL, 'm');
INSERT INTO responses VALUES
    ('r1', 'm', 'Hi', 'Be kind', NULL, '{"temperature": 0}', 'Ho', NULL, 'c1', 250, '2024-05-17T12:00:00.25'),
    ('r2', 'm', 'One?', NULL, NULL, NULL, 'Two.', NULL, 'c2', 0, '2024-05-17T12:01:00'),
    ('r3', 'm', 'And?', NULL, NULL, NULL, 'No.', NULL, 'c1', NULL, '2024-05-17T12:02:00'),
    ('r4', 'm', NULL, NULL, NULL, NULL, 'Alone', NULL, NULL, 5, NULL);
INSERT INTO attachments VALUES
    ('a1', 'image/png', NULL, NULL, X'89504E47'), ('a2', 'text/plain', 'x', '', NULL);
INSERT INTO prompt_attachments VALUES ('r1', 'a1', 0);
INSERT INTO tools VALUES (7, 'clock');
INSERT INTO tool_results VALUES (1, 'r3', 7, 'noon');
INSERT INTO tool_results_attachments VALUES (1, 'a2');
"""
)
NEW_SCHEMA = (
    CONVERSATIONS
    + RESPONSES
    + """
CREATE TABLE fragments (id INTEGER PRIMARY KEY, content TEXT);
CREATE TABLE messages (
    hash TEXT PRIMARY KEY, parent_hash TEXT REFERENCES messages(hash), role TEXT, provider_metadata TEXT
);
CREATE TABLE parts (
    id INTEGER PRIMARY KEY, message_hash TEXT REFERENCES messages(hash), position INTEGER, type TEXT,
    text TEXT, payload TEXT
);
CREATE TABLE part_fragments (
    part_id INTEGER REFERENCES parts(id), fragment_id INTEGER REFERENCES fragments(id), "order" INTEGER
);
CREATE TABLE threads (id TEXT PRIMARY KEY, name TEXT, forked_from TEXT REFERENCES threads(id));
CREATE TABLE turns (
    id TEXT PRIMARY KEY, thread_id TEXT REFERENCES threads(id),
    parent_message_hash TEXT REFERENCES messages(hash), tip_message_hash TEXT REFERENCES messages(hash),
    model TEXT, duration_ms INTEGER, datetime_utc TEXT
);
INSERT INTO conversations VALUES ('t1', 'Before', 'm');
INSERT INTO responses (id, prompt, response, conversation_id) VALUES
    ('r1', 'Old', 'Yes', 't1'), ('r2', 'x', 'y', 'z');
INSERT INTO fragments VALUES (1, 'A long text');
INSERT INTO messages VALUES
    ('s', NULL, 'system', NULL), ('u', 's', 'user', '{"k": 1}'), ('a', 'u', 'assistant', NULL),
    ('v', 'a', 'user', NULL), ('c', 'v', 'assistant', NULL), ('t', 'c', 'tool', NULL),
    ('b', 't', 'assistant', NULL),
    ('loop1', 'loop2', 'user', NULL), ('loop2', 'loop1', 'user', NULL);
INSERT INTO parts VALUES
    (1, 's', 0, 'text', 'Be kind', NULL), (2, 'u', 0, 'text', 'Hi', NULL), (3, 'a', 0, 'text', 'Ho', NULL),
    (4, 'v', 0, 'text', NULL, '{"text_ref": [{"fragment": 1}, {"literal": "?"}, 7]}'),
    (5, 'c', 0, 'tool_call', NULL, '{"name": "f"}'), (6, 't', 0, 'tool_result', NULL, 'no JSON'),
    (7, 'b', 1, 'text', 'No.', NULL), (8, 'b', 0, 'text', NULL, '{"text_ref"');
INSERT INTO part_fragments VALUES (4, 1, 0);
INSERT INTO threads VALUES ('t1', 'Greetings', NULL);
INSERT INTO turns VALUES ('q1', 't1', 'u', 'a', 'm', 9, '2024-05-17T12:00:00+00:00'),
    ('q2', 't1', 'v', 'c', 'm', 8, '2024-05-17T12:01:00+00:00'),
    ('q3', 't1', 't', 'b', 'm', 7, '2024-05-17T12:02:00+00:00'),
    ('q4', NULL, 'loop1', NULL, 'm', 0, NULL), ('q5', NULL, 'gone', NULL, 'm', 0, NULL);
"""
)


def database(path: Path, script: str) -> Path:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)
    return path


def rows(path: Path) -> list[Any]:
    """Return all values of a database, of full-text indexes none."""
    with closing(sqlite3.connect(path)) as connection:
        tables = connection.execute(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE '%fts%'"
        )
        return [
            row
            for (name,) in tables.fetchall()
            for row in map(list, connection.execute(f"SELECT * FROM {name}"))
        ]


def read(foreign: ForeignFiles, path: Path, **limits: int) -> list[dict[str, Any]]:
    with closing(Source(str(path), ImportLimits(**limits))) as source:
        return [values for _, values in foreign.found_in("llm", source) if isinstance(values, dict)]


def told(exchanges: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    return [(each["conversation_id"], each["user_input"], each["agent_response"]) for each in exchanges]


def test_json(foreign: ForeignFiles) -> None:
    """Rows of a conversation come together; what has no field is kept."""
    values = [
        {
            "id": "1",
            "prompt": "Hi",
            "response": "Ho",
            "conversation_id": "c1",
            "conversation_name": "Greetings",
        }
        | {"duration_ms": 250, "datetime_utc": "2024-05-17T12:00:00.25", "options_json": {"temperature": 0}},
        {"id": "2", "prompt": "One?", "response": "Two.", "conversation_id": "c2"},
        {"id": "3", "prompt": "And?", "response": "No.", "conversation_id": "c1", "duration_ms": "fast"},
        {"id": "4", "prompt": None, "response": "Alone", "conversation_id": None, "duration_ms": 10**400},
        {"prompt": "Nameless"},
    ]

    found = foreign.found("llm", values)
    exchanges = [each for _, each in found if isinstance(each, dict)]

    expected = [("c1", "Hi", "Ho"), ("c1", "And?", "No."), ("c2", "One?", "Two."), ("4", "", "Alone")]
    assert expected == told(exchanges)[:4]
    assert exchanges[4]["conversation_id"].startswith("llm-")
    assert [250.0, 0.0, 0.0, 0.0, 0.0] == [each["response_time_ms"] for each in exchanges]
    assert datetime(2024, 5, 17, 12, 0, 0, 250_000, tzinfo=UTC) == exchanges[0]["timestamp"]
    assert "Greetings" == exchanges[0]["metadata"]["title"]
    assert 'conversation 1 ("Greetings")' == found[0][0]
    assert [] == foreign.missing(values, exchanges)


def test_json_that_is_no_row(foreign: ForeignFiles) -> None:
    """Is a fault, and the rows around it are read."""
    found = foreign.found("llm", '{"prompt": "a"}\n7\n{"id": 1}\n{"prompt": "b"}')

    fault = Fault("it is no JSON object with a `prompt` and a `response`, as a row of llm is")
    assert [("row 2", fault), ("row 3", fault)] == found[:2]
    assert ["a", "b"] == [values["user_input"] for _, values in found[2:] if isinstance(values, dict)]


def test_an_older_database(foreign: ForeignFiles, tmp_path: Path) -> None:
    """Gives its rows with all that other tables say of them."""
    path = database(tmp_path / "logs.db", OLD_SCHEMA)

    exchanges = read(foreign, path)

    assert [("c1", "Hi", "Ho"), ("c1", "And?", "No."), ("c2", "One?", "Two."), ("r4", "", "Alone")] == told(
        exchanges
    )
    source = exchanges[0]["metadata"]["source"]
    assert {"id": "c1", "name": "Greetings", "model": "m"} == source["conversation"]
    assert "Greetings" == exchanges[0]["metadata"]["title"]
    attached = source["messages"][0]["prompt_attachments"][0]["attachment"]
    assert {"base64": "iVBORw=="} == attached["content"]
    result = exchanges[1]["metadata"]["source"]["messages"][0]["tool_results"][0]
    assert {"id": 7, "name": "clock"} == result["tool"]
    assert "text/plain" == result["tool_results_attachments"][0]["attachment"]["type"]
    assert [b"\x89PNG"] == foreign.missing(rows(path), exchanges)  # which stands there in Base64


def test_a_newer_database(foreign: ForeignFiles, tmp_path: Path) -> None:
    """Gives turns with the messages in them, behind the older rows of their conversation."""
    path = database(tmp_path / "logs.db", NEW_SCHEMA)

    exchanges = read(foreign, path)

    assert [
        ("t1", "Old", "Yes"),
        ("t1", "Hi", "Ho"),
        ("t1", "A long text?", ""),
        ("t1", "", "No."),
        ("z", "x", "y"),
        ("q4", "", ""),
        ("q5", "", ""),
    ] == told(exchanges)
    messages = exchanges[1]["metadata"]["source"]["messages"][0]["messages"]
    assert ["system", "user", "assistant"] == [each["role"] for each in messages]
    assert [9.0, 8.0, 7.0] == [each["response_time_ms"] for each in exchanges[1:4]]
    fragment = {"id": 1, "content": "A long text"}
    question = exchanges[2]["metadata"]["source"]["messages"][0]["messages"][0]
    assert fragment == question["parts"][0]["part_fragments"][0]["fragment"]
    assert "Before" == exchanges[0]["metadata"]["title"]
    assert [] == foreign.missing(rows(path), exchanges)


def test_a_database_is_not_changed(foreign: ForeignFiles, tmp_path: Path) -> None:
    """Nor is anything put beside it; it may be read from a stream."""
    path = database(tmp_path / "logs.db", OLD_SCHEMA)
    before = path.read_bytes()

    assert read(foreign, path) == foreign.exchanges("llm", before)

    assert before == path.read_bytes()
    assert [path] == list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "script",
    [
        "CREATE TABLE other (x)",
        "CREATE TABLE responses (x)",
        "CREATE VIEW responses AS SELECT 1 AS id, 2 AS conversation_id",
        'CREATE TABLE "odd"" name" (x REFERENCES gone)',
    ],
)
def test_other_databases(foreign: ForeignFiles, tmp_path: Path, script: str) -> None:
    """Are refused."""
    path = database(tmp_path / "other.db", script)

    with pytest.raises(FormatError, match="not one of `llm`"):
        read(foreign, path)


def test_a_damaged_database(foreign: ForeignFiles, tmp_path: Path) -> None:
    """Is refused, wherever the damage is."""
    raw = database(tmp_path / "logs.db", OLD_SCHEMA).read_bytes()
    damaged = tmp_path / "damaged.db"
    for begin in range(100, len(raw), 1_000):
        damaged.write_bytes(raw[:begin] + b"\xff" * 700 + raw[begin + 700 :])
        message = str(damaged)
        try:
            read(foreign, damaged)
        except FormatError as error:
            message = str(error)
        assert str(damaged) in message


def test_text_that_is_not_utf_8(foreign: ForeignFiles, tmp_path: Path) -> None:
    """Is refused."""
    script = (
        CONVERSATIONS + RESPONSES + "INSERT INTO responses (id, prompt) VALUES ('r', CAST(X'FF' AS TEXT))"
    )

    with pytest.raises(FormatError, match="text that is not UTF-8"):
        read(foreign, database(tmp_path / "logs.db", script))


def test_values_that_are_too_large(foreign: ForeignFiles, tmp_path: Path) -> None:
    """Are not read."""
    script = (
        CONVERSATIONS + RESPONSES + "INSERT INTO responses (id, prompt) VALUES ('r', hex(zeroblob(5000)))"
    )

    with pytest.raises(TransferLimitError, match="max_record_bytes"):
        read(foreign, database(tmp_path / "logs.db", script), max_record_bytes=6_000)


def test_a_reader_that_is_left(foreign: ForeignFiles, tmp_path: Path) -> None:
    """Closes the database."""
    path = database(tmp_path / "logs.db", OLD_SCHEMA)
    with closing(Source(str(path), ImportLimits())) as source:
        reader = reader_class(ExportFormat.LLM, EXCHANGES.name)(source, EXCHANGES, ReadOptions())
        found = iter(reader)
        next(found)
        reader.close()
    with closing(sqlite3.connect(path, timeout=0)) as connection:
        connection.execute("DROP TABLE responses")  # which nobody reads any more


def test_many_rows_apart(foreign: ForeignFiles) -> None:
    """Are put together from a file that is set aside."""
    values = [{"prompt": f"{number}" * 500, "conversation_id": f"c{number % 3}"} for number in range(900)]

    exchanges = foreign.exchanges("llm", "\n".join(map(json.dumps, values)))

    assert sorted(each["conversation_id"] for each in exchanges) == [
        each["conversation_id"] for each in exchanges
    ]
    assert [f"{number}" * 500 for number in range(0, 900, 3)] == [
        each["user_input"] for each in exchanges[:300]
    ]
