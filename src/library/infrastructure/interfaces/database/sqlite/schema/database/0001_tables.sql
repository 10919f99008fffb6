-- The tables that this library made in this file. `table_name`s are the users'; all else begins with nanobrain,
-- with a colon behind it where a table_name follows, which none of them holds.
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
) STRICT, WITHOUT ROWID;
