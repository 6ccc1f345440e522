"""The DEEP polynomial (section 7, step 5) and the checks of FRI (section 9, steps 9 to 11)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .air import Air
from .domains import ARITY, Domain
from .field import DEGREE, ZERO, F, P, elements, horner, inverse, w
from .proof import Opening, Shape
from .reader import require


class Deep:
    """D_0, the sum of lambda_i * (f_i(x) - y_i) / (x - z_i), term by term of equal z_i."""

    def __init__(self, air: Air, openings: Sequence[F], z: F, lambdas: Sequence[F]) -> None:
        self.air = air
        self.trace_lambdas, self.chunk_lambdas = lambdas[: len(air.reads)], lambdas[len(air.reads) :]
        offsets = [offset for _, offset in air.reads] + [0] * air.chunks
        root = w(air.header.log_height)
        self.z = {offset: z.scale(pow(root, offset, P)) for offset in offsets}
        self.claimed = dict.fromkeys(offsets, ZERO)  # the sums of lambda_i * y_i
        for offset, coefficient, y in zip(offsets, lambdas, openings, strict=True):
            self.claimed[offset] += coefficient * y

    def at(self, x: int, row: Sequence[int], chunks: Sequence[F]) -> F:
        """D_0(x) from the values at x of the trace columns and of the quotient chunks."""
        sums = dict.fromkeys(self.z, ZERO)
        for (column, offset), coefficient in zip(self.air.reads, self.trace_lambdas, strict=True):
            sums[offset] += coefficient.scale(row[column])
        for value, coefficient in zip(chunks, self.chunk_lambdas, strict=True):
            sums[0] += coefficient * value
        total = ZERO
        for offset, z in self.z.items():
            total += (sums[offset] - self.claimed[offset]) * (F.of(x) - z).inverse()
        return total

    def at_octet(self, domain: Domain, octet: int, trace: Opening, quotient: Opening) -> list[F]:
        """Narrow: D_0 at an octet's eight positions."""
        columns = [trace.octet(octet, column) for column in range(self.air.header.columns)]
        chunks = [quotient.octet_elements(octet, DEGREE * j) for j in range(self.air.chunks)]
        return [
            self.at(domain.point(position), [c[m] for c in columns], [c[m] for c in chunks])
            for m, position in enumerate(domain.octet_positions(octet))
        ]

    def at_row(self, domain: Domain, position: int, trace: Opening, quotient: Opening) -> F:
        """Wide: D_0 at a position."""
        return self.at(domain.point(position), trace.leaves[position], elements(quotient.leaves[position]))


def fold(values: Sequence[F], x: int, beta: F) -> F:
    """The value at beta of the polynomial of degree < 8 that takes `values[m]` at x * w(3)^m (section 9)."""
    conjugate, eighth = inverse(w(3)), inverse(ARITY)
    twiddles = [pow(conjugate, i, P) for i in range(ARITY)]
    coefficients = []
    for e in range(ARITY):
        total = ZERO
        for m, value in enumerate(values):
            total += value.scale(twiddles[e * m % ARITY])
        coefficients.append(total.scale(eighth))
    return horner(coefficients, beta.scale(inverse(x)))


def check_deep(
    shape: Shape, deep: Deep, queries: Sequence[int], trace: Opening, quotient: Opening, layer: Opening
) -> None:
    """Step 9: each query's row against the committed D_0 of its position."""
    domain = shape.domains[0]
    for position in queries:
        octet, m = domain.octet_of(position)
        value = deep.at_row(domain, position, trace, quotient)
        require(layer.octet_elements(octet)[m] == value, "DEEP")


def check_folds(
    shape: Shape,
    octets: Mapping[int, list[F]],
    layers: Mapping[int, Opening],
    betas: Sequence[F],
    final: Sequence[F],
) -> None:
    """Steps 10 and 11; `octets` are the values of D_0 at the octets I_1."""
    for t, beta in enumerate(betas):
        domain, above = shape.domains[t], shape.domains[t + 1]
        folded = {}  # at positions of layer t + 1
        for octet, values in octets.items():
            first = domain.point(domain.octet_positions(octet)[0])
            folded[octet] = fold(values, first, beta)
        if t + 1 == shape.folds:
            for position, value in folded.items():
                require(horner(final, F.of(above.point(position))) == value, "FRI_FINAL")
        else:
            octets = {octet: layers[t + 1].octet_elements(octet) for octet in layers[t + 1].leaves}
            for position, value in folded.items():
                octet, m = above.octet_of(position)
                require(octets[octet][m] == value, "FRI_FOLD")
