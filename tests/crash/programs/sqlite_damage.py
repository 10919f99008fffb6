"""Change a closed database behind the library's back.

Usage: sqlite_damage.py <file> <statement of SQL, or page number>: the page is filled with other bytes.
"""

from __future__ import annotations

import sys
from pathlib import Path

import apsw

path, damage = sys.argv[1:]
connection = apsw.Connection(path)
connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
if not damage.isdigit():
    connection.execute(damage).fetchall()
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
connection.close()
if damage.isdigit():
    content = bytearray(Path(path).read_bytes())
    content[4096 * (int(damage) - 1) : 4096 * int(damage)] = b"\xa5" * 4096
    Path(path).write_bytes(content)
