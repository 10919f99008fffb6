CREATE TABLE "{table}" (
    -- A digest of the session_id, by which sessions are looked up: how long that takes tells nothing of the id, and one
    -- whole number is found faster than a text. Its upper bits are the time of creation, where the id tells it, so that
    -- sessions that are created together stand together.
    session_key INTEGER PRIMARY KEY,
    session_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    -- A digest of the user_id, which may be long.
    user_key INTEGER NOT NULL,
    -- Microseconds since 1970, UTC, as all times here.
    created_at INTEGER NOT NULL,
    last_activity INTEGER NOT NULL,
    -- From when the timeout counts: the last_activity; later while some process holds activity in memory; long ago
    -- once the session was found to have expired.
    alive_at INTEGER NOT NULL,
    -- What is indexed in its place: an earlier alive_at. Activity leaves it as it is, so that no index changes with
    -- each; it is brought up to date when the session is looked at.
    indexed_alive_at INTEGER NOT NULL,
    is_active INTEGER NOT NULL,
    ended_at INTEGER,
    -- 'ended', 'expired' or 'evicted'.
    end_reason TEXT,
    version INTEGER NOT NULL,
    -- JSON.
    metadata TEXT NOT NULL
) STRICT;

CREATE INDEX "nanobrain:{table}:by_creation" ON "{table}" (created_at);

CREATE INDEX "nanobrain:{table}:by_user" ON "{table}" (user_key, is_active, created_at);

CREATE INDEX "nanobrain:{table}:by_activity" ON "{table}" (indexed_alive_at) WHERE is_active = 1;

CREATE INDEX "nanobrain:{table}:by_end" ON "{table}" (ended_at) WHERE is_active = 0;
