-- find --
SELECT {columns} FROM "{schema}"."{table}" WHERE session_key = $1

-- lock_one --
-- Who holds locks on other rows must not wait here; see `session_work.py`.
SELECT {columns} FROM "{schema}"."{table}" WHERE session_key = $1 FOR UPDATE

-- lock_free --
-- Those that nobody else works on.
SELECT {columns} FROM "{schema}"."{table}" WHERE session_key = ANY($1::bigint[]) FOR UPDATE SKIP LOCKED

-- known --
SELECT session_key FROM "{schema}"."{table}" WHERE session_key = ANY($1::bigint[])

-- exclude_others --
SELECT pg_advisory_xact_lock($1)

-- exclude_excluders --
SELECT pg_advisory_xact_lock_shared($1)

-- insert --
INSERT INTO "{schema}"."{table}" (
    session_key, user_key, created_at, last_activity, alive_at, indexed_alive_at, ended_at, version, is_active,
    session_id, user_id, end_reason, metadata
)
SELECT * FROM unnest(
    $1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[],
    $9::boolean[], $10::text[], $11::text[], $12::text[], $13::text[]
)
ON CONFLICT (session_key) DO NOTHING
RETURNING session_key

-- insert_counted --
-- The same, and the counting, in one statement.
WITH created AS (
    INSERT INTO "{schema}"."{table}" (
        session_key, user_key, created_at, last_activity, alive_at, indexed_alive_at, ended_at, version, is_active,
        session_id, user_id, end_reason, metadata
    )
    SELECT * FROM unnest(
        $1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[],
        $8::bigint[], $9::boolean[], $10::text[], $11::text[], $12::text[], $13::text[]
    )
    ON CONFLICT (session_key) DO NOTHING
    RETURNING session_key
), counted AS (
    INSERT INTO "{schema}".nanobrain_active_sessions AS counted (name, slot, active)
    SELECT '{table}', pg_backend_pid() % 16, count(*) FROM created HAVING count(*) > 0
    ON CONFLICT (name, slot) DO UPDATE SET active = counted.active + excluded.active
)
SELECT session_key FROM created

-- change --
UPDATE "{schema}"."{table}" AS session
SET user_key = changed.user_key,
    user_id = changed.user_id,
    last_activity = changed.last_activity,
    alive_at = changed.alive_at,
    indexed_alive_at = least(session.indexed_alive_at, changed.alive_at),
    ended_at = changed.ended_at,
    version = changed.version,
    is_active = changed.is_active,
    end_reason = changed.end_reason,
    metadata = changed.metadata
FROM unnest(
    $1::bigint[], $2::bigint[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::boolean[],
    $9::text[], $10::text[]
) AS changed (
    session_key, user_key, user_id, last_activity, alive_at, ended_at, version, is_active, end_reason, metadata
)
WHERE session.session_key = changed.session_key

-- touch --
UPDATE "{schema}"."{table}" AS session
SET last_activity = touched.last_activity,
    alive_at = touched.alive_at,
    indexed_alive_at = least(session.indexed_alive_at, touched.alive_at)
FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS touched (session_key, last_activity, alive_at)
WHERE session.session_key = touched.session_key

-- end --
UPDATE "{schema}"."{table}" AS session
SET is_active = false,
    ended_at = ended.ended_at,
    end_reason = 'ended',
    last_activity = ended.last_activity,
    version = session.version + 1
FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS ended (session_key, ended_at, last_activity)
WHERE session.session_key = ended.session_key

-- end_many --
UPDATE "{schema}"."{table}" AS session
SET is_active = false, ended_at = ended.ended_at, end_reason = ended.end_reason, version = session.version + 1
FROM unnest($1::bigint[], $2::text[], $3::bigint[]) AS ended (session_key, end_reason, ended_at)
WHERE session.session_key = ended.session_key

-- delete_many --
DELETE FROM "{schema}"."{table}" WHERE session_key = ANY($1::bigint[])

-- flush --
-- What others have written since is left, and never goes back; nor does what was found to have expired come back.
UPDATE "{schema}"."{table}" AS session
SET last_activity = greatest(session.last_activity, held.last_activity),
    alive_at = CASE
        WHEN session.alive_at = held.until THEN greatest(session.last_activity, held.last_activity, held.floor)
        WHEN session.alive_at > $5 THEN greatest(session.alive_at, held.last_activity)
        ELSE session.alive_at
    END,
    indexed_alive_at = least(
        session.indexed_alive_at, greatest(session.last_activity, held.last_activity, held.floor)
    )
FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[]) AS held (session_key, until, floor, last_activity)
WHERE session.session_key = held.session_key AND session.is_active

-- index_activities --
-- Of those that come first in the index, brings up to date what was active since.
UPDATE "{schema}"."{table}" SET indexed_alive_at = alive_at
WHERE session_key = ANY(ARRAY(
    SELECT session_key
    FROM (
        SELECT session_key, alive_at, indexed_alive_at FROM "{schema}"."{table}"
        WHERE is_active AND indexed_alive_at <= $1 ORDER BY indexed_alive_at LIMIT $2
    ) AS idle
    WHERE alive_at > indexed_alive_at
))

-- longest_idle --
-- By what is indexed: those that were active since come too early.
SELECT {columns} FROM "{schema}"."{table}"
WHERE is_active AND indexed_alive_at <= $1 ORDER BY indexed_alive_at LIMIT $2 FOR UPDATE

-- count_of_user --
SELECT count(*) FROM "{schema}"."{table}" WHERE user_key = $1 AND is_active

