CREATE TABLE "{table}" (
    id INTEGER PRIMARY KEY,
    conversation_id TEXT NOT NULL,
    -- A digest of the conversation_id, which is indexed in its place: ids may be long, and SQLite leaves copies of
    -- what it indexes behind when it splits a page, which nothing erases.
    conversation_key INTEGER NOT NULL,
    -- Microseconds since 1970, UTC.
    timestamp INTEGER NOT NULL,
    user_input TEXT NOT NULL,
    agent_response TEXT NOT NULL,
    response_time_ms REAL NOT NULL,
    parent_id INTEGER,
    -- JSON.
    metadata TEXT NOT NULL
) STRICT;

CREATE INDEX "nanobrain:{table}:by_conversation" ON "{table}" (conversation_key, timestamp, id);

-- Covers the metrics too, which so need not read the texts.
CREATE INDEX "nanobrain:{table}:by_time" ON "{table}" (timestamp, id, response_time_ms);

CREATE INDEX "nanobrain:{table}:by_response_time" ON "{table}" (response_time_ms, id);

CREATE INDEX "nanobrain:{table}:by_parent" ON "{table}" (parent_id) WHERE parent_id IS NOT NULL;

-- Without content of its own: what goes in is made from the row by the package full_text, and so can be made again
-- when it has to go out.
CREATE VIRTUAL TABLE "nanobrain:{table}:search" USING fts5(
    user_input, agent_response, marks, content = '', tokenize = 'ascii'
);

-- What is deleted from the index is gone from its bytes.
INSERT INTO "nanobrain:{table}:search" ("nanobrain:{table}:search", rank) VALUES ('secure-delete', 1);

-- Merges half as often as by default, which makes indexing a seventh faster; searches look into a few more segments.
INSERT INTO "nanobrain:{table}:search" ("nanobrain:{table}:search", rank) VALUES ('automerge', 8);
