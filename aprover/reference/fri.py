"""The DEEP polynomials (section 7, step 6) and the checks of FRI (section 9, steps 12 to 14)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice

from .field import ZERO, F, P, horner, inverse, w
from .layout import Layout, Phase, Place
from .proof import Opening, Openings, lookup_and_chunk_elements
from .reader import require


class _TableDeep:
    """One table's part of G_t: the sum of lambda_i * (f_i(x) - y_i) / (x - z_i), term by term of equal z_i."""

    def __init__(self, place: Place, openings: Sequence[F], lambdas: Sequence[F], z: F) -> None:
        self.place, self.table, self.lambdas = place, place.table, lambdas
        header = self.table.header
        lookups = self.table.lookup_columns
        self.offsets = [offset for _, offset in self.table.reads]
        if self.table.interactions:
            self.offsets += [0] * lookups + [1]
        self.offsets += [0] * place.chunks
        root = w(header.log_height)
        self.z = {offset: z.scale(pow(root, offset, P)) for offset in set(self.offsets)}
        self.claimed = dict.fromkeys(self.z, ZERO)  # the sums of lambda_i * y_i
        for offset, coefficient, y in zip(self.offsets, lambdas, openings, strict=True):
            self.claimed[offset] += coefficient * y

    def at(self, x: int, rows: Mapping[Phase, Sequence[int]]) -> F:
        """The sum at x, from the rows of the level's matrices at x."""
        first, table, header = self.place.first_columns, self.table, self.table.header

        def base(phase: Phase, count: int) -> Sequence[int]:
            return rows[phase][first[phase] : first[phase] + count] if count else ()

        columns = [*base(Phase.TRACE, header.columns), *base(Phase.PREPROCESSED, header.preprocessed)]
        values = [F.of(columns[column]) for column, _ in table.reads]
        if table.interactions:
            lookups = lookup_and_chunk_elements(rows[Phase.LOOKUP], first[Phase.LOOKUP], table.lookup_columns)
            values += [*lookups, lookups[-1]]
        values += lookup_and_chunk_elements(rows[Phase.QUOTIENT], first[Phase.QUOTIENT], self.place.chunks)
        sums = dict.fromkeys(self.z, ZERO)
        for offset, coefficient, value in zip(self.offsets, self.lambdas, values, strict=True):
            sums[offset] += coefficient * value
        total = ZERO
        for offset, z in self.z.items():
            total += (sums[offset] - self.claimed[offset]) * (F.of(x) - z).inverse()
        return total


class Deep:
    """G_0, G_1, .. of the levels that have tables."""

    def __init__(self, layout: Layout, openings: Sequence[F], z: F, lambdas: Sequence[F]) -> None:
        self.layout = layout
        values, coefficients = iter(openings), iter(lambdas)
        self.tables = []
        for place in layout.places:
            count = place.openings
            taken = list(islice(values, count)), list(islice(coefficients, count))
            self.tables.append(_TableDeep(place, *taken, z))
        self.mask_lambda = next(coefficients, ZERO)

    def at(self, level: int, opened: Openings, index: int, m: int = 0) -> F:
        """G_t at the point `m` of the opened leaves `index` of the level's trees."""
        layout, domain = self.layout, self.layout.domains[level]
        rows = {phase: trees[level].row(index, m) for phase, trees in opened.items() if level in trees}
        cosets = layout.narrow and level == 0
        x = domain.point(domain.coset_positions(index)[m] if cosets else index)
        total = ZERO
        for i in layout.tables_at(level):
            total += self.tables[i].at(x, rows)
        if layout.parameters.zk and level == 0:
            (mask,) = lookup_and_chunk_elements(rows[Phase.QUOTIENT], layout.mask_column, 1)
            total += self.mask_lambda * mask
        return total


def fold(values: Sequence[F], x: int, beta: F) -> F:
    """The value at beta of the polynomial of degree < N that takes `values[m]` at x * w(a)^m (section 9)."""
    arity = len(values)
    conjugate, scale = inverse(w(arity.bit_length() - 1)), inverse(arity)
    coefficients = []
    for e in range(arity):
        total = ZERO
        for m, value in enumerate(values):
            total += value.scale(pow(conjugate, e * m, P))
        coefficients.append(total.scale(scale))
    return horner(coefficients, beta.scale(inverse(x)))


def check_deep(layout: Layout, deep: Deep, queries: Sequence[int], opened: Openings, layer: Opening) -> None:
    """Step 12: each query's row against the committed D_0 of its position."""
    for position in queries:
        coset, m = layout.domains[0].coset_of(position)
        require(layer.elements(coset)[m] == deep.at(0, opened, position), "DEEP")


def check_folds(
    layout: Layout,
    deep: Deep,
    opened: Openings,
    cosets: Mapping[int, list[F]],
    layers: Mapping[int, Opening],
    betas: Sequence[F],
    final: Sequence[F],
) -> None:
    """Steps 13 and 14; `cosets` are the values of D_0 at the fold cosets that are opened."""
    for t, beta in enumerate(betas):
        domain, below = layout.domains[t], layout.domains[t + 1]
        folded = {}  # at positions of level t + 1
        for coset, values in cosets.items():
            first = domain.point(domain.coset_positions(coset)[0])
            folded[coset] = fold(values, first, beta)
            if layout.tables_at(t + 1):
                folded[coset] += beta**domain.arity * deep.at(t + 1, opened, coset)
        if t + 1 == layout.folds:
            for position, value in folded.items():
                require(horner(final, F.of(below.point(position))) == value, "FRI_FINAL")
        else:
            cosets = {coset: layers[t + 1].elements(coset) for coset in layers[t + 1].leaves}
            for position, value in folded.items():
                coset, m = below.coset_of(position)
                require(cosets[coset][m] == value, "FRI_FOLD")
