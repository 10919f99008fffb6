"""Parsing what other programs wrote as JSON, and a digest of what was parsed."""

from __future__ import annotations

import json
import re
from hashlib import blake2b
from typing import Any, Final

from library.infrastructure.data.formats.record_format import Fault
from library.infrastructure.data.json_reading import loads

_HALF_PAIR: Final = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])"
    rb"|\\u[dD][c-fC-F](?<!\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F])"
)
"""One half of a surrogate pair without the other: what is left of an emoji that was cut in two."""
_DIGEST_BYTES: Final = 16


def parse(raw: bytes) -> Any:
    """Parse a JSON text; return a `Fault` where it is none.

    Integers are exact. Halves of surrogate pairs, which some programs write and no encoding holds, become
    U+FFFD, the character for what cannot be shown.
    """
    try:
        return _mend(raw) if _HALF_PAIR.search(raw) else loads(raw)
    except RecursionError:
        return Fault("it is nested too deeply")
    except ValueError as error:
        return Fault(f"it is not JSON: {error}")


def digest(value: Any) -> str:
    """Return a digest of a JSON value, which does not depend on how it was written.

    Raises:
        RecursionError: it is nested too deeply.

    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return blake2b(text.encode(), digest_size=_DIGEST_BYTES).hexdigest()


def _mend(raw: bytes) -> Any:
    text = json.dumps(json.loads(raw), ensure_ascii=False, allow_nan=False)
    return loads(text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").encode())
