"""What a proof is about (its shape) and how it is made (its parameters): docs/protocol.md, sections 4 to 6."""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

import attrs
from attrs import validators

from aprover.errors import ProofFormatError, VerificationCode

MAX_LOG_BLOWUP = 6
MAX_LOG_DOMAIN = 27
MAX_QUERIES = 4096


def _between(low: int, high: int) -> Callable[[object, attrs.Attribute[int], int], None]:
    return validators.and_(validators.instance_of(int), validators.ge(low), validators.le(high))


@attrs.frozen
class Shape:
    """What security, size and time of a proof depend on, apart from the parameters. All are counts.

    Raises:
        ValueError: A count is outside docs/protocol.md, section 4.
    """

    log_height: int = attrs.field(validator=_between(3, 24))
    """The trace has `2**log_height` rows."""
    columns: int = attrs.field(validator=_between(1, 4096))
    rows_read: int = attrs.field(validator=_between(1, 16))
    """1 + the largest offset of a read."""
    constraints: int = attrs.field(validator=_between(1, 2**20 + 4096))
    """Asserted slots and boundary columns together."""
    degree: int = attrs.field(validator=_between(1, 8))
    """The largest degree of an asserted slot, at least 1."""
    chunks: int = attrs.field(validator=_between(1, 8))
    """Chunks of the quotient."""
    openings: int = attrs.field(validator=_between(2, 16384 + 8))
    """Values opened out of domain: the reads and the chunks."""

    def __attrs_post_init__(self) -> None:
        if self.rows_read > 1 << self.log_height:
            raise ValueError(f"rows_read = {self.rows_read} exceeds the height {1 << self.log_height}")

    @property
    def narrow(self) -> bool:
        """Whether a leaf is one octet of rows; else it is one row (section 4.2)."""
        return self.columns + 5 * self.chunks <= 32

    @property
    def folds(self) -> int:
        """How often FRI folds by 8: at least once, then until at most 64 coefficients are left."""
        return max(1, -(-(self.log_height - 6) // 3))

    @property
    def final_length(self) -> int:
        """Coefficients of the final polynomial."""
        return 1 << (self.log_height - 3 * self.folds)


@attrs.frozen
class Parameters:
    """The prover's choices, eight bytes of the proof (docs/protocol.md, section 5).

    Raises:
        ValueError: A value is outside section 5. Limits that depend on the shape are checked where one is at hand.
    """

    log_blowup: int = attrs.field(validator=_between(1, MAX_LOG_BLOWUP))
    queries: int = attrs.field(validator=_between(1, MAX_QUERIES))
    grinding_bits: int = attrs.field(default=0, validator=_between(0, 32))
    cap_log: int = attrs.field(default=0, validator=_between(0, 8))
    independent: bool = attrs.field(default=False, validator=validators.instance_of(bool))
    """Independent batching coefficients; else the powers of one."""

    def to_bytes(self) -> bytes:
        """The eight bytes of section 5."""
        head = bytes((self.log_blowup, self.grinding_bits, self.cap_log, self.independent))
        return head + self.queries.to_bytes(4, "little")

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read the eight bytes of section 5.

        Raises:
            ProofFormatError: with code `PARAMETERS`: not eight bytes, or a value outside section 5.
        """
        if len(data) != 8:
            raise ProofFormatError(VerificationCode.PARAMETERS, f"{len(data)} bytes of parameters instead of 8")
        if data[3] > 1:
            raise ProofFormatError(VerificationCode.PARAMETERS, f"batching = {data[3]} is neither 0 nor 1")
        try:
            return cls(data[0], int.from_bytes(data[4:], "little"), data[1], data[2], data[3] == 1)
        except ValueError as error:
            raise ProofFormatError(VerificationCode.PARAMETERS, str(error.args[0])) from None


def log_index_domain(shape: Shape, log_blowup: int) -> int:
    """log2 of M: the octets of the LDE domain in the narrow layout, else its positions."""
    return shape.log_height + log_blowup - (3 if shape.narrow else 0)


def check_fit(shape: Shape, parameters: Parameters) -> None:
    """What section 5 asks of parameters and shape together.

    Raises:
        ProofFormatError: with code `PARAMETERS`: the LDE domain is too large, or has fewer indices than queries.
    """
    log_domain = shape.log_height + parameters.log_blowup
    if log_domain > MAX_LOG_DOMAIN:
        raise ProofFormatError(
            VerificationCode.PARAMETERS, f"an LDE domain of 2**{log_domain} exceeds 2**{MAX_LOG_DOMAIN}"
        )
    indices = 1 << log_index_domain(shape, parameters.log_blowup)
    if parameters.queries > indices:
        raise ProofFormatError(
            VerificationCode.PARAMETERS, f"{parameters.queries} queries of {indices} distinct indices"
        )
