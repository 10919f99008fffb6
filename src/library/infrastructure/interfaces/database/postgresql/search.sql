-- last_id --
SELECT coalesce(max(message_id), 0) FROM "{schema}"."{table}"

-- look_through --
-- The newest before an id that match each query, and the greatest id before where its stretches begin. In two steps:
-- the planner would rather walk along the order, past all that does not match. `+ 0` keeps it from the index of ids.
SELECT
    asked.place,
    ARRAY(
        SELECT message_id FROM (
            SELECT message_id FROM "{schema}"."{table}"
            WHERE {indexed} @@ asked.query
                AND message_id + 0 < asked.before
                AND (asked.fits IS NULL OR search @@ asked.fits)
            OFFSET 0
        ) AS found
        ORDER BY message_id DESC LIMIT $5
    ),
    (SELECT max(message_id) FROM "{schema}"."{table}" WHERE message_id < asked.start)
FROM unnest($1::text[]::tsquery[], $2::text[]::tsquery[], $3::bigint[], $4::bigint[])
    WITH ORDINALITY AS asked (query, fits, start, before, place)

-- walk --
-- The column itself is not indexed: the table is walked along the order.
SELECT message_id FROM "{schema}"."{table}"
WHERE search @@ $1::text::tsquery AND message_id < $2 ORDER BY message_id DESC LIMIT $3

-- look_up --
SELECT
    asked.place,
    ARRAY(
        SELECT message_id FROM "{schema}"."{table}"
        WHERE {indexed} @@ asked.query AND (asked.fits IS NULL OR search @@ asked.fits)
        LIMIT $3
    )
FROM unnest($1::text[]::tsquery[], $2::text[]::tsquery[]) WITH ORDINALITY AS asked (query, fits, place)

-- indexed --
(search || array_to_tsvector(ARRAY[
    'ᵇ' || (message_id >> 12)::text, 'ᵇᵇ' || (message_id >> 15)::text, 'ᵇᵇᵇ' || (message_id >> 18)::text
]))

-- count_conversation --
SELECT count(*) FROM (SELECT 1 FROM "{schema}"."{table}" WHERE conversation_key = $1 LIMIT $2) AS counted

-- rows --
SELECT {columns} FROM "{schema}"."{table}" WHERE message_id = ANY($1::bigint[])

-- behind --
SELECT placed.message_id, ARRAY(
    SELECT other.message_id FROM "{schema}"."{table}" AS other
    WHERE other.conversation_key = placed.conversation_key
        AND (other."timestamp", other.message_id) > (placed."timestamp", placed.message_id)
    ORDER BY other."timestamp", other.message_id LIMIT $4
)
FROM unnest($1::bigint[], $2::timestamptz[], $3::bigint[])
    AS placed (conversation_key, "timestamp", message_id)

-- few_matches --
message_id IN (
    WITH found AS MATERIALIZED (
        SELECT message_id FROM "{schema}"."{table}" WHERE {indexed} @@ {query}::text::tsquery
    )
    SELECT message_id FROM found
)

-- many_matches --
(search @@ {query}::text::tsquery)

-- count_matches --
SELECT count(*) FROM (
    SELECT 1 FROM "{schema}"."{table}" WHERE {indexed} @@ $1::text::tsquery LIMIT $2
) AS found
