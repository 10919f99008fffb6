-- Ids grow, and are never given twice. The last is the largest whole number that every reader of JSON keeps exactly.
CREATE SEQUENCE "{schema}"."nb:{table}:ids" AS bigint MAXVALUE 9007199254740991;

CREATE TABLE "{schema}"."{table}" (
    -- A digest of the conversation_id, by which conversations are found, and by which a distributed PostgreSQL shards.
    conversation_key bigint NOT NULL,
    "timestamp" timestamptz NOT NULL,
    message_id bigint NOT NULL,
    parent_id bigint,
    -- A digest of the metadata's "session_id" where that is text, else NULL.
    session_key bigint,
    response_time_ms float8 NOT NULL,
    conversation_id text NOT NULL,
    user_input text NOT NULL,
    agent_response text NOT NULL,
    -- JSON as it was given, integers of any size included, which jsonb would refuse or round.
    metadata text NOT NULL,
    -- Made by search_vector.py from what was said, and from the conversation.
    search tsvector NOT NULL,
    -- A conversation's history is a walk along it.
    CONSTRAINT "nb:{table}:key" PRIMARY KEY (conversation_key, "timestamp", message_id)
-- Most exchanges lie in one place with their vector, which is 1.5 kB long.
) WITH (toast_tuple_target = 4080);

CREATE UNIQUE INDEX "nb:{table}:by_id" ON "{schema}"."{table}" (message_id);

-- Covers the metrics too, which so need not read the texts.
CREATE INDEX "nb:{table}:by_time" ON "{schema}"."{table}" ("timestamp", message_id) INCLUDE (response_time_ms);

CREATE INDEX "nb:{table}:by_duration" ON "{schema}"."{table}" (response_time_ms, message_id);

CREATE INDEX "nb:{table}:by_parent" ON "{schema}"."{table}" (parent_id) WHERE parent_id IS NOT NULL;

CREATE INDEX "nb:{table}:by_session" ON "{schema}"."{table}" (session_key, conversation_key)
    WHERE session_key IS NOT NULL;

-- With the stretches of ids that an exchange lies in, as candidates.py asks for them: the newest that match are found
-- stretch by stretch. What the column itself is asked, no index knows.
CREATE INDEX "nb:{table}:by_text" ON "{schema}"."{table}" USING gin ((
    search || array_to_tsvector(ARRAY[
        'ᵇ' || (message_id >> 12)::text, 'ᵇᵇ' || (message_id >> 15)::text, 'ᵇᵇᵇ' || (message_id >> 18)::text
    ])
));

-- Where changes are counted; see counters.py.
INSERT INTO "{schema}".nanobrain_changes (name, slot) SELECT '{table}', generate_series(0, 15);
