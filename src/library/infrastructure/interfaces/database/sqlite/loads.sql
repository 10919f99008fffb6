-- insert_load --
INSERT INTO nanobrain_loads (
    table_name, spool, spool_size, row_count, merge, has_own_ids, least_id, greatest_id, former_last_id, shift, phase, position, written,
    skipped, replaced, detached
)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 'replacing', 0, 0, 0, 0, 0) RETURNING id

-- load --
SELECT spool_size, row_count, merge, has_own_ids, least_id, greatest_id, former_last_id, shift, phase, position, written, skipped, replaced,
    detached
FROM nanobrain_loads WHERE id = ?

-- loads_of_table --
SELECT id, spool FROM nanobrain_loads WHERE table_name = ?

-- all_spools --
SELECT spool FROM nanobrain_loads

-- set_load --
UPDATE nanobrain_loads
SET shift = ?2, phase = ?3, position = ?4, written = ?5, skipped = ?6, replaced = ?7, detached = ?8
WHERE id = ?1

-- end_load --
DELETE FROM nanobrain_loads WHERE id = ?

-- end_ids --
DELETE FROM nanobrain_load_ids WHERE load_id = ?

-- end_links --
DELETE FROM nanobrain_load_links WHERE load_id = ?

-- note_id --
INSERT INTO nanobrain_load_ids (load_id, row_id, id) VALUES (?, ?, ?) ON CONFLICT DO NOTHING

-- id_of_row --
SELECT id FROM nanobrain_load_ids WHERE load_id = ? AND row_id = ?

-- note_link --
INSERT INTO nanobrain_load_links (load_id, id, parent_row_id) VALUES (?, ?, ?)

-- links --
SELECT id, parent_row_id FROM nanobrain_load_links WHERE load_id = ? ORDER BY id LIMIT ?

-- end_link --
DELETE FROM nanobrain_load_links WHERE load_id = ? AND id = ?

-- any_between --
SELECT 1 FROM "{table}" WHERE id BETWEEN ? AND ? LIMIT 1

-- taken --
SELECT value FROM json_each(?) WHERE EXISTS (SELECT 1 FROM "{table}" WHERE id = value)

-- greatest_id --
SELECT max(id) FROM "{table}"

-- same --
SELECT id FROM "{table}"
WHERE conversation_key = ? AND conversation_id = ? AND timestamp = ? AND user_input = ? AND agent_response = ?
ORDER BY id LIMIT 1

-- former_of_conversation --
SELECT id, conversation_id, user_input, agent_response, parent_id FROM "{table}"
WHERE conversation_key = ? AND conversation_id = ? AND id <= ? ORDER BY timestamp, id LIMIT ?

-- set_metadata --
UPDATE "{table}" SET metadata = ?2 WHERE id = ?1

-- is_ancestor --
-- Whether the path from one exchange to its root leads over another; it ends, even if the path leads in a circle.
WITH RECURSIVE path (id) AS (
    SELECT ?1
    UNION
    SELECT "{table}".parent_id FROM path JOIN "{table}" USING (id) WHERE "{table}".parent_id IS NOT NULL
)
SELECT 1 FROM path WHERE id = ?2
