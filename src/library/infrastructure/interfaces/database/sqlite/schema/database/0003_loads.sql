-- Imports whose rows are all known to be good, and are being moved from a file into their table. One that was killed
-- is completed when its table is opened again.
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

-- Which exchange stands for a row that was stored under another id than its own, or was there already.
CREATE TABLE nanobrain_load_ids (
    load_id INTEGER NOT NULL,
    row_id INTEGER NOT NULL,
    id INTEGER NOT NULL,
    PRIMARY KEY (load_id, row_id)
) STRICT, WITHOUT ROWID;

-- Exchanges whose parents were not stored yet when they were.
CREATE TABLE nanobrain_load_links (
    load_id INTEGER NOT NULL,
    id INTEGER NOT NULL,
    parent_row_id INTEGER NOT NULL,
    PRIMARY KEY (load_id, id)
) STRICT, WITHOUT ROWID;
