"""Hold the write lock of a database, as some other program may.

Usage: session_hold.py <file> <statement that begins a transaction>: say "holding", let go at the next line.
"""

from __future__ import annotations

import sys

import apsw

connection = apsw.Connection(sys.argv[1])
connection.set_busy_timeout(20_000)
connection.execute(sys.argv[2])
print("holding", flush=True)
sys.stdin.readline()
connection.execute("ROLLBACK")
connection.close()
