-- make_staging --
CREATE TEMPORARY TABLE nanobrain_staging (
    number bigint NOT NULL,
    row_id bigint,
    conversation_id text NOT NULL,
    "timestamp" timestamptz NOT NULL,
    user_input text NOT NULL,
    agent_response text NOT NULL,
    response_time_ms float8 NOT NULL,
    parent_row_id bigint,
    metadata text NOT NULL,
    conversation_key bigint NOT NULL,
    session_key bigint,
    search text NOT NULL
) ON COMMIT DROP

-- make_places --
-- Where each row goes: under which id, and below which parent. A row that is stored already has the id of what stands
-- for it, and is not new.
CREATE TEMPORARY TABLE nanobrain_places (
    number bigint NOT NULL,
    row_id bigint,
    conversation_key bigint NOT NULL,
    conversation_id text NOT NULL,
    parent_row_id bigint,
    -- The first row of this import that says the same.
    first_number bigint NOT NULL,
    stored_id bigint,
    is_new boolean NOT NULL,
    id bigint,
    parent_id bigint,
    -- One that could lead in a circle, until that is known.
    doubtful_parent_id bigint
) ON COMMIT DROP

-- index_staging --
CREATE UNIQUE INDEX ON nanobrain_staging (number)

-- analyze_staging --
ANALYZE nanobrain_staging

-- lock_loads --
-- One import places its rows at a time.
SELECT pg_advisory_xact_lock(hashtextextended('nanobrain:{schema}:{table}:loads', 0))

-- lock_replaced --
-- Nobody gives them children from now on.
SELECT count(*) FROM (
    SELECT FROM "{schema}"."{table}" AS former
    JOIN (SELECT DISTINCT conversation_key, conversation_id FROM nanobrain_staging) AS replaced
        USING (conversation_key, conversation_id)
    FOR UPDATE OF former
) AS locked

-- replace --
WITH gone AS (
    DELETE FROM "{schema}"."{table}" AS former
    USING (SELECT DISTINCT conversation_key, conversation_id FROM nanobrain_staging) AS replaced
    WHERE former.conversation_key = replaced.conversation_key AND former.conversation_id = replaced.conversation_id
    RETURNING former.conversation_key
)
SELECT (conversation_key & 15)::int AS slot, count(*) FROM gone GROUP BY slot

-- place_all --
INSERT INTO nanobrain_places (
    number, row_id, conversation_key, conversation_id, parent_row_id, first_number, is_new
)
SELECT number, row_id, conversation_key, conversation_id, parent_row_id, number, TRUE FROM nanobrain_staging

-- place_new --
INSERT INTO nanobrain_places (
    number, row_id, conversation_key, conversation_id, parent_row_id, first_number, stored_id, is_new
)
SELECT number, row_id, conversation_key, conversation_id, parent_row_id, first_number, stored_id,
    stored_id IS NULL AND first_number = number
FROM (
    SELECT staged.*,
        min(number) OVER (
            PARTITION BY conversation_key, "timestamp", user_input, agent_response, conversation_id
        ) AS first_number,
        (
            SELECT min(message_id) FROM "{schema}"."{table}" AS stored
            WHERE stored.conversation_key = staged.conversation_key AND stored."timestamp" = staged."timestamp"
                AND stored.conversation_id = staged.conversation_id AND stored.user_input = staged.user_input
                AND stored.agent_response = staged.agent_response
        ) AS stored_id
    FROM nanobrain_staging AS staged
) AS compared

-- index_places --
CREATE INDEX ON nanobrain_places (row_id);
CREATE UNIQUE INDEX ON nanobrain_places (number);
CREATE INDEX ON nanobrain_places (id);
ANALYZE nanobrain_places

-- any_taken --
-- In steps of the index, whichever of the two is the larger.
SELECT EXISTS (
    SELECT FROM nanobrain_places AS placed
    WHERE EXISTS (SELECT FROM "{schema}"."{table}" AS stored WHERE stored.message_id = placed.row_id)
)

-- count_without_id --
-- New rows that get the next ids: those that bring none, and those whose id came earlier.
SELECT count(*) - count(DISTINCT row_id) FROM nanobrain_places WHERE is_new

