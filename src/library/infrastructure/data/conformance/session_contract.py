"""The contract of sessions as tests: someone else's store runs them too.

    from library.infrastructure.data.conformance.session_contract import (
        Home, SessionAbility, SessionContract, SessionKind,
    )

    class TestSessions(SessionContract):
        kinds = [SessionKind(name="mine", make=..., can=SessionAbility.DURABLE)]

A kind of store is one `SessionKind`; a test that asks for an ability runs for those kinds that have it.
"""

import pytest

_PARTS = (
    "cleaning",
    "concurrency",
    "creating",
    "ending",
    "expiry",
    "foundation",
    "functions",
    "giving",
    "isolation",
    "keeping",
    "lifecycle",
    "limits",
    "lists",
    "model",
    "reading",
    "sequences",
    "touching",
    "transfer",
    "updating",
    "writing",
)
# Before these are imported, or their assertions would not tell the values.
pytest.register_assert_rewrite(
    f"{__package__}.conversation_foundation", *(f"{__package__}.session_{part}" for part in _PARTS)
)

from library.infrastructure.data.conformance.session_cleaning import SessionCleaningContract  # noqa: E402
from library.infrastructure.data.conformance.session_concurrency import SessionConcurrencyContract  # noqa: E402
from library.infrastructure.data.conformance.session_creating import SessionCreatingContract  # noqa: E402
from library.infrastructure.data.conformance.session_ending import SessionEndingContract  # noqa: E402
from library.infrastructure.data.conformance.session_expiry import SessionExpiryContract  # noqa: E402
from library.infrastructure.data.conformance.session_functions import SessionFunctionsContract  # noqa: E402
from library.infrastructure.data.conformance.session_giving import SessionGivingContract  # noqa: E402
from library.infrastructure.data.conformance.session_isolation import SessionIsolationContract  # noqa: E402
from library.infrastructure.data.conformance.session_keeping import SessionKeepingContract  # noqa: E402
from library.infrastructure.data.conformance.session_kinds import (  # noqa: E402
    Home,
    SessionAbility,
    SessionKind,
)
from library.infrastructure.data.conformance.session_lifecycle import SessionLifecycleContract  # noqa: E402
from library.infrastructure.data.conformance.session_limits import SessionLimitsContract  # noqa: E402
from library.infrastructure.data.conformance.session_lists import SessionListsContract  # noqa: E402
from library.infrastructure.data.conformance.session_reading import SessionReadingContract  # noqa: E402
from library.infrastructure.data.conformance.session_sequences import SessionSequencesContract  # noqa: E402
from library.infrastructure.data.conformance.session_touching import SessionTouchingContract  # noqa: E402
from library.infrastructure.data.conformance.session_transfer import SessionTransferContract  # noqa: E402
from library.infrastructure.data.conformance.session_updating import SessionUpdatingContract  # noqa: E402
from library.infrastructure.data.conformance.session_writing import SessionWritingContract  # noqa: E402

__all__ = ["Home", "SessionAbility", "SessionContract", "SessionKind"]


class SessionContract(
    SessionCreatingContract,
    SessionIsolationContract,
    SessionReadingContract,
    SessionExpiryContract,
    SessionUpdatingContract,
    SessionFunctionsContract,
    SessionTouchingContract,
    SessionWritingContract,
    SessionEndingContract,
    SessionListsContract,
    SessionLimitsContract,
    SessionGivingContract,
    SessionCleaningContract,
    SessionKeepingContract,
    SessionLifecycleContract,
    SessionConcurrencyContract,
    SessionSequencesContract,
    SessionTransferContract,
):
    """Inherit from this, name the class `Test...`, and set `kinds`: each test runs for each of them."""
