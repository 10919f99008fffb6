"""The contract of conversations, part six: what a search finds."""

# ruff: noqa: S101, SIM300, RUF001 - a contract consists of assertions, `expected == actual`; any letter is searched

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from library.infrastructure.data import InvalidOptionError, InvalidValueError
from library.infrastructure.data.conformance.conversation_foundation import (
    CROWDS,
    TEXTS,
    ConversationFoundation,
    crowd,
    exchange,
    ids_of,
    property_test,
)

if TYPE_CHECKING:
    from library.infrastructure.data import ConversationHistoryUnit

FOUND = (
    # case and accents
    ("Ein Café in München", "cafe munchen"),
    ("Ein Cafe in Munchen", "CAFÉ MÜNCHEN"),
    ("ŁÓDŹ, Ørsted, Đakovo, Straße", "lodz orsted dakovo strasse"),
    ("ΑΘΉΝΑ και Σίσυφος", "αθηνα σισυφοσ"),
    ("Ёлка и Москва", "елка МОСКВА"),
    ("e\u0301te\u0301 in two parts", "été"),
    ("ﬁne ligatures and Ｆｕｌｌ width", "fine full"),
    # inflections
    ("She was running and hoped for berries", "run hope berry"),
    ("I study", "studies studying studied"),
    # scripts without spaces
    ("私は東京都に住んでいます", "東京"),
    ("私は東京都に住んでいます", "東京都に住んで"),
    ("私は東京都に住んでいます", "京"),
    ("我喜欢机器学习", "机器学习"),
    ("我喜欢机器学习", "器学"),
    ("ภาษาไทยง่าย", "ไทย"),
    ("기계 학습을 배우다", "학습"),
    ("東京 and Kyoto", "東京 kyoto"),
    ("🎉 and 日本", "🎉"),
    # as typed
    ("I like C++ more", "c++"),
    ("C# is fine", "c#"),
    ("use .NET there", ".net"),
    ("a foo-bar here", "foo-bar"),
    ("write to jane.doe@example.com today", "jane.doe@example.com"),
    ("see https://example.com/a/b?c=d&e=1#f now", "https://example.com/a/b?c=d&e=1#f"),
    ("see https://example.com/a/b?c=d", "example.com"),
    ("version 3.14.1 is out", "3.14.1"),
    ("it costs $1,299.50 or 50%", "$1,299.50"),
    ("it costs $1,299.50 or 50%", "50%"),
    ("the number 42 and 0042", "42"),
    ("call snake_case_name() here", "snake_case_name"),
    ("#hashtag by @user", "#hashtag @user"),
    ("C:\\Users\\jane\\file.txt", "C:\\Users\\jane\\file.txt"),
    ("it's the user's", "it's user's"),
    ("node.js and I/O", "node.js I/O"),
    # syntax
    ("the quick brown fox", '"quick brown"'),
    ("the quick brown fox", '"QUICK, brown!"'),
    ("the quick brown fox", "quick -lazy"),
    ("the quick brown fox", '"brown fox" -"quick fox"'),
    ("international relations", "inter*"),
    ("an apple", "apple OR pear"),
    ("a pear", "apple OR pear"),
    ("a green pear", "green apple OR pear"),
    # what is not syntax is text
    ("the quick brown fox", "quick AND brown"),
    ("the quick brown fox", '"quick'),
    ("the quick brown fox", "quick)"),
    ("the quick brown fox", "(quick OR"),
    ("the quick brown fox", "- quick -"),
    ("a user_input:quick field", "user_input:quick"),
    ("the quick brown fox", "quick*brown ^quick NEAR(fox)"),
    ("to be or not to be", "to be or not to be"),
    ("NUL \0 between", "nul between"),
)
"""What is saved, and a search that finds it."""
MISSED = (
    ("the quick brown fox", "zebra"),
    ("the quick brown fox", '"quick fox"'),
    ("the quick brown fox", '"brown quick"'),
    ("the quick brown fox", "quick -fox"),
    ("the quick brown fox", 'quick -"brown fox"'),
    ("the quick brown foxes", '"fox"'),
    ("an unquick fox", "quick"),
    ("an unquick fox", "quick*"),
    ("c plain and d sharp", "c++"),
    ("c plain and d sharp", "c#"),
    ("only foo and then bar", "foo-bar"),
    ("東京都", "京東"),
    ("東の京", "東京"),
    ("東の京", '"東京"'),
    ("the quick brown fox", "-quick"),
    ("the quick brown fox", ""),
    ("the quick brown fox", "   "),
    ("the quick brown fox", "?!... -- ()"),
    ("the quick brown fox", "\0"),
    ("the quick brown fox", '""'),
)
"""What is saved, and a search that does not find it."""
LETTERS = st.characters(
    categories=["Ll", "Lu", "Nd"], max_codepoint=0x52F, exclude_characters="ʼ"
) | st.characters(min_codepoint=0x4E00, max_codepoint=0x9FFF)
PLAIN_WORDS = st.text(LETTERS, min_size=1, max_size=12)