-- number_new --
-- $1: by how much ids move; $2: behind which id those without their own begin.
UPDATE nanobrain_places AS placed SET id = given.id
FROM (
    SELECT number,
        CASE WHEN row_id IS NOT NULL AND turn = 1 THEN row_id + $1::bigint
            ELSE $2::bigint + row_number() OVER (PARTITION BY row_id IS NULL OR turn > 1 ORDER BY number)
        END AS id
    FROM (
        SELECT number, row_id, row_number() OVER (PARTITION BY row_id ORDER BY number) AS turn
        FROM nanobrain_places WHERE is_new
    ) AS counted
) AS given
WHERE placed.number = given.number

-- number_known --
UPDATE nanobrain_places AS placed SET id = coalesce(placed.stored_id, first.id)
FROM nanobrain_places AS first WHERE first.number = placed.first_number AND NOT placed.is_new

-- lock_stored_parents --
-- They stay while this goes on.
SELECT count(*) FROM (
    SELECT FROM "{schema}"."{table}" AS stored
    WHERE message_id IN (
        SELECT CASE WHEN $1 THEN parent_row_id END FROM nanobrain_places WHERE parent_row_id IS NOT NULL
        UNION SELECT stored_id FROM nanobrain_places WHERE stored_id IS NOT NULL
    )
    FOR KEY SHARE
) AS locked

-- find_parents --
-- A parent is looked for among the rows first, then, if ids are worth something, in the conversation. $1: whether.
UPDATE nanobrain_places AS placed
SET parent_id = coalesce(
    (
        SELECT parent.id FROM nanobrain_places AS parent
        WHERE parent.row_id = placed.parent_row_id AND parent.conversation_key = placed.conversation_key
            AND parent.conversation_id = placed.conversation_id
        ORDER BY parent.number LIMIT 1
    ),
    (
        SELECT stored.message_id FROM "{schema}"."{table}" AS stored
        WHERE $1 AND stored.message_id = placed.parent_row_id
            AND stored.conversation_key = placed.conversation_key
            AND stored.conversation_id = placed.conversation_id
    )
)
WHERE is_new AND parent_row_id IS NOT NULL

-- doubt --
-- All other links lead to smaller ids, and so never in a circle.
UPDATE nanobrain_places SET doubtful_parent_id = parent_id, parent_id = NULL WHERE is_new AND parent_id >= id

-- doubtful --
SELECT id, doubtful_parent_id FROM nanobrain_places
WHERE id > $1 AND is_new AND doubtful_parent_id IS NOT NULL ORDER BY id LIMIT $2

-- trust --
UPDATE nanobrain_places SET parent_id = doubtful_parent_id WHERE id = $1 AND is_new

-- is_ancestor --
-- Whether the path from one exchange to its root leads over another.
WITH RECURSIVE path (id) AS (
    SELECT $1::bigint
    UNION
    SELECT placed.parent_id FROM path JOIN nanobrain_places AS placed ON placed.id = path.id AND placed.is_new
    WHERE placed.parent_id IS NOT NULL
)
SELECT EXISTS (SELECT FROM path WHERE id = $2::bigint)

-- detached --
SELECT placed.number, placed.parent_row_id, staged.metadata
FROM nanobrain_places AS placed JOIN nanobrain_staging AS staged USING (number)
WHERE placed.is_new AND placed.parent_row_id IS NOT NULL AND placed.parent_id IS NULL AND placed.number > $1
ORDER BY placed.number LIMIT $2

-- set_metadata --
UPDATE nanobrain_staging AS staged SET metadata = new.metadata
FROM unnest($1::bigint[], $2::text[]) AS new (number, metadata) WHERE staged.number = new.number

-- insert_part --
WITH stored AS (
    INSERT INTO "{schema}"."{table}" (
        message_id, conversation_id, "timestamp", user_input, agent_response, response_time_ms, parent_id, metadata,
        conversation_key, session_key, search
    )
    SELECT placed.id, staged.conversation_id, "timestamp", user_input, agent_response, response_time_ms,
        placed.parent_id, metadata, staged.conversation_key, session_key, search::tsvector
    FROM nanobrain_staging AS staged JOIN nanobrain_places AS placed USING (number)
    WHERE placed.is_new AND staged.number > $1 AND staged.number <= $2 AND placed.number > $1 AND placed.number <= $2
    ORDER BY placed.id
    RETURNING conversation_key
)
SELECT (conversation_key & 15)::int AS slot, count(*) FROM stored GROUP BY slot

-- first_new --
SELECT id, conversation_id FROM nanobrain_places WHERE is_new ORDER BY number LIMIT 1

-- is_there --
SELECT EXISTS (SELECT FROM "{schema}"."{table}" WHERE message_id = $1 AND conversation_id = $2)
