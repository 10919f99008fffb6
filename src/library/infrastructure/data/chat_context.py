"""What of a conversation fits into a prompt."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from library.infrastructure.data.option_checks import check_whole_number

if TYPE_CHECKING:
    from library.infrastructure.data.conversation_message import ConversationMessage


class ContextBudget:
    """Takes exchanges, newest first, until the next does not fit."""

    def __init__(self, max_messages: int | None, max_characters: int | None) -> None:
        """Begin with nothing.

        Args:
            max_messages: at most so many chat messages; `None`: no limit.
            max_characters: at most so many characters in all; `None`: no limit.

        Raises:
            InvalidOptionError: a limit is no whole number from 0 up.

        """
        self._messages_left = (
            None if max_messages is None else check_whole_number("max_messages", max_messages, 0)
        )
        self._characters_left = (
            None if max_characters is None else check_whole_number("max_characters", max_characters, 0)
        )
        self._messages: deque[dict[str, str]] = deque()

    def take(self, message: ConversationMessage) -> bool:
        """Put an exchange before those that were taken, if it fits whole; tell whether it does."""
        texts = (("assistant", message.agent_response), ("user", message.user_input))
        parts = [{"role": role, "content": text} for role, text in texts if text]
        size = sum(len(part["content"]) for part in parts)
        if self._messages_left is not None:
            if len(parts) > self._messages_left:
                return False
            self._messages_left -= len(parts)
        if self._characters_left is not None:
            if size > self._characters_left:
                return False
            self._characters_left -= size
        self._messages.extendleft(parts)
        return True

    def messages(self) -> list[dict[str, str]]:
        """Return the messages, oldest first."""
        return list(self._messages)
