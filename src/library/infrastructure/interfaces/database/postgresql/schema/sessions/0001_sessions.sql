-- Activity is written more often than anything else. It changes no column that is indexed, so that the new version of
-- a row finds room on the page of the old one, and no index has to be told: hence the room that is left there.
CREATE TABLE "{schema}"."{table}" (
    -- A digest of the session_id, by which sessions are looked up: how long that takes tells nothing of the id. Its
    -- upper bits are the time of creation, where the id tells it, so that sessions that are created together stand
    -- together.
    session_key bigint NOT NULL,
    -- A digest of the user_id, which may be long.
    user_key bigint NOT NULL,
    -- Microseconds since 1970, UTC, as all times here.
    created_at bigint NOT NULL,
    last_activity bigint NOT NULL,
    -- From when the timeout counts: the last_activity; later while some process holds activity in memory; long ago
    -- once the session was found to have expired.
    alive_at bigint NOT NULL,
    -- What is indexed in its place: never later. Activity leaves it as it is; it is brought up to date when the session
    -- is looked at.
    indexed_alive_at bigint NOT NULL,
    ended_at bigint,
    version bigint NOT NULL,
    is_active boolean NOT NULL,
    session_id text NOT NULL,
    user_id text NOT NULL,
    -- 'ended', 'expired' or 'evicted'.
    end_reason text,
    -- JSON, integers of any size included, which jsonb would refuse or round.
    metadata text NOT NULL,
    CONSTRAINT "nb:{table}:key" PRIMARY KEY (session_key)
) WITH (fillfactor = 75);

CREATE INDEX "nb:{table}:by_creation" ON "{schema}"."{table}" (created_at, session_key);

CREATE INDEX "nb:{table}:by_user" ON "{schema}"."{table}" (user_key, is_active, created_at, session_key);

CREATE INDEX "nb:{table}:by_activity" ON "{schema}"."{table}" (indexed_alive_at) WHERE is_active;

CREATE INDEX "nb:{table}:by_end" ON "{schema}"."{table}" (ended_at) WHERE NOT is_active;

-- How many sessions of a table are active, of those that have expired all that were not cleaned up: the sum of its
-- slots. Each transaction counts in the slot of its connection, so that few wait for the same row.
CREATE TABLE IF NOT EXISTS "{schema}".nanobrain_active_sessions (
    name text NOT NULL,
    slot integer NOT NULL,
    active bigint NOT NULL,
    PRIMARY KEY (name, slot)
) WITH (fillfactor = 10);
