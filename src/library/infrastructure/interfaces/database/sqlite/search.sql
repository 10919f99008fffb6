-- newest --
SELECT rowid FROM "nanobrain_search_{table}" WHERE "nanobrain_search_{table}" MATCH ?
ORDER BY rowid DESC LIMIT ?

-- last_id --
SELECT last_id FROM nanobrain_tables WHERE name = ?

-- count_conversation --
SELECT count(*) FROM (SELECT 1 FROM "{table}" WHERE conversation_id = ? LIMIT ?)

-- rows --
SELECT {columns} FROM "{table}" WHERE id IN (SELECT value FROM json_each(?))

-- before --
SELECT id FROM "{table}" WHERE conversation_id = ? AND (timestamp, id) < (?, ?)
ORDER BY timestamp DESC, id DESC LIMIT ?

-- behind --
SELECT id FROM "{table}" WHERE conversation_id = ? AND (timestamp, id) > (?, ?)
ORDER BY timestamp, id LIMIT ?
