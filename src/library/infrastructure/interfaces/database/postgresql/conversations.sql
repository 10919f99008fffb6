-- Conversations are found by their key. What is asked of the conversation_id besides is nearly always true, which is
-- hidden from the planner by `texteq`: it would take conversations for so short that they may as well be sorted. So are
-- limits, by `(SELECT ...)`: it then plans for the first tenth of what there is.

-- state --
SELECT coalesce(sum(changes), 0)::bigint AS changes, coalesce(max(changed_at), 0) AS changed_at
FROM "{schema}".nanobrain_changes WHERE name = '{table}'

-- lock_changes --
-- Whoever changes several slots does so in their order, too: nobody waits for one who waits for him.
SELECT changes FROM "{schema}".nanobrain_changes WHERE name = '{table}' ORDER BY slot FOR UPDATE

-- count_changes --
WITH counted AS (
    INSERT INTO "{schema}".nanobrain_changes (name, slot, changes, changed_at)
    SELECT '{table}', slot, changes, $3 FROM unnest($1::int[], $2::bigint[]) AS new (slot, changes) ORDER BY slot
    ON CONFLICT (name, slot)
    DO UPDATE SET changes = nanobrain_changes.changes + excluded.changes, changed_at = excluded.changed_at
    RETURNING changes
)
SELECT (
    (SELECT sum(changes) FROM counted)
    + (
        SELECT coalesce(sum(changes), 0) FROM "{schema}".nanobrain_changes
        WHERE name = '{table}' AND slot <> ALL ($1)
    )
)::bigint

-- share_ids --
-- Whoever takes ids from the sequence holds this lock, so that the sequence is only set while nobody does.
SELECT pg_advisory_xact_lock_shared(hashtextextended('nanobrain:{schema}:{table}:ids', 0))

-- lock_ids --
SELECT pg_advisory_xact_lock(hashtextextended('nanobrain:{schema}:{table}:ids', 0))

-- last_id --
SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM "{schema}"."nb:{table}:ids"

-- set_last_id --
SELECT setval('"{schema}"."nb:{table}:ids"', $1)

-- next_ids --
SELECT nextval('"{schema}"."nb:{table}:ids"') FROM generate_series(1, $1::int)

-- save --
-- All in one: the ids, the rows, the number of changes. Nothing is stored, and no id is used, if a parent is not there.
WITH guard AS MATERIALIZED (
    SELECT pg_advisory_xact_lock_shared(hashtextextended('nanobrain:{schema}:{table}:ids', 0))
),
parents AS MATERIALIZED (
    SELECT message_id, conversation_id FROM "{schema}"."{table}" WHERE message_id = ANY ($14::bigint[]) FOR KEY SHARE
),
orphan AS MATERIALIZED (
    SELECT wanted.parent_id
    FROM unnest($14::bigint[], $15::text[]) AS wanted (parent_id, conversation_id)
    LEFT JOIN parents ON parents.message_id = wanted.parent_id
    WHERE parents.conversation_id IS DISTINCT FROM wanted.conversation_id
    LIMIT 1
),
saved AS (
    INSERT INTO "{schema}"."{table}" (
        message_id, conversation_id, "timestamp", user_input, agent_response, response_time_ms, parent_id, metadata,
        conversation_key, session_key, search
    )
    SELECT
        nextval('"{schema}"."nb:{table}:ids"'), conversation_id, "timestamp", user_input, agent_response,
        response_time_ms, parent_id, metadata, conversation_key, session_key, search::tsvector
    FROM guard, unnest(
        $1::text[], $2::timestamptz[], $3::text[], $4::text[], $5::float8[], $6::bigint[], $7::text[], $8::bigint[],
        $9::bigint[], $10::text[]
    ) AS new (
        conversation_id, "timestamp", user_input, agent_response, response_time_ms, parent_id, metadata,
        conversation_key, session_key, search
    )
    WHERE NOT EXISTS (SELECT FROM orphan)
    RETURNING message_id
),
counted AS (
    INSERT INTO "{schema}".nanobrain_changes (name, slot, changes, changed_at)
    SELECT '{table}', slot, changes, $13
    FROM unnest($11::int[], $12::bigint[]) AS new (slot, changes)
    WHERE NOT EXISTS (SELECT FROM orphan) ORDER BY slot
    ON CONFLICT (name, slot)
    DO UPDATE SET changes = nanobrain_changes.changes + excluded.changes, changed_at = excluded.changed_at
    RETURNING changes
)
SELECT
    (SELECT array_agg(message_id) FROM saved) AS ids,
    (
        (SELECT sum(changes) FROM counted)
        + (
            SELECT coalesce(sum(changes), 0) FROM "{schema}".nanobrain_changes
            WHERE name = '{table}' AND slot <> ALL ($11)
        )
    )::bigint AS version

