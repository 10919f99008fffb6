-- newest --
SELECT rowid FROM "nanobrain:{table}:search" WHERE "nanobrain:{table}:search" MATCH ?
ORDER BY rowid DESC LIMIT ?

-- reach --
SELECT last_id, indexed_id FROM nanobrain_tables WHERE name = ?

-- not_indexed --
SELECT {columns} FROM "{table}" WHERE id > :indexed_id

-- not_indexed_of_conversation --
SELECT {columns} FROM "{table}" WHERE id > :indexed_id AND +conversation_id = :conversation_id

-- count_conversation --
SELECT count(*) FROM (SELECT 1 FROM "{table}" WHERE conversation_key = ? LIMIT ?)

-- rows --
SELECT {columns} FROM "{table}" WHERE id IN (SELECT value FROM json_each(?))

-- before --
SELECT id FROM "{table}" WHERE conversation_key = ? AND (timestamp, id) < (?, ?)
ORDER BY timestamp DESC, id DESC LIMIT ?

-- behind --
SELECT id FROM "{table}" WHERE conversation_key = ? AND (timestamp, id) > (?, ?)
ORDER BY timestamp, id LIMIT ?
