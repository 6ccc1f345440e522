"""When, where and together with what proofs are made: the asynchronous face of the provers.

`core` decides, without any I/O; `ports` are where requests enter and answers return, one for each event loop;
`workers` make the proofs; `supervisor` keeps the timers; `life` puts them together, and `asking` and `batches` are what
an `engine` is asked.
"""

from __future__ import annotations

from .batch import AsCompleted, Completed
from .engine import Engine
from .estimate import Estimate
from .opening import open_engine
from .policy import AdaptivePolicy, AlwaysInline, AlwaysOffload, FixedPolicy
from .proving import (
    estimate,
    prove,
    prove_as_completed,
    prove_batch,
    prove_batch_sync,
    prove_sync,
    verify_batch,
    verify_batch_sync,
)
from .statistics import EngineStatistics

__all__ = [
    "AdaptivePolicy",
    "AlwaysInline",
    "AlwaysOffload",
    "AsCompleted",
    "Completed",
    "Engine",
    "EngineStatistics",
    "Estimate",
    "FixedPolicy",
    "estimate",
    "open_engine",
    "prove",
    "prove_as_completed",
    "prove_batch",
    "prove_batch_sync",
    "prove_sync",
    "verify_batch",
    "verify_batch_sync",
]
