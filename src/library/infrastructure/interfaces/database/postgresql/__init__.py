"""Conversations and sessions on PostgreSQL, by the driver asyncpg, which comes with the extra."""
