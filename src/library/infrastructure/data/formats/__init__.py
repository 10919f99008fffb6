"""File formats of records: a registry, and one file a format, each of which reads or writes a stream of rows.

What is moved, where to, and how conflicts are resolved is decided by the managers, whom this room does not
know. Nor does it know a database: a row is a tuple of plain values, see `record_kind.py`.
"""
