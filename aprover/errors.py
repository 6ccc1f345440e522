"""Everything that aprover raises on purpose.

All of these pickle, attributes included, so that they can cross a process boundary.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Any, Self

__all__ = [
    "AproverError",
    "BatchError",
    "ConstraintError",
    "DeadlineExceeded",
    "EngineClosed",
    "EngineOverloaded",
    "ProgramError",
    "ProofFormatError",
    "ProveError",
    "SecurityError",
    "VerificationCode",
    "VerificationError",
    "rejection",
    "shown",
]


class VerificationCode(enum.StrEnum):
    """The check that rejected a proof; one code for each check of docs/protocol.md, sections 9 to 12."""

    PARAMETERS = "PARAMETERS"
    """The proof's parameters are outside what the protocol allows for this AIR."""
    TRUNCATED = "TRUNCATED"
    """Bytes are missing."""
    NON_CANONICAL = "NON_CANONICAL"
    """A field element is not its canonical residue."""
    TRAILING = "TRAILING"
    """Bytes follow the end of the proof."""
    LOOKUP_SUM = "LOOKUP_SUM"
    """The lookup sums of the tables do not add up to zero: the buses do not balance."""
    QUOTIENT = "QUOTIENT"
    """The constraints do not hold at the out-of-domain point."""
    GRINDING = "GRINDING"
    """The nonce does not carry the proof of work that the parameters ask for."""
    PREPROCESSED_MERKLE = "PREPROCESSED_MERKLE"
    """The opened preprocessed rows are not those of the AIR."""
    TRACE_MERKLE = "TRACE_MERKLE"
    """The opened trace rows are not those that were committed."""
    LOOKUP_MERKLE = "LOOKUP_MERKLE"
    """The opened lookup rows are not those that were committed."""
    QUOTIENT_MERKLE = "QUOTIENT_MERKLE"
    """The opened quotient rows are not those that were committed."""
    FRI_MERKLE = "FRI_MERKLE"
    """The opened leaves of a FRI layer are not those that were committed."""
    DEEP = "DEEP"
    """Wide layout: a committed DEEP value differs from the one computed from the opened rows."""
    FRI_FOLD = "FRI_FOLD"
    """A fold differs from the value in the next FRI layer."""
    FRI_FINAL = "FRI_FINAL"
    """A fold differs from the final polynomial."""
    SECURITY = "SECURITY"
    """The proof is sound, but with fewer proven bits than the verifier asks for."""
    ENVELOPE = "ENVELOPE"
    """The bytes around the proof (magic, version, lengths, statement encoding) are malformed."""
    BACKEND = "BACKEND"
    """The proof names a backend that this verifier does not know."""
    PROGRAM = "PROGRAM"
    """The program is unknown, or it refuses the parameters that the statement gives it."""
    STATEMENT = "STATEMENT"
    """Not the statement that was expected, or public values that do not fit the program."""
    TRACE_COMMITMENT = "TRACE_COMMITMENT"
    """Trace backend: the trace that was made again is not the one that was committed."""


FORMAT_CODES = frozenset(
    {
        VerificationCode.PARAMETERS,
        VerificationCode.TRUNCATED,
        VerificationCode.NON_CANONICAL,
        VerificationCode.TRAILING,
        VerificationCode.ENVELOPE,
    }
)
"""The codes that are raised as `ProofFormatError`."""


