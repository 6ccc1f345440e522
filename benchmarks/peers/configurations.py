"""How each prover is configured: as its own documentation does, and for as many proven bits as this one gives.

The statement has five constraints everywhere: two transitions, two inputs, one output. "Usual" settings are those of
the projects' documentation, with the number of queries that gives about 100 conjectured bits and without grinding,
which would only add time, and a random one:

- Winterfell: blowup 8, folding by 8, remainders of degree 31, of the example in its crate's documentation (which has 32
  queries); besides, the same with its smallest blowup, which is faster. The quadratic extension, as its documentation
  advises for a field of 64 bits.
- Plonky3: `FriParameters::new_benchmark` and `new_benchmark_high_arity`: blowup 2, 100 queries, folding by 2 or 8; the
  quartic extension, as in its examples.
- Stwo: `PcsConfig::default` with 100 queries, folding by 2 or 8.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Literal

import attrs

from .bits import Setting, System, conjectured_bits, fewest_queries, proven_bits

Role = Literal["ours", "fastest", "usual", "proven"]
"""This project as it is by default, and with prefer="fastest"; others as usual, and with as many proven bits."""

CONSTRAINTS = 5
PROVEN_BITS = 100.0
OURS = "aprover"


@attrs.frozen
class Arm:
    """One way to prove the statement at one size."""

    peer: str
    role: Role
    kind: str
    """What stays the same from size to size."""
    log_rows: int
    log_blowup: int
    queries: int
    grinding_bits: int
    proven_bits: float
    conjectured_bits: float | None
    words: tuple[str, ...]
    """Arguments of the program."""

    @property
    def name(self) -> str:
        return f"{self.peer}, {self.role}, {self.kind}"


def _arm(peer: str, role: Role, kind: str, log_rows: int, system: System, setting: Setting, **words: int) -> Arm:
    common = {"log_rows": log_rows, "queries": setting.queries, "grinding": setting.grinding_bits}
    return Arm(
        peer=peer,
        role=role,
        kind=f"{kind}, blowup {1 << setting.log_blowup}",
        log_rows=log_rows,
        log_blowup=setting.log_blowup,
        queries=setting.queries,
        grinding_bits=setting.grinding_bits,
        proven_bits=proven_bits(system, log_rows, setting),
        conjectured_bits=conjectured_bits(system, log_rows, setting),
        words=tuple(f"{name}={value}" for name, value in (common | words).items()),
    )


def _folds(first: int, then: int, log_rows: int, log_final: int) -> tuple[int, ...]:
    """log2 of the arities from `log_rows` down to `log_final`, the last no larger than what is left."""
    arities: list[int] = []
    while (left := log_rows - log_final - sum(arities)) > 0:
        arities.append(min(left, then if arities else first))
    return tuple(arities)


@attrs.frozen
class Winterfell:
    """f64, BLAKE3, independent coefficients, FRI by 8 until 32 coefficients are left."""

    extension: int
    name = "Winterfell"
    most_queries = 255

    def system(self) -> System:
        def folds(log_rows: int, _log_blowup: int) -> tuple[int, ...]:
            return (3,) * max(0, math.ceil((log_rows - 5) / 3))

        log_field = self.extension * math.log2(2**64 - 2**32 + 1)
        return System(log_field, 2 * 2 + 1, independent=True, constraints=CONSTRAINTS, degree=1, folds=folds)

    def arm(self, role: Role, log_rows: int, setting: Setting) -> Arm:
        return _arm(
            self.name, role, f"f64^{self.extension}", log_rows, self.system(), setting,
            blowup=1 << setting.log_blowup, extension=self.extension, folding=8, remainder=31,
        )  # fmt: skip


@attrs.frozen
class Plonky3:
    """KoalaBear, BLAKE3, powers of one coefficient, FRI down to a constant."""

    extension: int
    log_arity: int
    name = "Plonky3"
    most_queries = 4096

    def system(self) -> System:
        def folds(log_rows: int, _log_blowup: int) -> tuple[int, ...]:
            return _folds(self.log_arity, self.log_arity, log_rows, 0)

        log_field = self.extension * math.log2(2**31 - 2**24 + 1)
        openings = 2 * 2 + self.extension
        return System(log_field, openings, independent=False, constraints=CONSTRAINTS, degree=2, folds=folds)

    def arm(self, role: Role, log_rows: int, setting: Setting) -> Arm:
        return _arm(
            self.name, role, f"KoalaBear^{self.extension}, folds by {1 << self.log_arity}", log_rows, self.system(),
            setting, log_blowup=setting.log_blowup, extension=self.extension, log_arity=self.log_arity, log_final=0,
        )  # fmt: skip


@attrs.frozen
class Stwo:
    """M31 on the circle, Blake2s, powers of one coefficient, FRI down to a constant; the first fold is by 2.

    The formula is that of ordinary Reed-Solomon codes. One preprocessed column, two columns at two points, and the
    composition in two halves of four columns.
    """

    fold_step: int
    name = "Stwo"
    most_queries = 4096

    def system(self) -> System:
        def folds(log_rows: int, _log_blowup: int) -> tuple[int, ...]:
            return _folds(1, self.fold_step, log_rows, 0)

        log_field = 4 * math.log2(2**31 - 1)
        return System(log_field, 1 + 2 * 2 + 8, independent=False, constraints=CONSTRAINTS, degree=2, folds=folds)

    def arm(self, role: Role, log_rows: int, setting: Setting) -> Arm:
        return _arm(
            self.name, role, f"M31^4, folds by {1 << self.fold_step}", log_rows, self.system(), setting,
            log_blowup=setting.log_blowup, fold_step=self.fold_step, log_final=0,
        )  # fmt: skip


Peer = Winterfell | Plonky3 | Stwo

USUAL: tuple[tuple[Peer, Setting], ...] = (
    (Winterfell(2), Setting(3, 34)),
    (Winterfell(2), Setting(1, 100)),
    (Plonky3(4, 1), Setting(1, 100)),
    (Plonky3(4, 3), Setting(1, 100)),
    (Stwo(1), Setting(1, 100)),
    (Stwo(3), Setting(1, 100)),
)
PEERS: tuple[Peer, ...] = (
    Winterfell(2),
    Winterfell(3),
    Plonky3(4, 1),
    Plonky3(4, 3),
    Plonky3(5, 1),
    Plonky3(5, 3),
    Stwo(1),
    Stwo(3),
)
NAMES = ("Winterfell", "Plonky3", "Stwo")


def usual(log_rows: int) -> Iterator[Arm]:
    """As the projects' documentation configures them."""
    for peer, setting in USUAL:
        yield peer.arm("usual", log_rows, setting)


def proven(log_rows: int, log_blowups: range, grinding_bits: int = 0) -> Iterator[Arm]:
    """All configurations with at least 100 proven bits, with the fewest queries at each blowup."""
    for peer in PEERS:
        for log_blowup in log_blowups:
            queries = fewest_queries(peer.system(), log_rows, log_blowup, grinding_bits, PROVEN_BITS)
            if queries is not None and queries <= peer.most_queries:
                yield peer.arm("proven", log_rows, Setting(log_blowup, queries, grinding_bits))
