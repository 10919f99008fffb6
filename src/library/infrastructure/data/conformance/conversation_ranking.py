"""The contract of conversations, part seven: in which order a search finds, and what it shows."""

# ruff: noqa: S101, SIM300 - a contract consists of assertions, `expected == actual`

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from library.infrastructure.data.conformance.conversation_foundation import (
    CROWDS,
    ConversationFoundation,
    crowd,
    exchange,
    facts,
    ids_of,
    property_test,
)

if TYPE_CHECKING:
    from library.infrastructure.data import ConversationHistoryUnit

WORDS = ("zebra", "quartz", "walrus", "lantern", "zebras", "quartzes")


class RankingContract(ConversationFoundation):
    """In which order a search finds, and what it shows."""

    async def test_the_word_itself_comes_before_others_of_its_stem(
        self, unit: ConversationHistoryUnit
    ) -> None:
        """However short and full of another inflection an exchange is."""
        wanted = await unit.save_message(exchange("Which animal is the fastest on land? " * 5, ""))
        await unit.save_message(exchange("animated animated", "", conversation_id="other"))

        results = await unit.search_conversations("animal")

        assert wanted == results[0].message_id

    async def test_what_is_written_so_comes_first(self, unit: ConversationHistoryUnit) -> None:
        """Before other forms of the word, though 400 newer exchanges hold those."""
        exact = [await unit.save_message(exchange("they study", "", conversation_id="old"))]
        await unit.save_messages_batch(
            exchange("studies", "", conversation_id=str(number)) for number in range(400)
        )
        exact.insert(0, await unit.save_message(exchange("they study", "", conversation_id="new")))

        results = await unit.search_conversations("study", 20)

        assert exact == ids_of(results)[:2]
        assert 20 == len(results)

    @given(
        texts=st.lists(
            st.lists(st.sampled_from(WORDS[:4]), max_size=6).map(" ".join), min_size=1, max_size=15
        ),
        asked=st.lists(st.sampled_from(WORDS[:4]), min_size=1, max_size=3, unique=True),
        together=st.booleans(),
    )
    @property_test(30)
    async def test_what_holds_all_words_comes_first(
        self, unit: ConversationHistoryUnit, texts: list[str], asked: list[str], *, together: bool
    ) -> None:
        """Behind it what holds some; within each the scores fall. All that holds all is found."""
        await unit.clear()
        await unit.save_messages_batch(
            exchange(text, "", conversation_id="c" if together else str(number), at=number)
            for number, text in enumerate(texts)
        )

        results = await unit.search_conversations(" ".join(asked), 100)

        holding = [set(asked).issubset(result.user_input.split()) for result in results]
        assert sorted(holding, reverse=True) == holding
        assert sum(set(asked).issubset(text.split()) for text in texts) == sum(holding)
        order = [(holds_all, result.score) for holds_all, result in zip(holding, results, strict=True)]
        assert sorted(order, reverse=True) == order
        assert all(set(asked).intersection(result.user_input.split()) for result in results)

    @pytest.mark.parametrize("others", CROWDS)
    async def test_rare_words_tell_more(self, unit: ConversationHistoryUnit, others: int) -> None:
        """Of two exchanges with one of the words each, that with the rarer one comes first."""
        rare = await unit.save_message(exchange("a walrus", "", conversation_id="rare"))
        await unit.save_messages_batch(
            exchange("a zebra", "", conversation_id=str(number)) for number in range(30)
        )
        await crowd(unit, others)

        results = await unit.search_conversations("zebra walrus")

        assert rare == results[0].message_id
        assert 10 == len(results)

    async def test_neighbours_that_match_lift(self, unit: ConversationHistoryUnit) -> None:
        """Of exchanges alike, that whose neighbours match comes first, though it is older."""
        lifted, _ = await unit.save_messages_batch(
            [exchange("zebra", ""), exchange("the zebra again, a long time afterwards", "", at=1)]
        )
        alone = await unit.save_message(exchange("zebra", "", conversation_id="d"))
        filler = (exchange(str(number), conversation_id="e") for number in range(20))
        await unit.save_messages_batch(filler)

        results = await unit.search_conversations("zebra")

        scores = {result.message_id: result.score for result in results}
        assert lifted == results[0].message_id
        assert scores[lifted] > scores[alone]

    async def test_results_are_exchanges(self, unit: ConversationHistoryUnit) -> None:
        """With all their fields, as `get_message` returns them."""
        parent = await unit.save_message(exchange())
        message_id = await unit.save_message(
            exchange("zebra", "\0", metadata={"a": [2**70, 0.1]}, parent_id=parent, response_time_ms=0.3)
        )

        (result,) = await unit.search_conversations("zebra")

        assert facts(await unit.get_message(message_id)) == facts(result)

    # -- what is shown ---------------------------------------------------------------------------------------

    async def test_snippets(self, unit: ConversationHistoryUnit) -> None:
        """The matches stand between the caller's marks; the part that fits best is shown, not more."""
        await unit.save_message(exchange("x " * 500 + "The Zèbras drink quartz water." + " y" * 500, ""))

        (marked,) = await unit.search_conversations("zebra quartz", highlight=("<b>", "</b>"))
        (short,) = await unit.search_conversations("zebra quartz", highlight=("", ""), snippet_characters=40)

        assert "The <b>Zèbras</b> drink <b>quartz</b> water." in marked.snippet
        assert "Zèbras drink quartz" in short.snippet
        assert len(short.snippet) <= 42

    async def test_the_usual_marks(self, unit: ConversationHistoryUnit) -> None:
        """Square brackets; and what is not shown is hinted at by an ellipsis."""
        await unit.save_message(exchange("", "A zebra. " + "More " * 100))

        (result,) = await unit.search_conversations("ZEBRA")

        assert result.snippet.startswith("A [zebra]. More")
        assert result.snippet.endswith("…")

    @pytest.mark.parametrize("marks", [("\0", "\0"), ("[zebra", "zebra]"), ("\\1", "\\g<0>"), ("{}", "%s")])
    async def test_any_marks(self, unit: ConversationHistoryUnit, marks: tuple[str, str]) -> None:
        """They are put in as they are."""
        await unit.save_message(exchange("one zebra", ""))

        (result,) = await unit.search_conversations("zebra", highlight=marks)

        assert f"one {marks[0]}zebra{marks[1]}" == result.snippet

    @given(
        texts=st.lists(
            st.text(st.sampled_from("zebraé 東京🎉\u0301\n.-"), max_size=300), min_size=1, max_size=3
        ),
        characters=st.integers(20, 100),
    )
    @property_test(30)
    async def test_snippets_are_parts_of_the_texts(
        self, unit: ConversationHistoryUnit, texts: list[str], characters: int
    ) -> None:
        """Without the marks, white space aside, a snippet stands in the text; it is not longer than asked."""
        await unit.clear()
        await unit.save_messages_batch([exchange(f"zebra {text}", text) for text in texts])

        results = await unit.search_conversations(
            "zebra 東京 🎉", highlight=("", ""), snippet_characters=characters
        )

        assert len(texts) == len(results)
        for result in results:
            shown = result.snippet.removeprefix("…").removesuffix("…")
            assert len(shown) <= characters
            assert any(
                " ".join(shown.split()) in " ".join(text.split())
                for text in (result.user_input, result.agent_response)
            )
