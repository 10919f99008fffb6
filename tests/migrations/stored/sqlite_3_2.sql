PRAGMA user_version = 3;
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
    -- Whether something was erased that still stands in the index, until it is merged.
    index_must_merge INTEGER NOT NULL DEFAULT 0,
    -- Whether SQLite may have split pages of the table, and left copies of rows behind, since the last VACUUM.
    has_split_pages INTEGER NOT NULL DEFAULT 0,
    -- How often the table was changed, and when it was last, in microseconds since 1970.
    changes INTEGER NOT NULL DEFAULT 0,
    changed_at INTEGER NOT NULL DEFAULT 0
, active_count INTEGER NOT NULL DEFAULT 0) STRICT, WITHOUT ROWID;
CREATE TABLE nanobrain_loads (
    id INTEGER PRIMARY KEY,
    table_name TEXT NOT NULL COLLATE NOCASE,
    -- The file beside the database.
    spool TEXT NOT NULL,
    -- How many bytes it has.
    spool_size INTEGER NOT NULL,
    row_count INTEGER NOT NULL,
    merge TEXT NOT NULL,
    has_own_ids INTEGER NOT NULL,
    -- The least and the greatest id among the rows; 0 if none has one.
    least_id INTEGER NOT NULL,
    greatest_id INTEGER NOT NULL,
    -- The greatest id that was given in the table before.
    former_last_id INTEGER NOT NULL,
    -- What is added to the ids of the rows.
    shift INTEGER NOT NULL,
    -- 'replacing', 'inserting' or 'linking'.
    phase TEXT NOT NULL,
    -- How many bytes of the file are done in this phase.
    position INTEGER NOT NULL,
    written INTEGER NOT NULL,
    skipped INTEGER NOT NULL,
    replaced INTEGER NOT NULL,
    detached INTEGER NOT NULL
) STRICT;
CREATE TABLE nanobrain_load_ids (
    load_id INTEGER NOT NULL,
    row_id INTEGER NOT NULL,
    id INTEGER NOT NULL,
    PRIMARY KEY (load_id, row_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE nanobrain_load_links (
    load_id INTEGER NOT NULL,
    id INTEGER NOT NULL,
    parent_row_id INTEGER NOT NULL,
    PRIMARY KEY (load_id, id)
) STRICT, WITHOUT ROWID;
CREATE TABLE "conversations" (
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
, session_key INTEGER DEFAULT 0) STRICT;
CREATE INDEX "nanobrain:conversations:by_conversation" ON "conversations" (conversation_key, timestamp, id);
CREATE INDEX "nanobrain:conversations:by_time" ON "conversations" (timestamp, id, response_time_ms);
CREATE INDEX "nanobrain:conversations:by_response_time" ON "conversations" (response_time_ms, id);
CREATE INDEX "nanobrain:conversations:by_parent" ON "conversations" (parent_id) WHERE parent_id IS NOT NULL;
INSERT INTO sqlite_schema (type, name, tbl_name, rootpage, sql) VALUES ('table', 'nanobrain:conversations:search', 'nanobrain:conversations:search', 0, 'CREATE VIRTUAL TABLE "nanobrain:conversations:search" USING fts5(
    user_input, agent_response, marks, content = '''', tokenize = ''ascii''
)');
CREATE TABLE 'nanobrain:conversations:search_data'(id INTEGER PRIMARY KEY, block BLOB);
CREATE TABLE 'nanobrain:conversations:search_idx'(segid, term, pgno, PRIMARY KEY(segid, term)) WITHOUT ROWID;
CREATE TABLE 'nanobrain:conversations:search_docsize'(id INTEGER PRIMARY KEY, sz BLOB);
CREATE TABLE 'nanobrain:conversations:search_config'(k PRIMARY KEY, v) WITHOUT ROWID;
CREATE INDEX "nanobrain:conversations:by_session" ON "conversations" (session_key, conversation_key) WHERE session_key <> 0;
CREATE TABLE "Notes_2" (
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
, session_key INTEGER DEFAULT 0) STRICT;
CREATE INDEX "nanobrain:Notes_2:by_conversation" ON "Notes_2" (conversation_key, timestamp, id);
CREATE INDEX "nanobrain:Notes_2:by_time" ON "Notes_2" (timestamp, id, response_time_ms);
CREATE INDEX "nanobrain:Notes_2:by_response_time" ON "Notes_2" (response_time_ms, id);
CREATE INDEX "nanobrain:Notes_2:by_parent" ON "Notes_2" (parent_id) WHERE parent_id IS NOT NULL;
INSERT INTO sqlite_schema (type, name, tbl_name, rootpage, sql) VALUES ('table', 'nanobrain:Notes_2:search', 'nanobrain:Notes_2:search', 0, 'CREATE VIRTUAL TABLE "nanobrain:Notes_2:search" USING fts5(
    user_input, agent_response, marks, content = '''', tokenize = ''ascii''
)');
CREATE TABLE 'nanobrain:Notes_2:search_data'(id INTEGER PRIMARY KEY, block BLOB);
CREATE TABLE 'nanobrain:Notes_2:search_idx'(segid, term, pgno, PRIMARY KEY(segid, term)) WITHOUT ROWID;
CREATE TABLE 'nanobrain:Notes_2:search_docsize'(id INTEGER PRIMARY KEY, sz BLOB);
CREATE TABLE 'nanobrain:Notes_2:search_config'(k PRIMARY KEY, v) WITHOUT ROWID;
CREATE INDEX "nanobrain:Notes_2:by_session" ON "Notes_2" (session_key, conversation_key) WHERE session_key <> 0;
CREATE TABLE "sessions" (
    -- A digest of the session_id, by which sessions are looked up: how long that takes tells nothing of the id, and one
    -- whole number is found faster than a text. Its upper bits are the time of creation, where the id tells it, so that
    -- sessions that are created together stand together.
    session_key INTEGER PRIMARY KEY,
    session_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    -- A digest of the user_id, which may be long.
    user_key INTEGER NOT NULL,
    -- Microseconds since 1970, UTC, as all times here.
    created_at INTEGER NOT NULL,
    last_activity INTEGER NOT NULL,
    -- From when the timeout counts: the last_activity; later while some process holds activity in memory; long ago
    -- once the session was found to have expired.
    alive_at INTEGER NOT NULL,
    -- What is indexed in its place: an earlier alive_at. Activity leaves it as it is, so that no index changes with
    -- each; it is brought up to date when the session is looked at.
    indexed_alive_at INTEGER NOT NULL,
    is_active INTEGER NOT NULL,
    ended_at INTEGER,
    -- 'ended', 'expired' or 'evicted'.
    end_reason TEXT,
    version INTEGER NOT NULL,
    -- JSON.
    metadata TEXT NOT NULL
) STRICT;
CREATE INDEX "nanobrain:sessions:by_creation" ON "sessions" (created_at);
CREATE INDEX "nanobrain:sessions:by_user" ON "sessions" (user_key, is_active, created_at);
CREATE INDEX "nanobrain:sessions:by_activity" ON "sessions" (indexed_alive_at) WHERE is_active = 1;
CREATE INDEX "nanobrain:sessions:by_end" ON "sessions" (ended_at) WHERE is_active = 0;
INSERT INTO "nanobrain_tables" VALUES ('conversations', 'conversations', 2, 6, 3, 1, 0, 0, 7, 1795731770162267, 0);
INSERT INTO "nanobrain_tables" VALUES ('Notes_2', 'conversations', 2, 6, 3, 1, 0, 0, 7, 1795731770194289, 0);
INSERT INTO "nanobrain_tables" VALUES ('sessions', 'sessions', 1, 0, 0, 0, 0, 0, 0, 1795731770216177, 1);
INSERT INTO "conversations" VALUES (1, 'conversation 0', 8451879512511481299, 1715947200001001, CAST(x'5175657374696f6e20313a2077686174206973206120636166c3a920e78cabe381aee69cac3f00' AS TEXT), 'Answer 1 of conversations, learning.', 1.5, NULL, '{"model":"m","tokens":[1,1180591620717411303424],"é":null}', NULL);
INSERT INTO "conversations" VALUES (2, 'conversation 0', 8451879512511481299, 1715947200002002, CAST(x'5175657374696f6e20323a2077686174206973206120636166c3a920e78cabe381aee69cac3f00' AS TEXT), 'Answer 2 of conversations, learning.', 3.0, 1, '{"pi":3.25}', NULL);
INSERT INTO "conversations" VALUES (3, 'conversation 1', -797986566354518946, 1715947200003003, CAST(x'5175657374696f6e20333a2077686174206973206120636166c3a920e78cabe381aee69cac3f00' AS TEXT), 'Answer 3 of conversations, learning.', 4.5, NULL, '{}', NULL);
INSERT INTO "conversations" VALUES (4, 'conversation 1', -797986566354518946, 1715947200004004, CAST(x'5175657374696f6e20343a2077686174206973206120636166c3a920e78cabe381aee69cac3f00' AS TEXT), 'Answer 4 of conversations, learning.', 6.0, 3, '{"model":"m","tokens":[1,1180591620717411303424],"é":null}', NULL);
INSERT INTO "conversations" VALUES (5, 'conversation 1', -797986566354518946, 1715947200005005, CAST(x'5175657374696f6e20353a2077686174206973206120636166c3a920e78cabe381aee69cac3f00' AS TEXT), 'Answer 5 of conversations, learning.', 7.5, 4, '{"pi":3.25}', NULL);
INSERT INTO "nanobrain:conversations:search_data" VALUES (1, X'03180F12');
INSERT INTO "nanobrain:conversations:search_data" VALUES (10, X'000000000101010001010101');
INSERT INTO "nanobrain:conversations:search_data" VALUES (137438953473, X'0000018602303101080301010301013202080301010301013303080301010301016101020601020601020602056E73776572010601010201060101020106010102010463616665010207010207010207020C6F6E766572736174696F6E730106010105010601010501060101050102697301020501020501020501086C6561726E696E6701060101060106010106010601010601026F6601060101040106010104010601010401087175657374696F6E0102020102020102020104776861740102040102040102040109CBA2636F6E7665727301060102050106010205010601020603056C6561726E0106010202010601020201060102020113E1B69C393936636231356662306363653134650306010203041063653834383365643863356533663830010601020601060102060103E381AE0106010207010601020701060102070403E69CAC0102090102090102090103E69CAC0106010204010601020401060102050103E78CAB0106010203010601020301060102040403E381AE010208010208010208040909090C160F1D0D1913130F1A161A1C140E1414');
INSERT INTO "nanobrain:conversations:search_idx" VALUES (1, X'', 2);
INSERT INTO "nanobrain:conversations:search_docsize" VALUES (1, X'080506');
INSERT INTO "nanobrain:conversations:search_docsize" VALUES (2, X'080506');
INSERT INTO "nanobrain:conversations:search_docsize" VALUES (3, X'080506');
INSERT INTO "nanobrain:conversations:search_config" VALUES ('automerge', 8);
INSERT INTO "nanobrain:conversations:search_config" VALUES ('secure-delete', 1);
INSERT INTO "nanobrain:conversations:search_config" VALUES ('version', 4);
INSERT INTO "Notes_2" VALUES (1, 'conversation 0', 8451879512511481299, 1715947200001001, CAST(x'5175657374696f6e20313a2077686174206973206120636166c3a920e78cabe381aee69cac3f00' AS TEXT), 'Answer 1 of Notes_2, learning.', 1.5, NULL, '{"model":"m","tokens":[1,1180591620717411303424],"é":null}', NULL);
INSERT INTO "Notes_2" VALUES (2, 'conversation 0', 8451879512511481299, 1715947200002002, CAST(x'5175657374696f6e20323a2077686174206973206120636166c3a920e78cabe381aee69cac3f00' AS TEXT), 'Answer 2 of Notes_2, learning.', 3.0, 1, '{"pi":3.25}', NULL);
INSERT INTO "Notes_2" VALUES (3, 'conversation 1', -797986566354518946, 1715947200003003, CAST(x'5175657374696f6e20333a2077686174206973206120636166c3a920e78cabe381aee69cac3f00' AS TEXT), 'Answer 3 of Notes_2, learning.', 4.5, NULL, '{}', NULL);
INSERT INTO "Notes_2" VALUES (4, 'conversation 1', -797986566354518946, 1715947200004004, CAST(x'5175657374696f6e20343a2077686174206973206120636166c3a920e78cabe381aee69cac3f00' AS TEXT), 'Answer 4 of Notes_2, learning.', 6.0, 3, '{"model":"m","tokens":[1,1180591620717411303424],"é":null}', NULL);
INSERT INTO "Notes_2" VALUES (5, 'conversation 1', -797986566354518946, 1715947200005005, CAST(x'5175657374696f6e20353a2077686174206973206120636166c3a920e78cabe381aee69cac3f00' AS TEXT), 'Answer 5 of Notes_2, learning.', 7.5, 4, '{"pi":3.25}', NULL);
INSERT INTO "nanobrain:Notes_2:search_data" VALUES (1, X'03181212');
INSERT INTO "nanobrain:Notes_2:search_data" VALUES (10, X'000000000101010001010101');
INSERT INTO "nanobrain:Notes_2:search_data" VALUES (137438953473, X'000001870230310108030101030101320106010106010A0301010305010601010601013303080301010301016101020601020601020602056E737765720106010102010601010201060101020104636166650102070102070102070102697301020501020501020501086C6561726E696E6701060101070106010107010601010701056E6F74657301060101050106010105010601010501026F6601060101040106010104010601010401087175657374696F6E0102020102020102020104776861740102040102040102040107CBA26C6561726E01060102020106010202010601020203046E6F74650106010207010601020701060102070113E1B69C393936636231356662306363653134650306010203041063653834383365643863356533663830010601020501060102050103E381AE0106010206010601020601060102060403E69CAC0102090102090102090103E69CAC0106010204010601020401060102050103E78CAB0106010203010601020301060102040403E381AE010208010208010208040914090C160F0D191613130F18151A1C140E1414');
INSERT INTO "nanobrain:Notes_2:search_idx" VALUES (1, X'', 2);
INSERT INTO "nanobrain:Notes_2:search_docsize" VALUES (1, X'080606');
INSERT INTO "nanobrain:Notes_2:search_docsize" VALUES (2, X'080606');
INSERT INTO "nanobrain:Notes_2:search_docsize" VALUES (3, X'080606');
INSERT INTO "nanobrain:Notes_2:search_config" VALUES ('automerge', 8);
INSERT INTO "nanobrain:Notes_2:search_config" VALUES ('secure-delete', 1);
INSERT INTO "nanobrain:Notes_2:search_config" VALUES ('version', 4);
INSERT INTO "sessions" VALUES (579277003162422858, '020280576000vJZh9UopvxWlR7F9ngCYYK7Dp5l6yh4rsGrBsIL1nk', 'expired', 8306881227045141770, 1715947200000000, 1715947200000000, 1715947200000000, 1715947200000000, 0, 1715954400001001, 'expired', 2, '{}');
INSERT INTO "sessions" VALUES (579292102656759675, '020283c6480SDfptuQT7Ori7p1ueZ42sK8PearF8D-HZlqyJmJXJ7k', 'active', -5558016902752831576, 1715950800000000, 1715954400001001, 1715954400001001, 1715950800000000, 1, NULL, NULL, 1, '{"model":"m","tokens":[1,1180591620717411303424],"é":null}');
INSERT INTO "sessions" VALUES (579292102659512420, '020283c6480G1WkI5k88WErL4CJeKMpEAXQulbAG_P6w-GF6MXeCCI', 'ended', -3193653100371407756, 1715950800000000, 1715950800000000, 1715950800000000, 1715950800000000, 0, 1715950800000000, 'ended', 2, '{"pi":3.25}');
PRAGMA writable_schema = RESET;
