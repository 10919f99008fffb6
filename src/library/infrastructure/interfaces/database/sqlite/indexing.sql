-- reach --
SELECT last_id, indexed_id FROM nanobrain_tables WHERE name = ?

-- version --
SELECT index_version FROM nanobrain_tables WHERE name = ?

-- empty --
INSERT INTO "nanobrain:{table}:search" ("nanobrain:{table}:search") VALUES ('delete-all')

-- begin_version --
UPDATE nanobrain_tables SET index_version = ?, indexed_id = 0 WHERE name = ?

-- set_reach --
UPDATE nanobrain_tables SET indexed_id = ? WHERE name = ?

-- next_rows --
SELECT id, conversation_id, user_input, agent_response FROM "{table}" WHERE id > ? ORDER BY id LIMIT ?

-- add --
INSERT INTO "nanobrain:{table}:search" (rowid, user_input, agent_response, marks)

-- remove --
INSERT INTO "nanobrain:{table}:search" ("nanobrain:{table}:search", rowid, user_input, agent_response, marks)
VALUES ('delete', ?, ?, ?, ?)

-- secure_delete --
INSERT INTO "nanobrain:{table}:search" ("nanobrain:{table}:search", rank) VALUES ('secure-delete', ?)

-- separators --
SELECT term FROM "nanobrain:{table}:search_idx" WHERE term <> x''

-- any_match --
SELECT 1 FROM "nanobrain:{table}:search" WHERE "nanobrain:{table}:search" MATCH ? LIMIT 1

-- want_merge --
UPDATE nanobrain_tables SET index_must_merge = 1 WHERE name = ?

-- must_merge --
SELECT index_must_merge FROM nanobrain_tables WHERE name = ?

-- merge --
INSERT INTO "nanobrain:{table}:search" ("nanobrain:{table}:search", rank) VALUES ('merge', ?)

-- end_merge --
UPDATE nanobrain_tables SET index_must_merge = 0 WHERE name = ?

-- check --
INSERT INTO "nanobrain:{table}:search" ("nanobrain:{table}:search") VALUES ('integrity-check')

-- rows_as_bytes --
SELECT id, CAST(conversation_id AS BLOB), CAST(user_input AS BLOB), CAST(agent_response AS BLOB),
    CAST(metadata AS BLOB)
FROM "{table}"

-- rows_not_indexed --
SELECT count(*) FROM (
    SELECT id FROM "{table}" WHERE id <= ? EXCEPT SELECT id FROM "nanobrain:{table}:search_docsize"
)

-- indexed_not_rows --
SELECT count(*) FROM (SELECT id FROM "nanobrain:{table}:search_docsize" EXCEPT SELECT id FROM "{table}")
