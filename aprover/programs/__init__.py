"""The programs that come with aprover."""

from __future__ import annotations

from .fibonacci import Fibonacci
from .fibonacci_u64 import FibonacciU64
from .merkle_membership import MerkleMembership
from .poseidon2_chain import Poseidon2Chain
from .range_proof import RangeProof
from .sha256 import Sha256
from .transfers import Transfers

__all__ = ["Fibonacci", "FibonacciU64", "MerkleMembership", "Poseidon2Chain", "RangeProof", "Sha256", "Transfers"]
