"""Numbers by which databases index texts that may be long: conversations and sessions."""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b

from library.infrastructure.data.json_reading import decode


@lru_cache(maxsize=4096)
def conversation_key(conversation_id: str) -> int:
    """Give the number by which a conversation is indexed: 64 bits of a BLAKE2b digest, signed."""
    return _digest(conversation_id, b"nanobrain")


def session_key(session_id: str) -> int:
    """Give the number by which the exchanges of a session are indexed: a digest too, and never 0."""
    return _digest(session_id, b"nanobrainsession") or 1


def session_key_of(document: str) -> int | None:
    """Give the number of the session that stored metadata name; `None` if they name none.

    Metadata that are damaged name none: whoever reads their exchange is told.
    """
    if '"session_id"' not in document:
        return None
    try:
        metadata = decode(document.encode())
        session_id = metadata.get("session_id") if isinstance(metadata, dict) else None
        return session_key(session_id) if isinstance(session_id, str) else None
    except ValueError:
        return None


def _digest(text: str, purpose: bytes) -> int:
    digest = blake2b(text.encode(), digest_size=8, person=purpose).digest()
    return int.from_bytes(digest, "big", signed=True)
