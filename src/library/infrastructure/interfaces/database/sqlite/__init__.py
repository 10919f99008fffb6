"""Conversations on SQLite, by the driver apsw, which carries a current SQLite of its own."""
