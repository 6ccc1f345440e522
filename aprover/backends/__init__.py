"""What makes and checks a proof: `stark`, the default, and `trace`, a commitment checked by doing the work again."""

from __future__ import annotations

from typing import get_args

from ..arenas import give_back
from ..errors import ProgramError
from .aggregating import (
    Layout,
    PreparedAggregate,
    aggregate_layout,
    check_aggregatable,
    prepare_aggregate,
    verify_aggregate,
)
from .base import Backend, Control, Cost, Prefer, ProvingCancelled, field_names
from .stark import (
    Plan,
    Prepared,
    StarkBackend,
    Team,
    keep_commitment,
    plan_for,
    prepare_proof,
    prove_prepared,
    stark_parameters,
)
from .trace import TraceBackend

__all__ = [
    "Backend",
    "Control",
    "Cost",
    "Layout",
    "Prefer",
    "Plan",
    "Prepared",
    "PreparedAggregate",
    "ProvingCancelled",
    "Team",
    "aggregate_layout",
    "backend_named",
    "check_aggregatable",
    "check_memory_limit",
    "check_prefer",
    "check_security",
    "field_names",
    "give_back",
    "keep_commitment",
    "plan_for",
    "prepare_aggregate",
    "prepare_proof",
    "prove_prepared",
    "stark_parameters",
    "verify_aggregate",
]

_BACKENDS: dict[str, Backend] = {"stark": StarkBackend(), "trace": TraceBackend()}

MAX_SECURITY = 128
"""The collision resistance of the hash."""


def backend_named(name: str) -> Backend:
    """The backend with this name.

    Raises:
        ProgramError: There is none.
    """
    backend = _BACKENDS.get(name) if isinstance(name, str) else None
    if backend is None:
        raise ProgramError(field="backend", value=name, allowed=" or ".join(map(repr, _BACKENDS)))
    return backend


def check_security(bits: object, field: str = "security") -> None:
    """Raises ProgramError unless `bits` is an int from 1 to 128."""
    if type(bits) is not int or not 1 <= bits <= MAX_SECURITY:
        raise ProgramError(field=field, value=bits, allowed=f"an int from 1 to {MAX_SECURITY} (proven bits)")


def check_memory_limit(limit: object) -> None:
    """Raises ProgramError unless `limit` is None or a positive int."""
    if limit is not None and (type(limit) is not int or limit < 1):
        raise ProgramError(field="memory_limit", value=limit, allowed="None, or a positive int (bytes)")


def check_prefer(prefer: object) -> None:
    """Raises ProgramError unless `prefer` is one of `Prefer`."""
    if prefer not in get_args(Prefer):
        raise ProgramError(field="prefer", value=prefer, allowed=" or ".join(map(repr, get_args(Prefer))))
