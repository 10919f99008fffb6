-- find --
SELECT {columns} FROM "{table}" WHERE session_key = ?

-- insert --
INSERT INTO "{table}" (
    session_key, session_id, user_id, user_key, created_at, last_activity, alive_at, indexed_alive_at, is_active,
    ended_at, end_reason, version, metadata
)

-- change --
UPDATE "{table}" SET last_activity = ?2, alive_at = ?3, version = ?4, metadata = ?5 WHERE session_key = ?1

-- touch --
UPDATE "{table}" SET last_activity = ?2, alive_at = ?3 WHERE session_key = ?1

-- assign --
UPDATE "{table}" SET user_id = ?2, user_key = ?3 WHERE session_key = ?1

-- end --
UPDATE "{table}"
SET is_active = 0, ended_at = ?2, end_reason = 'ended', last_activity = ?3, version = version + 1
WHERE session_key = ?1

-- end_many --
UPDATE "{table}" SET is_active = 0, ended_at = ?2, end_reason = ?3, version = version + 1
WHERE session_key IN (SELECT value FROM json_each(?1))

-- flush --
-- What others have written since is left, and never goes back; nor does what was found to have expired come back.
UPDATE "{table}"
SET last_activity = max(last_activity, :last_activity),
    alive_at = CASE
        WHEN alive_at = :until THEN max(last_activity, :last_activity, :floor)
        WHEN alive_at > :long_ago THEN max(alive_at, :last_activity)
        ELSE alive_at
    END
WHERE session_key = :session_key AND is_active = 1

-- find_state --
SELECT session_id, is_active FROM "{table}" WHERE session_key = ?

-- delete --
DELETE FROM "{table}" WHERE session_key = ?

-- delete_many --
DELETE FROM "{table}" WHERE session_key IN (SELECT value FROM json_each(?))

-- index_activity --
UPDATE "{table}" SET indexed_alive_at = alive_at WHERE session_key = ?

-- index_activities --
-- One statement for many, here and below, takes the interpreter's lock once, and not from others again and again.
UPDATE "{table}" SET indexed_alive_at = alive_at WHERE session_key IN (SELECT value FROM json_each(?))

-- longest_idle --
-- By what is indexed: those that were active since come too early.
SELECT {columns} FROM "{table}"
WHERE is_active = 1 AND indexed_alive_at <= ? ORDER BY indexed_alive_at LIMIT ?

-- count_of_user --
SELECT count(*) FROM "{table}" WHERE user_key = ? AND is_active = 1

-- longest_idle_of_user --
SELECT {columns} FROM "{table}" WHERE user_key = ? AND user_id = ? AND is_active = 1 ORDER BY alive_at LIMIT ?

-- remove_ended --
DELETE FROM "{table}"
WHERE session_key IN (
    SELECT session_key FROM "{table}" WHERE is_active = 0 AND ended_at <= ? ORDER BY ended_at LIMIT ?
)

-- active_count --
SELECT active_count FROM nanobrain_tables WHERE name = ?

-- add_active --
UPDATE nanobrain_tables SET active_count = active_count + ? WHERE name = ?

-- all --
SELECT {columns} FROM "{table}"

-- page --
SELECT {columns} FROM "{table}"
WHERE (created_at, session_key) < (:created_at, :session_key)
    AND iif(is_active = 0, :wants_inactive, iif(alive_at > :cutoff, :wants_active, :wants_expired))
ORDER BY created_at DESC, session_key DESC
LIMIT :limit

-- page_of_user --
SELECT {columns} FROM "{table}"
WHERE user_key = :user_key AND user_id = :user_id AND is_active = 1
    AND (created_at, session_key) < (:created_at, :session_key)
    AND iif(alive_at > :cutoff, :wants_active, :wants_expired)
UNION ALL
SELECT {columns} FROM "{table}"
WHERE user_key = :user_key AND user_id = :user_id AND is_active = 0 AND :wants_inactive
    AND (created_at, session_key) < (:created_at, :session_key)
ORDER BY created_at DESC, session_key DESC
LIMIT :limit

-- count --
SELECT count(*) FROM "{table}"

-- export --
SELECT session_id, user_id, created_at, last_activity, is_active, ended_at, end_reason, metadata
FROM "{table}" ORDER BY created_at, session_key

-- export_one --
SELECT session_id, user_id, created_at, last_activity, is_active, ended_at, end_reason, metadata
FROM "{table}" WHERE session_key = ? AND session_id = ?
