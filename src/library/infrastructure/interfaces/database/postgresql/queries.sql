-- select --
SELECT {columns} FROM "{schema}"."{table}" WHERE {conditions} ORDER BY {order} LIMIT {limit}

-- one_conversation --
(conversation_key = {1} AND texteq(conversation_id, {2}))

-- some_conversations --
(conversation_key = ANY ({1}::bigint[]) AND conversation_id = ANY ({2}::text[]))

-- since --
"timestamp" >= {1}

-- until --
"timestamp" < {1}

-- min_response_time_ms --
response_time_ms >= {1}

-- max_response_time_ms --
response_time_ms <= {1}

-- session --
session_key = {1}

-- metadata --
strpos(metadata, {1}) > 0

-- behind_id --
message_id {compare} {1}

-- behind --
({column}, message_id) {compare} ({1}, {2})
