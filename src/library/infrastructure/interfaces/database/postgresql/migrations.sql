-- has_tables --
SELECT to_regclass('"{schema}".nanobrain_tables') IS NOT NULL

-- has_schema --
SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = '{schema}')

-- make_schema --
CREATE SCHEMA "{schema}"

-- lock --
SELECT pg_advisory_xact_lock(hashtextextended('nanobrain:{schema}', 0))

-- be_patient --
SET LOCAL lock_timeout = '3s'

-- known_table --
SELECT kind, schema_version FROM "{schema}".nanobrain_tables WHERE name = $1

-- known_tables --
SELECT shown_name, kind, schema_version FROM "{schema}".nanobrain_tables WHERE name <> '' ORDER BY name

-- is_taken --
SELECT EXISTS (
    SELECT FROM pg_class AS relation JOIN pg_namespace AS place ON place.oid = relation.relnamespace
    WHERE place.nspname = '{schema}' AND lower(relation.relname) = $1
)

-- note_table --
INSERT INTO "{schema}".nanobrain_tables (name, shown_name, kind, schema_version) VALUES ($1, $2, $3, $4)
ON CONFLICT (name) DO UPDATE SET schema_version = excluded.schema_version

-- server --
SELECT current_setting('server_version_num')::int AS version, current_setting('server_encoding') AS encoding