def shown(value: object, limit: int = 60) -> str:
    """A short `repr` for messages: bounded in length and in time whatever the value is, and never raises."""
    if limit < 4:  # far down in nested tuples
        return "..."
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 256:
        return f"an integer of {value.bit_length()} bits"  # Python refuses to print very large integers
    if isinstance(value, bytes | str):
        text = repr(value[:limit]) + ("..." if len(value) > limit else "")
    elif isinstance(value, tuple):
        head = ", ".join(shown(item, limit // 2) for item in value[:8])
        text = "(" + head + (", ..." if len(value) > 8 else "," if len(value) == 1 else "") + ")"
    else:
        try:
            text = repr(value)
        except Exception:  # noqa: BLE001 - a user's own __repr__ must not hide the error that is being reported
            text = f"<{type(value).__name__}>"
    return text if len(text) <= 2 * limit else text[: 2 * limit] + "..."


def _rebuild(cls: type[AproverError], args: tuple[Any, ...], state: dict[str, Any]) -> AproverError:
    error = cls.__new__(cls, *args)
    error.__dict__.update(state)
    return error


class AproverError(Exception):
    """The base of every error that aprover raises on purpose."""

    def __reduce__(self) -> tuple[Any, ...]:
        # Not the inherited way, which calls __init__ with args alone and so forbids required keywords.
        return _rebuild, (type(self), self.args, self.__dict__.copy())


class ProgramError(AproverError):
    """The program or its inputs are wrong.

    Args:
        message: What is wrong; when left out, it is composed from the other three.
        field: The name of the field that is wrong, if it is one field.
        value: The value that was given. Never pass the value of a private field.
        allowed: What would have been allowed, in words, for example ``"1 to 4194304"``.
    """

    def __init__(
        self, message: str | None = None, *, field: str | None = None, value: object = None, allowed: str | None = None
    ) -> None:
        if message is None:
            message = f"{field or 'value'} = {shown(value)} is not allowed"
            if allowed is not None:
                message += f"; allowed: {allowed}"
        super().__init__(message)
        self.field = field
        self.value = value
        self.allowed = allowed


class ConstraintError(ProgramError):
    """The trace breaks a constraint.

    Args:
        message: When left out, it is composed from the rest.
        name: The constraint's name.
        row: The first row, from 0, at which it fails.
        values: The two values that should have been equal.
    """

    def __init__(
        self, message: str | None = None, *, name: str, row: int, values: tuple[int, int], field: str | None = None
    ) -> None:
        if message is None:
            message = f"constraint {name!r} fails at row {row}: {values[0]} != {values[1]}"
        super().__init__(message, field=field)
        self.name = name
        self.row = row
        self.values = values


class ProveError(AproverError):
    """Proving failed; `__cause__` says why, where there is a cause."""


class VerificationError(AproverError):
    """The proof was rejected.

    Args:
        code: The check that rejected it.
        message: A sentence for people; the code's own name when left out.
    """

    code: VerificationCode

    def __init__(self, code: VerificationCode | str, message: str = "") -> None:
        code = VerificationCode(code)
        super().__init__(code, message)
        self.code = code

    def __str__(self) -> str:
        message = self.args[1]
        return f"{self.code.value}: {message}" if message else self.code.value


class ProofFormatError(VerificationError):
    """Malformed, non-canonical, oversized, truncated or trailing bytes."""

    def __init__(self, code: VerificationCode | str = VerificationCode.ENVELOPE, message: str = "") -> None:
        super().__init__(code, message)


class SecurityError(VerificationError):
    """Fewer proven bits than asked for: by a verifier of a proof, or by a caller of a shape that cannot reach them.

    Args:
        message: A sentence for people.
        reachable: The bits that the proof has, or the most that the shape can reach.
    """

    def __init__(self, message: str = "", *, reachable: float | None = None) -> None:
        super().__init__(VerificationCode.SECURITY, message)
        self.reachable = reachable


def rejection(code: VerificationCode | str, message: str = "") -> VerificationError:
    """The error that belongs to `code`: `ProofFormatError`, `SecurityError` or plain `VerificationError`."""
    code = VerificationCode(code)
    if code in FORMAT_CODES:
        return ProofFormatError(code, message)
    if code is VerificationCode.SECURITY:
        return SecurityError(message)
    return VerificationError(code, message)


class EngineClosed(AproverError):
    """The engine was closed before this request was made, or before it was answered; or it was opened before a fork.

    `__cause__` is the bug that ended it, if one did.
    """


class EngineOverloaded(AproverError):
    """As many proofs are pending as the engine takes (`max_pending`), and it was told to raise (`on_overload`)."""


class DeadlineExceeded(AproverError):
    """The request's own `deadline` passed first. That of a cancel scope around it cancels it instead."""


class BatchError(AproverError, ExceptionGroup[Exception]):
    """Some requests of a batch failed.

    An `ExceptionGroup` of the failures. `results` holds, in the order of the requests, the proof or the
    exception of each one.
    """

    results: tuple[Any, ...]

    def __new__(cls, message: str, exceptions: Sequence[Exception], results: Sequence[Any] = ()) -> Self:
        error = super().__new__(cls, message, exceptions)
        error.results = tuple(results)
        return error

    def __init__(self, message: str, exceptions: Sequence[Exception], results: Sequence[Any] = ()) -> None:  # noqa: ARG002
        super().__init__(message, exceptions)

    def derive(self, excs: Sequence[Exception]) -> BatchError:  # type: ignore[override]
        """Splitting keeps the class and all the results."""
        return BatchError(self.message, excs, self.results)