-- counts_of_users --
SELECT user_key, count(*) FROM "{schema}"."{table}" WHERE user_key = ANY($1::bigint[]) AND is_active GROUP BY user_key

-- longest_idle_of_user --
SELECT {columns} FROM "{schema}"."{table}"
WHERE user_key = $1 AND user_id = $2 AND is_active ORDER BY alive_at LIMIT $3 FOR UPDATE

-- remove_ended --
-- The rows are chosen once, whatever the plan; a subquery with IN may be run again.
WITH removed AS (
    DELETE FROM "{schema}"."{table}"
    WHERE session_key = ANY(ARRAY(
        SELECT session_key FROM "{schema}"."{table}"
        WHERE NOT is_active AND ended_at <= $1 ORDER BY ended_at LIMIT $2 FOR UPDATE SKIP LOCKED
    ))
    RETURNING 1
)
SELECT count(*) FROM removed

-- active_count --
SELECT coalesce(sum(active), 0)::bigint FROM "{schema}".nanobrain_active_sessions WHERE name = '{table}'

-- add_active --
INSERT INTO "{schema}".nanobrain_active_sessions AS counted (name, slot, active)
VALUES ('{table}', pg_backend_pid() % 16, $1)
ON CONFLICT (name, slot) DO UPDATE SET active = counted.active + excluded.active

-- all --
SELECT {columns} FROM "{schema}"."{table}"

-- page --
SELECT {columns} FROM "{schema}"."{table}"
WHERE (created_at, session_key) < ($1, $2)
    AND CASE WHEN NOT is_active THEN $4::boolean WHEN alive_at > $3 THEN $5::boolean ELSE $6::boolean END
ORDER BY created_at DESC, session_key DESC
LIMIT $7

-- page_of_user --
-- Whose they are is asked for within CASE: the planner would take it for one more condition that few rows meet, and
-- sort all sessions of a user who has very many.
(
    SELECT {columns} FROM "{schema}"."{table}"
    WHERE user_key = $8 AND is_active AND ($5::boolean OR $6::boolean)
        AND (created_at, session_key) < ($1, $2)
        AND CASE WHEN user_id <> $9 THEN false WHEN alive_at > $3 THEN $5::boolean ELSE $6::boolean END
    ORDER BY created_at DESC, session_key DESC
    LIMIT $7
)
UNION ALL
(
    SELECT {columns} FROM "{schema}"."{table}"
    WHERE user_key = $8 AND NOT is_active AND $4::boolean
        AND (created_at, session_key) < ($1, $2)
        AND CASE WHEN user_id <> $9 THEN false ELSE true END
    ORDER BY created_at DESC, session_key DESC
    LIMIT $7
)
ORDER BY created_at DESC, session_key DESC
LIMIT $7

-- count --
SELECT count(*) FROM "{schema}"."{table}"

-- export --
SELECT session_id, user_id, created_at, last_activity, is_active, ended_at, end_reason, metadata
FROM "{schema}"."{table}" ORDER BY created_at, session_key

-- export_chosen --
SELECT session_id, user_id, created_at, last_activity, is_active, ended_at, end_reason, metadata
FROM "{schema}"."{table}" WHERE session_key = ANY($1::bigint[])

-- make_stage --
CREATE TEMPORARY TABLE nanobrain_stage (
    number bigint, session_key bigint, user_key bigint, created_at bigint, last_activity bigint, ended_at bigint,
    is_active boolean, session_id text, user_id text, end_reason text, metadata text
) ON COMMIT DROP

-- count_stage --
SELECT count(*), count(DISTINCT session_key) FROM pg_temp.nanobrain_stage

-- foreign_digest --
SELECT stage.user_id
FROM pg_temp.nanobrain_stage AS stage JOIN "{schema}"."{table}" AS session USING (session_key)
WHERE stage.session_id <> session.session_id
LIMIT 1

-- twin_digest --
SELECT stage.user_id
FROM pg_temp.nanobrain_stage AS stage JOIN pg_temp.nanobrain_stage AS other USING (session_key)
WHERE stage.session_id <> other.session_id
LIMIT 1

-- stored_already --
SELECT stage.session_id, stage.user_id, stage.created_at
FROM pg_temp.nanobrain_stage AS stage JOIN "{schema}"."{table}" AS session USING (session_key)
LIMIT 1

-- comes_twice --
SELECT min(session_id), min(user_id), min(created_at)
FROM pg_temp.nanobrain_stage GROUP BY session_key HAVING count(*) > 1 LIMIT 1

-- replace_former --
WITH replaced AS (
    DELETE FROM "{schema}"."{table}" AS session USING pg_temp.nanobrain_stage AS stage
    WHERE session.session_key = stage.session_key
    RETURNING session.is_active
)
SELECT count(*), count(*) FILTER (WHERE is_active) FROM replaced

-- store --
-- Of those that come twice, that with the least number; what is stored stays.
WITH stored AS (
    INSERT INTO "{schema}"."{table}" (
        session_key, user_key, created_at, last_activity, alive_at, indexed_alive_at, ended_at, version, is_active,
        session_id, user_id, end_reason, metadata
    )
    SELECT
        session_key, user_key, created_at, last_activity, last_activity, last_activity, ended_at, 1, is_active,
        session_id, user_id, end_reason, metadata
    FROM (
        SELECT DISTINCT ON (session_key) * FROM pg_temp.nanobrain_stage ORDER BY session_key, number
    ) AS stage
    ORDER BY created_at
    ON CONFLICT (session_key) DO NOTHING
    RETURNING is_active
)
SELECT count(*), count(*) FILTER (WHERE is_active) FROM stored
