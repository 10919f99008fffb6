"""The messages of a turn in a log database of `llm`, which keeps each message with the one before it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from library.infrastructure.interfaces.database.sqlite.related_rows import RelatedRows, Values


class MessageChains:
    """Finds what was said in a turn."""

    def __init__(self, related: RelatedRows) -> None:
        """Prepare to read messages."""
        self._related = related

    def add_to(self, turn: Values) -> None:
        """Add the texts of a turn to its row, and all messages that came since the turn before."""
        asked = turn.get("parent_message_hash")
        messages = self._since_last_turn(turn.get("tip_message_hash") or asked, turn.get("id"))
        hashes = [message.get("hash") for message in messages]
        begin = hashes.index(asked) + 1 if asked in hashes else 0
        before, after = messages[:begin], messages[begin:]
        is_asked = bool(before) and before[-1].get("role") == "user"
        turn["prompt"] = self._text(before[-1]) if is_asked else ""
        turn["response"] = "".join(self._text(each) for each in after if each.get("role") == "assistant")
        for message in messages:
            for part in message["parts"]:
                if part.get("text") in {turn["prompt"], turn["response"]}:
                    del part["text"]
        turn["messages"] = messages

    def _since_last_turn(self, tip: Any, turn_id: Any) -> list[Values]:
        """Return the messages up to `tip`, from behind the last one at which another turn ended."""
        chain: list[Values] = []
        passed: set[Any] = set()
        current = tip
        while current is not None and current not in passed:
            passed.add(current)
            message = next(self._related.select("messages", "hash", current), None)
            if message is None or (chain and self._ends_another(current, turn_id)):
                break
            message["parts"] = [
                part | self._related.of("parts", part)
                for part in self._related.select("parts", "message_hash", current, order="position")
            ]
            chain.append(message)
            current = message.get("parent_hash")
        chain.reverse()
        return chain

    def _ends_another(self, message: Any, turn_id: Any) -> bool:
        return any(
            turn.get("id") != turn_id for turn in self._related.select("turns", "tip_message_hash", message)
        )

    def _text(self, message: Values) -> str:
        return "".join(self._text_of_part(part) for part in message["parts"] if part.get("type") == "text")

    def _text_of_part(self, part: Values) -> str:
        """Return the text of a part, which may be put together from fragments that are kept once."""
        if isinstance(part.get("text"), str):
            return str(part["text"])
        pieces = _pieces(part.get("payload"))
        return "".join(self._text_of_piece(piece) for piece in pieces if isinstance(piece, dict))

    def _text_of_piece(self, piece: dict[str, Any]) -> str:
        text = piece.get("literal")
        if "fragment" in piece:
            fragment = next(self._related.select("fragments", "id", piece["fragment"]), {})
            text = fragment.get("content")
        return text if isinstance(text, str) else ""


def _pieces(payload: Any) -> list[Any]:
    try:
        parsed = json.loads(payload) if isinstance(payload, str) else None
    except (ValueError, RecursionError):
        return []
    pieces = parsed.get("text_ref") if isinstance(parsed, dict) else None
    return pieces if isinstance(pieces, list) else []
