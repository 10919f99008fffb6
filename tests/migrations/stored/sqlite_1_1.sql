PRAGMA user_version = 1;
PRAGMA application_id = 1312965697;
PRAGMA writable_schema = ON;
CREATE TABLE nanobrain_tables (
    name TEXT NOT NULL PRIMARY KEY COLLATE NOCASE,
    kind TEXT NOT NULL,
    schema_version INTEGER NOT NULL,
    -- The greatest id ever given, so that none is given twice.
    last_id INTEGER NOT NULL DEFAULT 0,
    -- All rows up to this id are in the full-text index, none beyond.
    indexed_id INTEGER NOT NULL DEFAULT 0,
    -- Which version of the code made the index; one of another version is made anew.
    index_version INTEGER NOT NULL DEFAULT 0,
    -- How often the table was changed, and when it was last, in microseconds since 1970.
    changes INTEGER NOT NULL DEFAULT 0,
    changed_at INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE TABLE "conversations" (
    id INTEGER PRIMARY KEY,
    conversation_id TEXT NOT NULL,
    -- Microseconds since 1970, UTC.
    timestamp INTEGER NOT NULL,
    user_input TEXT NOT NULL,
    agent_response TEXT NOT NULL,
    response_time_ms REAL NOT NULL,
    parent_id INTEGER,
    -- JSON.
    metadata TEXT NOT NULL
) STRICT;
CREATE INDEX "nanobrain_conversations_by_conversation" ON "conversations" (conversation_id, timestamp, id);
CREATE INDEX "nanobrain_conversations_by_time" ON "conversations" (timestamp, id, response_time_ms);
CREATE INDEX "nanobrain_conversations_by_response_time" ON "conversations" (response_time_ms, id);
CREATE INDEX "nanobrain_conversations_by_parent" ON "conversations" (parent_id) WHERE parent_id IS NOT NULL;
INSERT INTO sqlite_schema (type, name, tbl_name, rootpage, sql) VALUES ('table', 'nanobrain_search_conversations', 'nanobrain_search_conversations', 0, 'CREATE VIRTUAL TABLE "nanobrain_search_conversations" USING fts5(
    user_input, agent_response, marks, content = '''', tokenize = ''ascii''
)');
CREATE TABLE 'nanobrain_search_conversations_data'(id INTEGER PRIMARY KEY, block BLOB);
CREATE TABLE 'nanobrain_search_conversations_idx'(segid, term, pgno, PRIMARY KEY(segid, term)) WITHOUT ROWID;
CREATE TABLE 'nanobrain_search_conversations_docsize'(id INTEGER PRIMARY KEY, sz BLOB);
CREATE TABLE 'nanobrain_search_conversations_config'(k PRIMARY KEY, v) WITHOUT ROWID;
CREATE TABLE "Notes_2" (
    id INTEGER PRIMARY KEY,
    conversation_id TEXT NOT NULL,
    -- Microseconds since 1970, UTC.
    timestamp INTEGER NOT NULL,
    user_input TEXT NOT NULL,
    agent_response TEXT NOT NULL,
    response_time_ms REAL NOT NULL,
    parent_id INTEGER,
    -- JSON.
    metadata TEXT NOT NULL
) STRICT;
CREATE INDEX "nanobrain_Notes_2_by_conversation" ON "Notes_2" (conversation_id, timestamp, id);
CREATE INDEX "nanobrain_Notes_2_by_time" ON "Notes_2" (timestamp, id, response_time_ms);
CREATE INDEX "nanobrain_Notes_2_by_response_time" ON "Notes_2" (response_time_ms, id);
CREATE INDEX "nanobrain_Notes_2_by_parent" ON "Notes_2" (parent_id) WHERE parent_id IS NOT NULL;
INSERT INTO sqlite_schema (type, name, tbl_name, rootpage, sql) VALUES ('table', 'nanobrain_search_Notes_2', 'nanobrain_search_Notes_2', 0, 'CREATE VIRTUAL TABLE "nanobrain_search_Notes_2" USING fts5(
    user_input, agent_response, marks, content = '''', tokenize = ''ascii''
)');
CREATE TABLE 'nanobrain_search_Notes_2_data'(id INTEGER PRIMARY KEY, block BLOB);
CREATE TABLE 'nanobrain_search_Notes_2_idx'(segid, term, pgno, PRIMARY KEY(segid, term)) WITHOUT ROWID;
CREATE TABLE 'nanobrain_search_Notes_2_docsize'(id INTEGER PRIMARY KEY, sz BLOB);
CREATE TABLE 'nanobrain_search_Notes_2_config'(k PRIMARY KEY, v) WITHOUT ROWID;
INSERT INTO "nanobrain_tables" VALUES ('conversations', 'conversations', 1, 6, 0, 1, 7, 1795418895892155);
INSERT INTO "nanobrain_tables" VALUES ('Notes_2', 'conversations', 1, 6, 0, 1, 7, 1795418895897253);
INSERT INTO "conversations" VALUES (1, 'conversation 0', 1715947200001001, CAST(x'5175657374696f6e20313a2077686174206973206120636166c3a920e78cabe381aee69cac3f00' AS TEXT), 'Answer 1 of conversations, learning.', 1.5, NULL, '{"model":"m","tokens":[1,1180591620717411303424],"é":null}');
INSERT INTO "conversations" VALUES (2, 'conversation 0', 1715947200002002, CAST(x'5175657374696f6e20323a2077686174206973206120636166c3a920e78cabe381aee69cac3f00' AS TEXT), 'Answer 2 of conversations, learning.', 3.0, 1, '{"pi":3.25}');
INSERT INTO "conversations" VALUES (3, 'conversation 1', 1715947200003003, CAST(x'5175657374696f6e20333a2077686174206973206120636166c3a920e78cabe381aee69cac3f00' AS TEXT), 'Answer 3 of conversations, learning.', 4.5, NULL, '{}');
INSERT INTO "conversations" VALUES (4, 'conversation 1', 1715947200004004, CAST(x'5175657374696f6e20343a2077686174206973206120636166c3a920e78cabe381aee69cac3f00' AS TEXT), 'Answer 4 of conversations, learning.', 6.0, 3, '{"model":"m","tokens":[1,1180591620717411303424],"é":null}');
INSERT INTO "conversations" VALUES (5, 'conversation 1', 1715947200005005, CAST(x'5175657374696f6e20353a2077686174206973206120636166c3a920e78cabe381aee69cac3f00' AS TEXT), 'Answer 5 of conversations, learning.', 7.5, 4, '{"pi":3.25}');
INSERT INTO "nanobrain_search_conversations_data" VALUES (1, X'');
INSERT INTO "nanobrain_search_conversations_data" VALUES (10, X'00000001000000');
INSERT INTO "nanobrain_search_conversations_config" VALUES ('secure-delete', 1);
INSERT INTO "nanobrain_search_conversations_config" VALUES ('version', 4);
INSERT INTO "Notes_2" VALUES (1, 'conversation 0', 1715947200001001, CAST(x'5175657374696f6e20313a2077686174206973206120636166c3a920e78cabe381aee69cac3f00' AS TEXT), 'Answer 1 of Notes_2, learning.', 1.5, NULL, '{"model":"m","tokens":[1,1180591620717411303424],"é":null}');
INSERT INTO "Notes_2" VALUES (2, 'conversation 0', 1715947200002002, CAST(x'5175657374696f6e20323a2077686174206973206120636166c3a920e78cabe381aee69cac3f00' AS TEXT), 'Answer 2 of Notes_2, learning.', 3.0, 1, '{"pi":3.25}');
INSERT INTO "Notes_2" VALUES (3, 'conversation 1', 1715947200003003, CAST(x'5175657374696f6e20333a2077686174206973206120636166c3a920e78cabe381aee69cac3f00' AS TEXT), 'Answer 3 of Notes_2, learning.', 4.5, NULL, '{}');
INSERT INTO "Notes_2" VALUES (4, 'conversation 1', 1715947200004004, CAST(x'5175657374696f6e20343a2077686174206973206120636166c3a920e78cabe381aee69cac3f00' AS TEXT), 'Answer 4 of Notes_2, learning.', 6.0, 3, '{"model":"m","tokens":[1,1180591620717411303424],"é":null}');
INSERT INTO "Notes_2" VALUES (5, 'conversation 1', 1715947200005005, CAST(x'5175657374696f6e20353a2077686174206973206120636166c3a920e78cabe381aee69cac3f00' AS TEXT), 'Answer 5 of Notes_2, learning.', 7.5, 4, '{"pi":3.25}');
INSERT INTO "nanobrain_search_Notes_2_data" VALUES (1, X'');
INSERT INTO "nanobrain_search_Notes_2_data" VALUES (10, X'00000001000000');
INSERT INTO "nanobrain_search_Notes_2_config" VALUES ('secure-delete', 1);
INSERT INTO "nanobrain_search_Notes_2_config" VALUES ('version', 4);
PRAGMA writable_schema = RESET;