class SearchContract(ConversationFoundation):
    """What a search finds."""

    @pytest.mark.parametrize("others", CROWDS)
    async def test_what_is_found(self, unit: ConversationHistoryUnit, others: int) -> None:
        """Whoever said it, each search finds what was meant; none of the others' words matter."""
        names = [str(number) for number in range(len(FOUND))]
        for name, (text, _) in zip(names, FOUND, strict=True):
            await unit.save_messages_batch(
                [exchange(text, "", conversation_id=name), exchange("", text, conversation_id=name)]
            )
        await crowd(unit, others)

        missed = [
            case
            for name, case in zip(names, FOUND, strict=True)
            if 2 != len(await unit.search_conversations(case[1], conversation_id=name))
        ]

        assert [] == missed

    @pytest.mark.parametrize("others", CROWDS)
    async def test_what_is_not_found(self, unit: ConversationHistoryUnit, others: int) -> None:
        """A search finds nothing where nothing answers it, and takes no words for others."""
        names = [str(number) for number in range(len(MISSED))]
        await unit.save_messages_batch(
            [exchange(text, conversation_id=name) for name, (text, _) in zip(names, MISSED, strict=True)]
        )
        await crowd(unit, others)

        found = [
            case
            for name, case in zip(names, MISSED, strict=True)
            if await unit.search_conversations(case[1], conversation_id=name)
            and (" " not in case[1].strip() or case[1].startswith('"') or "-" in case[1])
        ]

        assert [] == found

    @given(query=st.text() | st.text(st.sampled_from("\"-*()OR^:\\ \0aé東+#.@'🎉")), text=TEXTS)
    @property_test(60)
    async def test_any_text_is_a_query(self, unit: ConversationHistoryUnit, query: str, text: str) -> None:
        """Lone surrogates, quotes that are not closed, operators of any database: never an error."""
        await unit.clear()
        await unit.save_messages_batch([exchange(text, query.encode(errors="ignore").decode()), exchange()])

        for name in (None, "c", "d"):
            results = await unit.search_conversations(query, conversation_id=name)
            assert all(result.score > 0 and result.snippet is not None for result in results)
            assert name != "d" or results == []

    @given(
        texts=st.lists(st.lists(PLAIN_WORDS, min_size=1, max_size=5).map(" ".join), min_size=1, max_size=4),
        others=st.sampled_from(CROWDS),
    )
    @property_test(30)
    async def test_plain_words_are_found(
        self, unit: ConversationHistoryUnit, texts: list[str], others: int
    ) -> None:
        """A text of words alone finds the exchange that holds it, as words, as a phrase and word by word."""
        await unit.clear()
        ids = await unit.save_messages_batch([exchange(f"({text}).", "") for text in texts])
        await crowd(unit, others)

        for message_id, text in zip(ids, texts, strict=True):
            words = [word for word in text.split() if word != "OR"]
            for query in (" ".join(words), f'"{text}"', *words):
                results = await unit.search_conversations(query, 100)
                assert not query or message_id in ids_of(results), query

    async def test_a_question_finds_its_answer(self, unit: ConversationHistoryUnit) -> None:
        """Where no exchange holds all words, those with the most telling ones are found, best first."""
        await unit.save_messages_batch(
            exchange(f"How is the weather on day {number}?", "It is fine, thanks.") for number in range(40)
        )
        answer = await unit.save_message(exchange("", "Melanie adopted her beagle Oscar in the spring."))

        results = await unit.search_conversations("What is the name of the beagle that Melanie has adopted?")

        assert answer == results[0].message_id

    async def test_limit(self, unit: ConversationHistoryUnit) -> None:
        """At most so many results; of what fits alike, the newest."""
        ids = await unit.save_messages_batch(
            exchange("zebra", conversation_id=str(number)) for number in range(500)
        )

        for limit in (1, 10, 400, 1000):
            found = ids_of(await unit.search_conversations("zebra", limit))
            assert ids[::-1][:limit] == found

    async def test_scope(self, unit: ConversationHistoryUnit) -> None:
        """`conversation_id` searches one conversation, however many others hold the words."""
        names = ["c", "C", "c ", "c\0", "ü", "missing"]
        ids = {
            name: await unit.save_messages_batch([exchange("zebra", conversation_id=name) for _ in range(2)])
            for name in names[:-1]
        }
        await unit.save_messages_batch([exchange("zebra", conversation_id="other") for _ in range(700)])

        for name in names:
            found = await unit.search_conversations("zebra", conversation_id=name)
            assert sorted(ids.get(name, [])) == sorted(each.message_id or 0 for each in found), name

    @pytest.mark.parametrize("others", CROWDS)
    async def test_what_changed_is_found_at_once(self, unit: ConversationHistoryUnit, others: int) -> None:
        """Saved, updated, moved, deleted: a search that begins after the call returned sees it."""

        async def found(query: str, conversation_id: str | None = None) -> list[int | None]:
            return ids_of(await unit.search_conversations(query, conversation_id=conversation_id))

        message_id = await unit.save_message(exchange("zebra", "quartz"))
        await crowd(unit, others)
        assert [message_id] == await found("zebra") == await found("quartz")

        await unit.update_message(message_id, user_input="walrus")
        assert [message_id] == await found("walrus") == await found("quartz")
        assert [] == await found("zebra")

        await unit.update_message(message_id, conversation_id="d")
        assert ([], [message_id]) == (await found("walrus", "c"), await found("walrus", "d"))

        await unit.update_message(message_id, response_time_ms=5, metadata={"zebra": "zebra"})
        assert ([], [message_id]) == (await found("zebra"), await found("walrus"))

        await unit.delete_message(message_id)
        assert [] == await found("walrus")

        given = await unit.save_message(exchange("zebra", message_id=message_id))
        assert [given] == await found("zebra")
        await unit.delete_conversation("c")
        assert [] == await found("zebra")

        await unit.save_message(exchange("zebra"))
        await unit.clear()
        assert [] == await found("zebra")

    async def test_given_ids_are_found(self, unit: ConversationHistoryUnit) -> None:
        """Below and beyond what is in the index already, and far apart."""
        ids = [50, 40, 10**12, 60, 41, 10**15, 1]
        for message_id in ids:
            await unit.save_message(exchange("zebra", message_id=message_id))
            assert message_id in ids_of(await unit.search_conversations("zebra", 100))

        assert sorted(ids, reverse=True) == sorted(
            (each.message_id or 0 for each in await unit.search_conversations("zebra")), reverse=True
        )

    @pytest.mark.parametrize(
        ("option", "options"),
        [
            ("query", {"query": None}),
            ("query", {"query": b"zebra"}),
            ("limit", {"limit": 1001}),
            ("snippet_characters", {"snippet_characters": 19}),
            ("snippet_characters", {"snippet_characters": 10_001}),
            ("highlight", {"highlight": "ab"}),
            ("highlight", {"highlight": ("a",)}),
            ("highlight", {"highlight": ("a", None)}),
        ],
    )
    async def test_options_that_are_refused(
        self, unit: ConversationHistoryUnit, option: str, options: dict[str, Any]
    ) -> None:
        """The error names the option."""
        arguments = {"query": "zebra"} | options
        with pytest.raises(InvalidOptionError) as caught:
            await unit.search_conversations(**arguments)

        assert option == caught.value.option
        with pytest.raises(InvalidValueError):
            await unit.search_conversations("zebra", conversation_id="")
