"""Look for secrets in the bytes of a database's files; print what is found as JSON.

A process of its own does that: reading a file that is open in SQLite takes SQLite's locks on it away. Secrets
are made of letters that are in no other text, so that any fragment of one gives itself away.

Usage: sqlite_find_secrets.py <file>
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

FRAGMENT = re.compile(rb"[QZXJqzxj]{8,}|(?:" + "|".join("龘靐齉麤").encode() + rb"){2,}")

found = []
path = Path(sys.argv[1])
for file in sorted(path.parent.iterdir()):
    if file.name.startswith(path.name):
        for match in FRAGMENT.finditer(file.read_bytes()):
            page, offset = divmod(match.start(), 4096)
            found.append(
                [file.name, page + 1, offset, len(match[0]), match[0][:12].decode("utf-8", "replace")]
            )
print(json.dumps(found))
