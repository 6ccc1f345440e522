"""Section 6: domains and octets; section 9: the fold of an octet."""

from __future__ import annotations

from dataclasses import dataclass

from .field import GENERATOR, P, w

ARITY = 8
MAX_FINAL_COEFFICIENTS = 64


@dataclass(frozen=True)
class Domain:
    """The domain of a FRI layer; layer 0 is the LDE domain. `log_k` is the log of the trace's height."""

    log_k: int
    log_blowup: int
    layer: int = 0

    @property
    def log_k_t(self) -> int:
        return self.log_k - 3 * self.layer

    @property
    def log_n_t(self) -> int:
        return self.log_k_t + self.log_blowup

    @property
    def log_octets(self) -> int:
        return self.log_n_t - 3

    def point(self, position: int) -> int:
        """The point of `position = j*k_t + i`: shift * w(log n_t)^j * w(log k_t)^i with the shift g^(8^t)."""
        j, i = divmod(position, 2**self.log_k_t)
        shift = pow(GENERATOR, ARITY**self.layer, P)
        return shift * pow(w(self.log_n_t), j, P) * pow(w(self.log_k_t), i, P) % P

    def octet_positions(self, octet: int) -> list[int]:
        """The eight positions j*k_t + i' + m*(k_t/8) of octet j*(k_t/8) + i', m = 0..7."""
        eighth = (1 << self.log_k_t) // ARITY
        j, i = divmod(octet, eighth)
        return [j * 2**self.log_k_t + i + m * eighth for m in range(ARITY)]

    def octet_of(self, position: int) -> tuple[int, int]:
        """The octet that contains `position`, and which of its members m that is."""
        eighth = (1 << self.log_k_t) // ARITY
        j, i = divmod(position, 2**self.log_k_t)
        return j * eighth + i % eighth, i // eighth


def folds(log_k: int) -> int:
    """Section 7, step 6: the number of folds; at least one, then until k_t <= 64."""
    t = 1
    while 2**log_k // ARITY**t > MAX_FINAL_COEFFICIENTS:
        t += 1
    return t
