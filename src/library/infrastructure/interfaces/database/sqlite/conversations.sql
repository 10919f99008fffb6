-- counters --
SELECT last_id, indexed_id, changes FROM nanobrain_tables WHERE name = ?

-- set_counters --
UPDATE nanobrain_tables SET last_id = ?, changes = ?, changed_at = ? WHERE name = ?

-- has_split_pages --
SELECT has_split_pages FROM nanobrain_tables WHERE name = ?

-- set_split --
UPDATE nanobrain_tables SET has_split_pages = 1 WHERE name = ? AND NOT has_split_pages

-- lengths --
SELECT octet_length(conversation_id) + octet_length(user_input) + octet_length(agent_response)
    + octet_length(metadata) + iif(session_key IS 0, 0, 1 + 8 * (session_key IS NOT NULL))
FROM "{table}" WHERE id = ?

-- count_before --
SELECT count(*) FROM "{table}" WHERE timestamp < ? AND id <= ?

-- count_of_conversation --
SELECT count(*) FROM "{table}" WHERE conversation_key = ? AND conversation_id = ?

-- state --
SELECT changes, changed_at FROM nanobrain_tables WHERE name = ?

-- insert --
INSERT INTO "{table}" (
    id, conversation_id, timestamp, user_input, agent_response, response_time_ms, parent_id, metadata,
    conversation_key, session_key
)

-- replace --
UPDATE "{table}"
SET conversation_id = ?2, timestamp = ?3, user_input = ?4, agent_response = ?5, response_time_ms = ?6,
    parent_id = ?7, metadata = ?8, conversation_key = ?9, session_key = ?10
WHERE id = ?1

-- get --
SELECT {columns} FROM "{table}" WHERE id = ?

-- exists --
SELECT 1 FROM "{table}" WHERE id = ?

-- conversation_of --
SELECT conversation_id FROM "{table}" WHERE id = ?

-- latest --
SELECT {columns} FROM "{table}" ORDER BY id DESC LIMIT 1

-- blank --
-- In place, since nothing gets longer: what metadata lose is the room that session_key takes in a row that had none.
-- A row that is only deleted may leave a copy of itself behind, where SQLite moves the rows of a page to another.
UPDATE "{table}"
SET conversation_id = printf('%*s', octet_length(conversation_id), ''),
    user_input = printf('%*s', octet_length(user_input), ''),
    agent_response = printf('%*s', octet_length(agent_response), ''),
    metadata = printf('%*s', octet_length(metadata) - (session_key IS 0), ''),
    session_key = NULL
WHERE id = ?

-- delete --
DELETE FROM "{table}" WHERE id = ?

-- texts_of_one --
SELECT id, conversation_id, user_input, agent_response, parent_id FROM "{table}" WHERE id = ?

-- texts_of_conversation --
SELECT id, conversation_id, user_input, agent_response, parent_id FROM "{table}"
WHERE conversation_key = ? AND conversation_id = ? ORDER BY timestamp, id LIMIT ?

-- texts_before --
SELECT id, conversation_id, user_input, agent_response, parent_id FROM "{table}"
WHERE timestamp < ? AND id <= ? ORDER BY timestamp, id LIMIT ?

-- texts_of_all --
SELECT id, conversation_id, user_input, agent_response, parent_id FROM "{table}"
WHERE id <= ? ORDER BY id LIMIT ?

-- children --
SELECT id, session_key IS 0 FROM "{table}" WHERE parent_id = ?

-- set_parent --
UPDATE "{table}" SET parent_id = ? WHERE id = ?

-- has_backlog --
SELECT 1 FROM "{table}"
WHERE id > (SELECT indexed_id FROM nanobrain_tables WHERE name = ?) ORDER BY id LIMIT 1 OFFSET ?

-- history --
SELECT {columns} FROM "{table}"
WHERE conversation_key = ? AND conversation_id = ? ORDER BY timestamp DESC, id DESC LIMIT ?

-- history_before --
SELECT {columns} FROM "{table}"
WHERE conversation_key = ? AND conversation_id = ? AND (timestamp, id) < (?, ?) ORDER BY timestamp DESC, id DESC LIMIT ?

-- place --
SELECT timestamp, id FROM "{table}" WHERE id = ? AND conversation_id = ?

-- thread --
WITH RECURSIVE path (id, depth) AS (
    SELECT id, 0 FROM "{table}" WHERE id = ?
    UNION ALL
    SELECT parent.id, path.depth + 1
    FROM path JOIN "{table}" AS child ON child.id = path.id JOIN "{table}" AS parent ON parent.id = child.parent_id
)
SELECT {columns} FROM path JOIN "{table}" USING (id) ORDER BY path.depth DESC

-- has_parents --
SELECT 1 FROM "{table}"
WHERE conversation_key = ? AND conversation_id = ? AND parent_id IS NOT NULL LIMIT 1

-- count --
SELECT count(*) FROM "{table}"

-- any_of_conversation --
SELECT 1 FROM "{table}" WHERE conversation_key = ? AND conversation_id = ? LIMIT 1

-- leading_to --
SELECT {columns} FROM "{table}"
WHERE conversation_key = ? AND conversation_id = ? AND (timestamp, id) <= (?, ?) ORDER BY timestamp, id

-- count_conversations --
-- Leaps from one conversation to the next, up to a limit.
WITH RECURSIVE each (key) AS (
    SELECT min(conversation_key) FROM "{table}"
    UNION ALL
    SELECT (SELECT min(conversation_key) FROM "{table}" WHERE conversation_key > each.key)
    FROM each WHERE each.key IS NOT NULL
    LIMIT ?
)
SELECT count(key) FROM each