-- insert --
INSERT INTO "{schema}"."{table}" (
    message_id, conversation_id, "timestamp", user_input, agent_response, response_time_ms, parent_id, metadata,
    conversation_key, session_key, search
)
SELECT
    coalesce(message_id, nextval('"{schema}"."nb:{table}:ids"')), conversation_id, "timestamp", user_input,
    agent_response, response_time_ms, parent_id, metadata, conversation_key, session_key, search::tsvector
FROM unnest(
    $1::bigint[], $2::text[], $3::timestamptz[], $4::text[], $5::text[], $6::float8[], $7::bigint[], $8::text[],
    $9::bigint[], $10::bigint[], $11::text[]
) AS new (
    message_id, conversation_id, "timestamp", user_input, agent_response, response_time_ms, parent_id, metadata,
    conversation_key, session_key, search
)
RETURNING message_id

-- same --
SELECT message_id FROM "{schema}"."{table}"
WHERE conversation_key = $1 AND "timestamp" = $2 AND conversation_id = $3 AND user_input = $4 AND agent_response = $5
    AND response_time_ms = $6 AND metadata = $7 AND parent_id IS NOT DISTINCT FROM $8 AND message_id > $9
ORDER BY message_id

-- taken --
SELECT message_id FROM "{schema}"."{table}" WHERE message_id = ANY ($1::bigint[]) ORDER BY message_id

-- conversations_of --
SELECT message_id, conversation_id FROM "{schema}"."{table}" WHERE message_id = ANY ($1::bigint[])

-- parents --
SELECT message_id, conversation_id FROM "{schema}"."{table}" WHERE message_id = ANY ($1::bigint[]) FOR KEY SHARE

-- replace --
UPDATE "{schema}"."{table}"
SET conversation_id = $2, "timestamp" = $3, user_input = $4, agent_response = $5, response_time_ms = $6, parent_id = $7,
    metadata = $8, conversation_key = $9, session_key = $10, search = $11::text::tsvector
WHERE message_id = $1

-- get --
SELECT {columns} FROM "{schema}"."{table}" WHERE message_id = $1

-- any_left --
SELECT EXISTS (SELECT FROM "{schema}"."{table}" WHERE message_id = ANY ($1::bigint[]))

-- get_locked --
SELECT {columns} FROM "{schema}"."{table}" WHERE message_id = $1 FOR UPDATE

-- latest --
-- With the number of changes at the same moment.
SELECT state.changes, state.changed_at, newest.*
FROM (
    SELECT coalesce(sum(changes), 0)::bigint AS changes, coalesce(max(changed_at), 0) AS changed_at
    FROM "{schema}".nanobrain_changes WHERE name = '{table}'
) AS state
LEFT JOIN LATERAL (SELECT {columns} FROM "{schema}"."{table}" ORDER BY message_id DESC LIMIT 1) AS newest ON TRUE

-- lock_parents --
-- Whoever gives an exchange another parent holds this lock: no two do so at once, and together make a circle.
SELECT pg_advisory_xact_lock(hashtextextended('nanobrain:{schema}:{table}:parents', 0))

-- lock_conversation --
-- Whoever makes a conversation by a fork holds this lock.
SELECT pg_advisory_xact_lock(hashtextextended('nanobrain:{schema}:{table}:fork', $1::bigint))

-- one_locked --
SELECT message_id, conversation_key, parent_id FROM "{schema}"."{table}" WHERE message_id = $1 FOR UPDATE

-- conversation_locked --
SELECT message_id, conversation_key, parent_id FROM "{schema}"."{table}"
WHERE conversation_key = $1 AND texteq(conversation_id, $2) FOR UPDATE

-- before_locked --
SELECT message_id, conversation_key, parent_id FROM "{schema}"."{table}"
WHERE "timestamp" < $1 AND message_id <= $2 ORDER BY "timestamp", message_id LIMIT $3 FOR UPDATE

-- up_to_locked --
SELECT message_id, conversation_key, parent_id FROM "{schema}"."{table}"
WHERE message_id <= $1 ORDER BY message_id LIMIT $2 FOR UPDATE

-- children --
SELECT message_id, parent_id FROM "{schema}"."{table}" WHERE parent_id = ANY ($1::bigint[])

-- set_parents --
UPDATE "{schema}"."{table}" AS child SET parent_id = new.parent_id
FROM unnest($1::bigint[], $2::bigint[]) AS new (message_id, parent_id) WHERE child.message_id = new.message_id

