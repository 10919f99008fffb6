"""What was erased is nowhere in the bytes of the database's files, its log and its index included.

Secrets are made of letters that are in no other text; see `programs/sqlite_find_secrets.py`.
"""

from __future__ import annotations

import asyncio
import json
import random
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from library.infrastructure.data import ConversationHistoryUnit, ConversationMessage
from library.infrastructure.interfaces.database import SQLiteAdapter

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

pytestmark = pytest.mark.slow

NOON = datetime(2024, 5, 17, 12, tzinfo=UTC)
LATIN = "QZXJ"
CHINESE = "龘靐齉麤"
LENGTHS = (8, 30, 200, 900, 2000, 4070, 9000, 100_000)
WORDS = [
    "alpha",
    "beta",
    "gamma",
    "delta",
    "learn",
    "models",
    "running",
    "water",
    "\u00e9t\u00e9",
    "犬猫",
    "ocean",
]

random_numbers = random.Random()


def secret(length: int, letters: str = LATIN) -> str:
    """Make a text that gives itself away."""
    return "".join(random_numbers.choices(letters, k=length))


def plain(length: int) -> str:
    """Make a text without secrets."""
    return " ".join(random_numbers.choices(WORDS, k=length // 6 + 1))[:length]


def exchange(conversation_id: str, text: str, answer: str = "", **others: Any) -> ConversationMessage:
    """Build an exchange of some second after noon."""
    others.setdefault("timestamp", NOON + timedelta(seconds=random_numbers.randrange(1_000_000)))
    return ConversationMessage(conversation_id, text, answer, response_time_ms=1.0, **others)


def plain_exchanges(count: int) -> list[ConversationMessage]:
    """Build exchanges of many sizes without secrets."""
    sizes = (5, 50, 200, 700, 3000, 6000)
    return [
        exchange(f"conversation{number % 60}", *(plain(random_numbers.choice(sizes)) for _ in range(2)))
        for number in range(count)
    ]


def secret_exchanges(**others: Any) -> list[ConversationMessage]:
    """Build exchanges of five conversations that hold secrets everywhere, of many lengths."""
    found: list[ConversationMessage] = []
    for letters in (LATIN, CHINESE):
        for length in LENGTHS:
            text, answer = secret(length, letters), f"yes {secret(length, letters)} no"
            metadata = {"note": secret(min(length, 9000), letters), secret(8, letters): [secret(20, letters)]}
            names = [f"{letters[0] * 3} secret {number}" for number in range(4)] + [secret(40, letters) * 10]
            name = names[len(found) % 5]
            found += [
                exchange(name, text, "", **others),
                exchange(name, "", answer, metadata=metadata, **others),
                exchange(name, f"{plain(900)} {text[:300]}", plain(2000), metadata=metadata, **others),
            ]
    return found


@pytest.fixture(autouse=True)
def same_every_time() -> None:
    """Begin each test with the same random numbers."""
    random_numbers.seed(20240517)


@pytest.fixture
def find(start: Callable[..., Any]) -> Callable[[Path], list[list[Any]]]:
    """Look for secrets, in another process."""

    def find(path: Path) -> list[list[Any]]:
        found: list[list[Any]] = json.loads(start("sqlite_find_secrets", path).line())
        return found

    return find


async def index_all(unit: ConversationHistoryUnit) -> None:
    """Bring the full-text index up to date now, instead of when there is time."""
    store: Any = unit._store
    await store._adapter.engine.write(store._catch_up, None, "index", in_transaction=False)


async def save_among_others(
    unit: ConversationHistoryUnit, secrets: Sequence[ConversationMessage]
) -> list[ConversationMessage]:
    """Save secrets among thousands of other exchanges, and index them part by part."""
    shuffled = random_numbers.sample(secrets, len(secrets))
    saved: list[ConversationMessage] = []
    for part in range(8):
        theirs = shuffled[part::8]
        batch = theirs + plain_exchanges(120)
        random_numbers.shuffle(batch)
        ids = await unit.save_messages_batch(batch)
        for message, message_id in zip(batch, ids, strict=True):
            message.message_id = message_id
        saved += theirs
        if part != 6:
            await index_all(unit)
    return saved


async def delete_conversations(unit: ConversationHistoryUnit, saved: list[ConversationMessage]) -> None:
    for name in {each.conversation_id for each in saved}:
        await unit.delete_conversation(name)


async def delete_messages(unit: ConversationHistoryUnit, saved: list[ConversationMessage]) -> None:
    await asyncio.gather(*(unit.delete_message(each.message_id or 0) for each in saved))


async def update_messages(unit: ConversationHistoryUnit, saved: list[ConversationMessage]) -> None:
    for each in saved:
        changes = {"user_input": plain(30), "agent_response": plain(300), "metadata": {}}
        await unit.update_message(each.message_id or 0, conversation_id="open", **changes)


async def purge(unit: ConversationHistoryUnit, saved: list[ConversationMessage]) -> None:
    await unit.purge(NOON - timedelta(days=1))


async def clear(unit: ConversationHistoryUnit, saved: list[ConversationMessage]) -> None:
    await unit.clear()


@pytest.mark.parametrize(
    "erase",
    [delete_conversations, delete_messages, update_messages, purge, clear],
    ids=lambda fn: fn.__name__,
)
async def test_what_was_erased_is_gone(
    erase: Callable[..., Any], tmp_path: Path, find: Callable[..., Any]
) -> None:
    """No fragment of a secret is left when the call has returned, whatever its length and its field.

    What was changed, not erased, leaves the log a moment later.
    """
    path = tmp_path / "conversations.db"
    times = {"timestamp": NOON - timedelta(days=2)} if erase is purge else {}
    async with SQLiteAdapter(path) as adapter, ConversationHistoryUnit(adapter) as unit:
        saved = await save_among_others(unit, secret_exchanges(**times))
        assert len(find(path)) > 100

        await erase(unit, saved)

        if erase is update_messages:
            async with asyncio.timeout(5):
                while find(path):
                    await asyncio.sleep(0.1)
        assert [] == find(path)
        if erase is not clear:
            assert len(await unit.search_conversations("water")) == 10
    assert [] == find(path)
    async with SQLiteAdapter(path) as adapter:
        assert [] == await adapter.check()


async def test_words_on_the_edge_of_index_pages(tmp_path: Path, find: Callable[..., Any]) -> None:
    """The tree above the index's pages keeps words too, whole ones where two are much alike."""
    path = tmp_path / "conversations.db"
    async with SQLiteAdapter(path) as adapter, ConversationHistoryUnit(adapter) as unit:
        for part in range(4):
            batch = []
            for number in range(600):
                word = f"w{number:03}{secret(12)}"
                batch += [
                    exchange("secret", f"{word} {word}a {word}b", plain(200)),
                    exchange("open", f"w{number:03}k{part} w{number:03}l{part}", plain(200)),
                ]
            await unit.save_messages_batch(batch)
            await index_all(unit)

        await unit.delete_conversation("secret")

        assert [] == find(path)


async def test_space_between_the_rows_of_a_page(tmp_path: Path, find: Callable[..., Any]) -> None:
    """A row that was moved to another page, when its own page became too small, leaves no copy behind."""
    path = tmp_path / "conversations.db"
    async with SQLiteAdapter(path) as adapter, ConversationHistoryUnit(adapter) as unit:
        for message_id in random_numbers.sample(range(1, 2000), 1000):
            name, make = random_numbers.choice((("open", plain), ("secret", secret)))
            text = make(random_numbers.choice((20, 100, 300, 700)))
            await unit.save_message(exchange(name, text, message_id=message_id))

        await unit.delete_conversation("secret")

        assert [] == find(path)


async def test_names_of_conversations_that_come_in_no_order(tmp_path: Path, find: Callable[..., Any]) -> None:
    """The pages of the indexes are split again and again; no name of a conversation stays on any of them."""
    path = tmp_path / "conversations.db"
    async with SQLiteAdapter(path) as adapter, ConversationHistoryUnit(adapter) as unit:
        names = [secret(random_numbers.choice((10, 60, 300, 900))) for _ in range(300)]
        for part in range(10):
            mine = [exchange(name, plain(20)) for name in names[part::10]]
            theirs = [exchange(f"{LATIN[number % 4]}{number}" + plain(200), "") for number in range(60)]
            await unit.save_messages_batch(mine + theirs)
        random_numbers.shuffle(names)

        for name in names:
            await unit.delete_conversation(name)

        assert [] == find(path)


async def test_a_reader_of_another_process_is_in_the_way(
    tmp_path: Path, find: Callable[..., Any], start: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    """While a reader looks at an earlier state, a warning says that it does; when it ends, the rest goes."""
    path = tmp_path / "conversations.db"
    async with SQLiteAdapter(path) as adapter, ConversationHistoryUnit(adapter) as unit:
        await unit.save_messages_batch(secret_exchanges())
        await index_all(unit)
        reader = start("sqlite_hold", path, "read")
        assert reader.line() == "holding"
        await unit.clear()
        assert "a reader in some process looks at an earlier state" in caplog.text

        reader.tell("end")
        assert reader.wait() == 0

        async with asyncio.timeout(20):
            while find(path):
                await asyncio.sleep(0.1)


async def test_the_database_closes_before_the_reader_ends(
    tmp_path: Path, find: Callable[..., Any], start: Callable[..., Any]
) -> None:
    """What could not be erased from the log before closing is erased once the database is opened again."""
    path = tmp_path / "conversations.db"
    async with SQLiteAdapter(path) as adapter, ConversationHistoryUnit(adapter) as unit:
        await unit.save_messages_batch([exchange("a", secret(500)) for _ in range(50)])
        reader = start("sqlite_hold", path, "read")
        assert reader.line() == "holding"
        await unit.delete_conversation("a")
    reader.kill()

    async with SQLiteAdapter(path) as adapter, ConversationHistoryUnit(adapter) as unit:
        async with asyncio.timeout(3):
            while find(path):
                await asyncio.sleep(0.1)
        assert 0 == len(await unit.list_conversations())


async def test_an_erasure_that_is_cancelled(tmp_path: Path, find: Callable[..., Any]) -> None:
    """A deletion that is cancelled on its way is completed, or nothing was deleted."""
    path = tmp_path / "conversations.db"
    async with SQLiteAdapter(path) as adapter, ConversationHistoryUnit(adapter) as unit:
        for number in range(50):
            ids = await unit.save_messages_batch([exchange("a", secret(3000)) for _ in range(20)])
            deleting = asyncio.create_task(unit.delete_conversation("a"))
            await asyncio.sleep(number / 20_000)
            deleting.cancel()
            await asyncio.gather(deleting, return_exceptions=True)
            await unit.save_message(exchange("b", "behind it"))
            left = await unit.get_conversation_history("a")
            assert len(left) in {0, len(ids)}
            if not left:
                async with asyncio.timeout(2):
                    while find(path):
                        await asyncio.sleep(0.2)
            await unit.delete_conversation("a")


async def test_nothing_is_left_after_closing(tmp_path: Path) -> None:
    """When the last one who uses a database closes it, the log is in the file, and gone."""
    for number in range(10):
        path = tmp_path / f"{number}.db"
        async with SQLiteAdapter(path) as adapter, ConversationHistoryUnit(adapter) as unit:
            await unit.save_message(exchange("a", "text"))
            await asyncio.gather(*(unit.get_conversation_history("a") for _ in range(8)))

    assert [f"{number}.db" for number in range(10)] == sorted(each.name for each in tmp_path.iterdir())
