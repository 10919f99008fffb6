-- select --
SELECT {columns} FROM "{table}" WHERE {conditions} ORDER BY {order} LIMIT :page_rows

-- one_conversation --
(conversation_key = :conversation_key AND conversation_id = :conversation_id)

-- some_conversations --
(
    conversation_key IN (SELECT value FROM json_each(:conversation_keys))
    AND conversation_id IN (SELECT value FROM json_each(:conversation_ids))
)

-- since --
timestamp >= :since

-- until --
timestamp < :until

-- min_response_time --
response_time_ms >= :min_response_time_ms

-- max_response_time --
response_time_ms <= :max_response_time_ms

-- metadata --
(instr(metadata, :metadata_key) AND nanobrain_json_holds(metadata, :metadata_wanted))

-- fits --
nanobrain_fits(user_input, agent_response, :text_{n})

-- reach --
SELECT indexed_id FROM nanobrain_tables WHERE name = ?

-- few_matches --
id IN (
    SELECT rowid FROM "nanobrain:{table}:search" WHERE "nanobrain:{table}:search" MATCH :match
    UNION ALL
    SELECT id FROM "{table}" WHERE id > :indexed_id AND {fits}
)

-- many_matches --
(
    EXISTS (
        SELECT 1 FROM "nanobrain:{table}:search" AS search
        WHERE "nanobrain:{table}:search" MATCH :match AND search.rowid = "{table}".id
    )
    OR (id > :indexed_id AND {fits})
)

-- count_matches --
SELECT count(*) FROM (
    SELECT 1 FROM "nanobrain:{table}:search" WHERE "nanobrain:{table}:search" MATCH ? LIMIT ?
)
