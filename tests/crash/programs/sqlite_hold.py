"""Hold a database, as some other program may: in a transaction that reads, or in one that writes.

Usage: sqlite_hold.py <file> <read or write>: say "holding", and let go at the next line of input.
"""

from __future__ import annotations

import sys

import apsw

connection = apsw.Connection(sys.argv[1])
connection.set_busy_timeout(20_000)
if sys.argv[2] == "read":
    connection.execute("BEGIN")
    connection.execute("SELECT count(*) FROM conversations").fetchall()
else:
    connection.execute("BEGIN IMMEDIATE")
print("holding", flush=True)
sys.stdin.readline()
connection.execute("ROLLBACK")
connection.close()
