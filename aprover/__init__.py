"""An async proving engine: transparent STARK proofs that a computation was carried out correctly.

A proof is made with ``proof = await aprover.prove(aprover.Fibonacci(20))`` and checked with ``aprover.verify(proof)``.
"""

from __future__ import annotations

from . import reference, testing
from ._version import __version__
from .aggregate import AggregateMember, AggregateProof
from .air import AirBuilder, Bus, FixedTable, Program, TableBuilder, private, public
from .air.check import check
from .engine import (
    AdaptivePolicy,
    AlwaysInline,
    AlwaysOffload,
    Engine,
    EngineStatistics,
    Estimate,
    FixedPolicy,
    estimate,
    open_engine,
    prove,
    prove_as_completed,
    prove_batch,
    prove_batch_sync,
    prove_sync,
    verify_batch,
    verify_batch_sync,
)
from .errors import (
    AproverError,
    BatchError,
    ConstraintError,
    DeadlineExceeded,
    EngineClosed,
    EngineOverloaded,
    ProgramError,
    ProofFormatError,
    ProveError,
    SecurityError,
    VerificationCode,
    VerificationError,
)
from .explaining import explain
from .programs import Fibonacci, FibonacciU64, MerkleMembership, Poseidon2Chain, RangeProof, Sha256, Transfers
from .proof import Proof
from .security import SecurityReport
from .statement import Statement
from .telemetry import capture_timeline
from .verifier import verify

__all__ = [
    "AdaptivePolicy",
    "AggregateMember",
    "AggregateProof",
    "AirBuilder",
    "AlwaysInline",
    "AlwaysOffload",
    "AproverError",
    "BatchError",
    "Bus",
    "ConstraintError",
    "DeadlineExceeded",
    "Engine",
    "EngineClosed",
    "EngineOverloaded",
    "EngineStatistics",
    "Estimate",
    "Fibonacci",
    "FibonacciU64",
    "FixedPolicy",
    "FixedTable",
    "MerkleMembership",
    "Poseidon2Chain",
    "Program",
    "ProgramError",
    "Proof",
    "ProofFormatError",
    "ProveError",
    "RangeProof",
    "SecurityError",
    "SecurityReport",
    "Sha256",
    "Statement",
    "TableBuilder",
    "Transfers",
    "VerificationCode",
    "VerificationError",
    "__version__",
    "capture_timeline",
    "check",
    "estimate",
    "explain",
    "open_engine",
    "private",
    "prove",
    "prove_as_completed",
    "prove_batch",
    "prove_batch_sync",
    "prove_sync",
    "public",
    "reference",
    "testing",
    "verify",
    "verify_batch",
    "verify_batch_sync",
]
