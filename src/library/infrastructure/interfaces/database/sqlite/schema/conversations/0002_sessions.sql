-- A digest of the metadata's "session_id" where that is text, else NULL; indexed in its place, as conversation_key is.
-- 0 in rows that are older than this column: they have no room for it, and get longer when they are changed.
ALTER TABLE "{table}" ADD COLUMN session_key INTEGER DEFAULT 0;

UPDATE "{table}" SET session_key = nanobrain_session_key(metadata) WHERE instr(metadata, '"session_id"');

-- These rows are longer now, which may have split pages. `changes()` tells of the statement right before this one.
UPDATE nanobrain_tables SET has_split_pages = 1 WHERE name = '{table}' AND changes();

CREATE INDEX "nanobrain:{table}:by_session" ON "{table}" (session_key, conversation_key) WHERE session_key <> 0;
