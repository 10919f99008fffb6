"""The contract of data units as tests: someone else's unit runs them too.

    from library.infrastructure.data.conformance import Capability, UnitContract, UnitKind

    class TestMyUnits(UnitContract):
        kinds = [UnitKind(name="mine", make=lambda place, **options: MyUnit(...), can=Capability.DURABLE)]

A kind of unit is one `UnitKind`: how to make it, and what it can do beyond what all units promise. A test
that asks for an ability runs for those kinds that have it. This package needs pytest, pytest-asyncio (in the
mode `auto`) and hypothesis, which the library itself does not; nothing else imports it.
"""

import pytest

_PARTS = ("cancellation", "foundation", "lifecycle", "loops", "sequences", "updates", "values", "watching")
# Before these are imported, or their assertions would not tell the values.
pytest.register_assert_rewrite(*(f"{__name__}.{part}" for part in _PARTS))

from library.infrastructure.data.conformance.kinds import Capability, Change, UnitKind  # noqa: E402
from library.infrastructure.data.conformance.units import UnitContract  # noqa: E402

__all__ = ["Capability", "Change", "UnitContract", "UnitKind"]