-- delete --
DELETE FROM "{schema}"."{table}" WHERE message_id = ANY ($1::bigint[])

-- history --
SELECT {columns} FROM "{schema}"."{table}"
WHERE conversation_key = $1 AND texteq(conversation_id, $2) ORDER BY "timestamp" DESC, message_id DESC LIMIT (SELECT $3::bigint)

-- history_before --
SELECT {columns} FROM "{schema}"."{table}"
WHERE conversation_key = $1 AND texteq(conversation_id, $2) AND ("timestamp", message_id) < ($3, $4)
ORDER BY "timestamp" DESC, message_id DESC LIMIT (SELECT $5::bigint)

-- place --
SELECT "timestamp", message_id FROM "{schema}"."{table}" WHERE message_id = $1 AND conversation_id = $2

-- thread --
WITH RECURSIVE path (message_id, parent_id, depth) AS (
    SELECT message_id, parent_id, 0 FROM "{schema}"."{table}" WHERE message_id = $1
    UNION ALL
    SELECT parent.message_id, parent.parent_id, path.depth + 1
    FROM path JOIN "{schema}"."{table}" AS parent ON parent.message_id = path.parent_id
)
SELECT exchange.*
FROM path CROSS JOIN LATERAL (
    SELECT {columns} FROM "{schema}"."{table}" AS exchange WHERE exchange.message_id = path.message_id
) AS exchange
ORDER BY path.depth DESC

-- has_parents --
SELECT EXISTS (
    SELECT FROM "{schema}"."{table}"
    WHERE conversation_key = $1 AND texteq(conversation_id, $2) AND parent_id IS NOT NULL
)

-- count --
SELECT count(*) FROM "{schema}"."{table}"

-- any_of_conversation --
SELECT EXISTS (SELECT FROM "{schema}"."{table}" WHERE conversation_key = $1 AND texteq(conversation_id, $2))

-- existing_conversations --
SELECT wanted.conversation_id
FROM unnest($1::bigint[], $2::text[]) AS wanted (conversation_key, conversation_id)
WHERE EXISTS (
    SELECT FROM "{schema}"."{table}" AS exchange
    WHERE exchange.conversation_key = wanted.conversation_key AND exchange.conversation_id = wanted.conversation_id
)

-- leading_to --
SELECT {columns} FROM "{schema}"."{table}"
WHERE conversation_key = $1 AND texteq(conversation_id, $2) AND ("timestamp", message_id) <= ($3, $4)
ORDER BY "timestamp", message_id

-- count_conversations --
-- Leaps from one conversation to the next, up to a limit.
WITH RECURSIVE each (key) AS (
    (SELECT conversation_key FROM "{schema}"."{table}" ORDER BY conversation_key LIMIT 1)
    UNION ALL
    SELECT (
        SELECT conversation_key FROM "{schema}"."{table}"
        WHERE conversation_key > each.key ORDER BY conversation_key LIMIT 1
    )
    FROM each WHERE each.key IS NOT NULL
)
SELECT count(key) FROM (SELECT key FROM each LIMIT $1) AS found

-- summaries_of_few --
-- Leaps from one conversation to the next, and sorts: quick where there are few, however long they are.
WITH RECURSIVE each (key) AS (
    (SELECT conversation_key FROM "{schema}"."{table}" ORDER BY conversation_key LIMIT 1)
    UNION ALL
    SELECT (
        SELECT conversation_key FROM "{schema}"."{table}"
        WHERE conversation_key > each.key ORDER BY conversation_key LIMIT 1
    )
    FROM each WHERE each.key IS NOT NULL
),
page AS (
    SELECT last.*
    FROM each CROSS JOIN LATERAL (
        SELECT conversation_key, conversation_id, "timestamp", message_id FROM "{schema}"."{table}"
        WHERE conversation_key = each.key ORDER BY "timestamp" DESC, message_id DESC LIMIT 1
    ) AS last
    WHERE (last."timestamp", last.message_id) < ($1, $2)
    ORDER BY last."timestamp" DESC, last.message_id DESC
    LIMIT $3
)
SELECT page.conversation_id, page."timestamp", page.message_id,
    (SELECT count(*) FROM "{schema}"."{table}" AS exchange WHERE exchange.conversation_key = page.conversation_key),
    first."timestamp", first.user_input
FROM page CROSS JOIN LATERAL (
    SELECT "timestamp", user_input FROM "{schema}"."{table}" AS exchange
    WHERE exchange.conversation_key = page.conversation_key ORDER BY "timestamp", message_id LIMIT 1
) AS first
ORDER BY page."timestamp" DESC, page.message_id DESC

