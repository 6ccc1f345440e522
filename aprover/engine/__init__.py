"""When and where proofs are made: the asynchronous face of the provers.

Every request runs as one job on one of a few worker threads, as many as there are usable cores, shared by all event
loops and threads of the process.
"""

from __future__ import annotations

from .estimate import Estimate, estimate
from .proving import prove, prove_batch, prove_batch_sync, prove_sync
from .verifying import verify_batch, verify_batch_sync

__all__ = [
    "Estimate",
    "estimate",
    "prove",
    "prove_batch",
    "prove_batch_sync",
    "prove_sync",
    "verify_batch",
    "verify_batch_sync",
]
