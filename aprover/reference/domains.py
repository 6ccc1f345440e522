"""Section 6: levels, their domains, and fold cosets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .field import GENERATOR, P, w

MAX_LOG_ARITY = 3
MAX_LOG_FINAL = 6


@dataclass(frozen=True)
class Domain:
    """The domain of a level. `level_0` is the log of k_0, `log_k` that of k_t, `log_arity` is a_t, 0 on the last."""

    level_0: int
    log_k: int
    log_arity: int
    log_blowup: int

    @property
    def log_n(self) -> int:
        return self.log_k + self.log_blowup

    @property
    def arity(self) -> int:
        """N"""
        return 1 << self.log_arity

    @property
    def log_cosets(self) -> int:
        return self.log_n - self.log_arity

    def point(self, position: int) -> int:
        """The point of `position = j*k_t + i`: shift * w(log n_t)^j * w(l_t)^i with the shift g^(2^(l_0 - l_t))."""
        j, i = divmod(position, 2**self.log_k)
        shift = pow(GENERATOR, 2 ** (self.level_0 - self.log_k), P)
        return shift * pow(w(self.log_n), j, P) * pow(w(self.log_k), i, P) % P

    def coset_positions(self, coset: int) -> list[int]:
        """The positions j*k_t + i' + m*(k_t/N) of fold coset j*(k_t/N) + i', m = 0..N-1."""
        part = (1 << self.log_k) // self.arity
        j, i = divmod(coset, part)
        return [j * 2**self.log_k + i + m * part for m in range(self.arity)]

    def coset_of(self, position: int) -> tuple[int, int]:
        """The fold coset that contains `position`, and which of its members m that is."""
        part = (1 << self.log_k) // self.arity
        j, i = divmod(position, 2**self.log_k)
        return j * part + i % part, i // part


def level_logs(log_kappas: Sequence[int]) -> list[int]:
    """l_0, l_1, .. for tables with these log kappa."""
    levels = [max(log_kappas)]
    while len(levels) == 1 or levels[-1] > MAX_LOG_FINAL:
        current = levels[-1]
        next_table = max([one for one in log_kappas if MAX_LOG_FINAL < one < current], default=0)
        arity = min(MAX_LOG_ARITY, current - next_table) if next_table else MAX_LOG_ARITY
        levels.append(current - arity)
    return levels