-- summaries_of_few --
-- Leaps from one conversation to the next, and sorts: quick where there are few, however long they are.
WITH RECURSIVE each (key) AS (
    SELECT min(conversation_key) FROM "{table}"
    UNION ALL
    SELECT (SELECT min(conversation_key) FROM "{table}" WHERE conversation_key > each.key)
    FROM each WHERE each.key IS NOT NULL
)
SELECT last.conversation_id, last.timestamp, last.id,
    (SELECT count(*) FROM "{table}" WHERE conversation_key = last.conversation_key),
    first.timestamp, first.user_input
FROM each
CROSS JOIN "{table}" AS last ON last.id = (
    SELECT id FROM "{table}" WHERE conversation_key = each.key ORDER BY timestamp DESC, id DESC LIMIT 1
)
CROSS JOIN "{table}" AS first ON first.id = (
    SELECT id FROM "{table}" WHERE conversation_key = each.key ORDER BY timestamp, id LIMIT 1
)
WHERE (last.timestamp, last.id) < (?, ?)
ORDER BY last.timestamp DESC, last.id DESC
LIMIT ?

-- summaries --
-- Walks from the newest exchange on, and keeps those that are the last of their conversations: quick where there are
-- many, and none is very long.
SELECT last.conversation_id, last.timestamp, last.id,
    (SELECT count(*) FROM "{table}" WHERE conversation_key = last.conversation_key),
    first.timestamp, first.user_input
FROM "{table}" AS last CROSS JOIN "{table}" AS first
WHERE (last.timestamp, last.id) < (?, ?)
    AND NOT EXISTS (
        SELECT 1 FROM "{table}" AS later
        WHERE later.conversation_key = last.conversation_key
            AND (later.timestamp, later.id) > (last.timestamp, last.id)
    )
    AND first.id = (
        SELECT id FROM "{table}" WHERE conversation_key = last.conversation_key ORDER BY timestamp, id LIMIT 1
    )
ORDER BY last.timestamp DESC, last.id DESC
LIMIT ?

-- summaries_of_session --
-- Leaps from one conversation of the session to the next, and sorts; only those on the page are counted.
WITH RECURSIVE each (key) AS (
    SELECT min(conversation_key) FROM "{table}" WHERE session_key = ?1 AND session_key <> 0
    UNION ALL
    SELECT (
        SELECT min(conversation_key) FROM "{table}"
        WHERE session_key = ?1 AND session_key <> 0 AND conversation_key > each.key
    )
    FROM each WHERE each.key IS NOT NULL
),
page (key, id) AS (
    SELECT each.key, last.id
    FROM each CROSS JOIN "{table}" AS last ON last.id = (
        SELECT id FROM "{table}" WHERE conversation_key = each.key ORDER BY timestamp DESC, id DESC LIMIT 1
    )
    WHERE (last.timestamp, last.id) < (?3, ?4) AND EXISTS (
        SELECT 1 FROM "{table}"
        WHERE session_key = ?1 AND session_key <> 0 AND conversation_key = each.key
            AND nanobrain_json_holds(metadata, ?2)
    )
    ORDER BY last.timestamp DESC, last.id DESC
    LIMIT ?5
)
SELECT last.conversation_id, last.timestamp, last.id,
    (SELECT count(*) FROM "{table}" WHERE conversation_key = page.key),
    first.timestamp, first.user_input
FROM page
CROSS JOIN "{table}" AS last ON last.id = page.id
CROSS JOIN "{table}" AS first ON first.id = (
    SELECT id FROM "{table}" WHERE conversation_key = page.key ORDER BY timestamp, id LIMIT 1
)
ORDER BY last.timestamp DESC, last.id DESC

-- metrics --
SELECT count(*), avg(response_time_ms), min(response_time_ms), max(response_time_ms),
    percentile_cont(response_time_ms, 0.5), percentile_cont(response_time_ms, 0.95),
    percentile_cont(response_time_ms, 0.99)
FROM "{table}" WHERE timestamp >= :since

-- metrics_per_day --
-- Whole days since 1970, rounded down also before it.
SELECT (timestamp - :day_us * (timestamp < 0) + (timestamp < 0)) / :day_us AS day,
    count(*), avg(response_time_ms), min(response_time_ms), max(response_time_ms),
    percentile_cont(response_time_ms, 0.5), percentile_cont(response_time_ms, 0.95),
    percentile_cont(response_time_ms, 0.99)
FROM "{table}" WHERE timestamp >= :since GROUP BY day ORDER BY day

-- metrics_of_conversation --
SELECT count(*), avg(response_time_ms), min(response_time_ms), max(response_time_ms),
    percentile_cont(response_time_ms, 0.5), percentile_cont(response_time_ms, 0.95),
    percentile_cont(response_time_ms, 0.99)
FROM "{table}" WHERE conversation_key = :conversation_key AND conversation_id = :conversation_id
    AND timestamp >= :since

-- metrics_of_conversation_per_day --
SELECT (timestamp - :day_us * (timestamp < 0) + (timestamp < 0)) / :day_us AS day,
    count(*), avg(response_time_ms), min(response_time_ms), max(response_time_ms),
    percentile_cont(response_time_ms, 0.5), percentile_cont(response_time_ms, 0.95),
    percentile_cont(response_time_ms, 0.99)
FROM "{table}" WHERE conversation_key = :conversation_key AND conversation_id = :conversation_id
    AND timestamp >= :since GROUP BY day ORDER BY day
