"""The contract of conversations as tests: someone else's database runs them too.

    from library.infrastructure.data.conformance.conversation_contract import (
        ConversationContract, DatabaseAbility, DatabaseKind,
    )

    class TestConversations(ConversationContract):
        kinds = [DatabaseKind(name="mine", make=..., url=..., can=DatabaseAbility.DURABLE)]

A kind of database is one `DatabaseKind`; a test that asks for an ability runs for those kinds that have it.
"""

import pytest

_PARTS = (
    "concurrency",
    "context",
    "erasing",
    "foundation",
    "lifecycle",
    "lists",
    "metadata",
    "metrics",
    "paging",
    "queries",
    "ranking",
    "reading",
    "saving",
    "search",
    "threads",
    "transfer",
    "unit",
)
# Before these are imported, or their assertions would not tell the values.
pytest.register_assert_rewrite(*(f"{__package__}.conversation_{part}" for part in _PARTS))

from library.infrastructure.data.conformance.conversation_concurrency import (  # noqa: E402
    ConversationConcurrencyContract,
)
from library.infrastructure.data.conformance.conversation_context import ContextContract  # noqa: E402
from library.infrastructure.data.conformance.conversation_erasing import ErasingContract  # noqa: E402
from library.infrastructure.data.conformance.conversation_kinds import (  # noqa: E402
    DatabaseAbility,
    DatabaseKind,
)
from library.infrastructure.data.conformance.conversation_lifecycle import (  # noqa: E402
    ConversationLifecycleContract,
)
from library.infrastructure.data.conformance.conversation_lists import ListContract  # noqa: E402
from library.infrastructure.data.conformance.conversation_metadata import MetadataContract  # noqa: E402
from library.infrastructure.data.conformance.conversation_metrics import MetricsContract  # noqa: E402
from library.infrastructure.data.conformance.conversation_paging import PagingContract  # noqa: E402
from library.infrastructure.data.conformance.conversation_queries import QueryContract  # noqa: E402
from library.infrastructure.data.conformance.conversation_ranking import RankingContract  # noqa: E402
from library.infrastructure.data.conformance.conversation_reading import ReadingContract  # noqa: E402
from library.infrastructure.data.conformance.conversation_saving import SavingContract  # noqa: E402
from library.infrastructure.data.conformance.conversation_search import SearchContract  # noqa: E402
from library.infrastructure.data.conformance.conversation_threads import ThreadContract  # noqa: E402
from library.infrastructure.data.conformance.conversation_transfer import (  # noqa: E402
    ConversationTransferContract,
)
from library.infrastructure.data.conformance.conversation_unit import ConversationUnitContract  # noqa: E402

__all__ = ["ConversationContract", "DatabaseAbility", "DatabaseKind"]


class ConversationContract(
    SavingContract,
    ReadingContract,
    QueryContract,
    PagingContract,
    MetadataContract,
    SearchContract,
    RankingContract,
    ThreadContract,
    ListContract,
    ErasingContract,
    ContextContract,
    MetricsContract,
    ConversationUnitContract,
    ConversationLifecycleContract,
    ConversationConcurrencyContract,
    ConversationTransferContract,
):
    """Inherit from this, name the class `Test...`, and set `kinds`: each test runs for each of them."""
