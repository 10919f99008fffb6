-- The tables that this library made in this schema; '' stands for the schema itself. `table_name`s are the users'; all
-- else begins with nanobrain, with a colon behind it where a table_name follows, which none of them holds.
CREATE TABLE "{schema}".nanobrain_tables (
    -- In lower case.
    name text PRIMARY KEY,
    -- As it was first written.
    shown_name text NOT NULL,
    kind text NOT NULL,
    schema_version integer NOT NULL,
    -- Which version of the code made the full-text index.
    index_version integer NOT NULL DEFAULT 0
);

-- How often a table was changed, and when it was last, in microseconds since 1970. In several slots, whose sum counts,
-- so that not every transaction waits for the same row.
CREATE TABLE "{schema}".nanobrain_changes (
    name text NOT NULL,
    slot integer NOT NULL,
    changes bigint NOT NULL DEFAULT 0,
    changed_at bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (name, slot)
) WITH (fillfactor = 50);
