"""`UnitContract`: what every data unit promises, as tests."""

from __future__ import annotations

from library.infrastructure.data.conformance.cancellation import CancellationContract
from library.infrastructure.data.conformance.lifecycle import LifecycleContract
from library.infrastructure.data.conformance.loops import LoopContract
from library.infrastructure.data.conformance.sequences import SequenceContract
from library.infrastructure.data.conformance.updates import UpdateContract
from library.infrastructure.data.conformance.values import ValueContract
from library.infrastructure.data.conformance.watching import WatchContract


class UnitContract(
    LifecycleContract,
    ValueContract,
    UpdateContract,
    WatchContract,
    LoopContract,
    CancellationContract,
    SequenceContract,
):
    """Inherit from this, name the class `Test...`, and set `kinds`: each test runs for each of them."""