-- summaries --
-- Walks from the newest exchange on, and keeps those that are the last of their conversations: quick where there are
-- many, and none is very long.
SELECT last.conversation_id, last."timestamp", last.message_id,
    (SELECT count(*) FROM "{schema}"."{table}" AS exchange WHERE exchange.conversation_key = last.conversation_key),
    first."timestamp", first.user_input
FROM (
    SELECT conversation_key, conversation_id, "timestamp", message_id FROM "{schema}"."{table}" AS each
    WHERE ("timestamp", message_id) < ($1, $2) AND message_id = (
        SELECT message_id FROM "{schema}"."{table}" AS newest
        WHERE newest.conversation_key = each.conversation_key ORDER BY "timestamp" DESC, message_id DESC LIMIT 1
    )
    ORDER BY "timestamp" DESC, message_id DESC
    LIMIT $3
) AS last
CROSS JOIN LATERAL (
    SELECT "timestamp", user_input FROM "{schema}"."{table}" AS exchange
    WHERE exchange.conversation_key = last.conversation_key ORDER BY "timestamp", message_id LIMIT 1
) AS first
ORDER BY last."timestamp" DESC, last.message_id DESC

-- summaries_of_session --
-- Leaps from one conversation of the session to the next, and sorts; only those on the page are counted.
WITH RECURSIVE each (key) AS (
    (
        SELECT conversation_key FROM "{schema}"."{table}" WHERE session_key = $4 AND session_key IS NOT NULL
        ORDER BY conversation_key LIMIT 1
    )
    UNION ALL
    SELECT (
        SELECT conversation_key FROM "{schema}"."{table}"
        WHERE session_key = $4 AND session_key IS NOT NULL AND conversation_key > each.key
        ORDER BY conversation_key LIMIT 1
    )
    FROM each WHERE each.key IS NOT NULL
),
page AS (
    SELECT last.*
    FROM each CROSS JOIN LATERAL (
        SELECT conversation_key, conversation_id, "timestamp", message_id FROM "{schema}"."{table}"
        WHERE conversation_key = each.key ORDER BY "timestamp" DESC, message_id DESC LIMIT 1
    ) AS last
    WHERE (last."timestamp", last.message_id) < ($1, $2)
    ORDER BY last."timestamp" DESC, last.message_id DESC
    LIMIT $3
)
SELECT page.conversation_id, page."timestamp", page.message_id,
    (SELECT count(*) FROM "{schema}"."{table}" AS exchange WHERE exchange.conversation_key = page.conversation_key),
    first."timestamp", first.user_input
FROM page CROSS JOIN LATERAL (
    SELECT "timestamp", user_input FROM "{schema}"."{table}" AS exchange
    WHERE exchange.conversation_key = page.conversation_key ORDER BY "timestamp", message_id LIMIT 1
) AS first
ORDER BY page."timestamp" DESC, page.message_id DESC

-- all_texts --
SELECT message_id, conversation_id, user_input, agent_response, metadata FROM "{schema}"."{table}" ORDER BY message_id

-- found_by_others --
SELECT stored.message_id
FROM unnest($1::bigint[], $2::text[]) AS made (message_id, search)
JOIN "{schema}"."{table}" AS stored USING (message_id)
WHERE stored.search <> made.search::tsvector

-- metrics --
-- Of all, where `day` is NULL, and of each day in UTC.
SELECT least(greatest(("timestamp" AT TIME ZONE 'UTC')::date, '0001-01-01'), '9999-12-31') AS day, count(*),
    avg(response_time_ms), min(response_time_ms), max(response_time_ms),
    percentile_cont(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY response_time_ms)
FROM "{schema}"."{table}" WHERE "timestamp" >= $1
GROUP BY GROUPING SETS ((), (day)) ORDER BY day NULLS FIRST

-- metrics_of_conversation --
SELECT least(greatest(("timestamp" AT TIME ZONE 'UTC')::date, '0001-01-01'), '9999-12-31') AS day, count(*),
    avg(response_time_ms), min(response_time_ms), max(response_time_ms),
    percentile_cont(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY response_time_ms)
FROM "{schema}"."{table}" WHERE conversation_key = $2 AND texteq(conversation_id, $3) AND "timestamp" >= $1
GROUP BY GROUPING SETS ((), (day)) ORDER BY day NULLS FIRST

-- analyze --
-- Until the server knows how many there are, it takes reading them all for quicker than the indexes.
ANALYZE "{schema}"."{table}"
