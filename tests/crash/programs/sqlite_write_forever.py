"""Change a conversation history again and again; print a line for each change that was acknowledged.

Usage: sqlite_write_forever.py <file> <work> <first number>
"""

from __future__ import annotations

import asyncio
import os
import sys
from datetime import UTC, datetime, timedelta
from itertools import count

from library.infrastructure.data import ConversationHistoryUnit, ConversationMessage
from library.infrastructure.interfaces.database import SQLiteAdapter

NOON = datetime(2024, 5, 17, 12, tzinfo=UTC)
TASKS = 32
BATCH = 200


def exchange(number: int, conversation_id: str, user_input: str) -> ConversationMessage:
    """Build an exchange of about 120 words, as they are in chats."""
    answer = " ".join(f"word{(number * 7 + position) % 997}" for position in range(100))
    return ConversationMessage(conversation_id, user_input, answer, NOON + timedelta(seconds=number), 1.0)


def say(*values: int) -> None:
    """Print numbers in one line, in one piece."""
    os.write(1, (" ".join(map(str, values)) + "\n").encode())


async def save(unit: ConversationHistoryUnit, first: int) -> None:
    """Save from 32 tasks; print the number and the id of each exchange."""

    async def task(number: int) -> None:
        while True:
            message_id = await unit.save_message(exchange(number, f"task{number % TASKS}", f"mark{number}"))
            say(number, message_id)
            number += TASKS

    await asyncio.gather(*(task(first + number) for number in range(TASKS)))


async def batch(unit: ConversationHistoryUnit, first: int) -> None:
    """Save batches from four tasks, each a conversation; print the number of each."""

    async def task(number: int) -> None:
        while True:
            messages = [exchange(each, f"batch{number}", f"mark{number}x{each}") for each in range(BATCH)]
            await unit.save_messages_batch(messages)
            say(number)
            number += 4

    await asyncio.gather(*(task(first + number) for number in range(4)))


async def delete(unit: ConversationHistoryUnit, first: int) -> None:
    """Delete conversations, one after the other; print the number of each."""
    say(first - 1)
    for number in count(first):
        await unit.delete_conversation(f"conversation{number}")
        say(number)


async def purge(unit: ConversationHistoryUnit, first: int) -> None:
    """Purge 700 seconds more each time; print how many seconds in all."""
    say(first)
    for seconds in count(first + 700, 700):
        await unit.purge(NOON + timedelta(seconds=seconds))
        say(seconds)


async def update(unit: ConversationHistoryUnit, first: int) -> None:
    """Give exchange after exchange a new text; print the id of each."""
    say(first - 1)
    for message_id in count(first):
        await unit.update_message(message_id, user_input=f"new{message_id}", agent_response="new " * 2000)
        say(message_id)


async def index(unit: ConversationHistoryUnit, first: int) -> None:
    """Save many exchanges at once and search, so that all are indexed; print the last number before that."""
    for number in count(first, 3000):
        numbers = range(number, number + 3000)
        await unit.save_messages_batch([exchange(each, f"all{each % 50}", f"mark{each}") for each in numbers])
        say(number + 2999)
        await unit.search_conversations("word1")


async def main(path: str, work: str, first: int) -> None:
    """Open the history, and work until killed."""
    works = {"save": save, "batch": batch, "delete": delete, "purge": purge, "update": update, "index": index}
    async with SQLiteAdapter(path) as adapter, ConversationHistoryUnit(adapter) as unit:
        await works[work](unit, first)


asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
