"""Sections 4.3 and 4.4: the quotient of a table at one point outside of Fp."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import mul

from .air import ADD, MAX_OFFSET, MINUS, MUL, SUB, Interaction, Table
from .field import ONE, ZERO, F, P, inverse, powers, w


@dataclass(frozen=True)
class Challenges:
    """What the quotients depend on; gamma and beta are there if there are lookups."""

    gamma: F
    beta: F
    alpha: F
    z: F


@dataclass(frozen=True)
class TableOpenings:
    """The values of a table out of its domain, in the order of section 7, step 5."""

    reads: Sequence[F]
    lookups: Sequence[F]
    """h_0, h_1, .. and the running sum, at z"""
    next_sum: F
    """the running sum at z * w(h); zero if there are no lookups"""
    chunks: Sequence[F]


def _periodic_values(table: Table, x: F) -> list[F]:
    """P(x^(k / 2^e)) of every periodic column, by Lagrange's formula over the 2^e-th roots of unity."""
    k = table.header.height
    vanishing = x**k - ONE  # y^(2^e) - 1 for y = x^(k / 2^e), whatever e
    bases: dict[int, list[tuple[int, ...]]] = {}
    values = []
    for column in table.periodics:
        period = len(column)
        if period not in bases:
            y, root = x ** (k // period), w(period.bit_length() - 1)
            nodes = [pow(root, j, P) for j in range(period)]
            basis = [(y - F.of(node)).inverse().scale(node) * vanishing for node in nodes]
            bases[period] = list(zip(*(b.scale(inverse(period)).c for b in basis), strict=True))
        values.append(F([sum(map(mul, column, coefficients)) % P for coefficients in bases[period]]))
    return values


def _boundary_constraint(table: Table, slots: Sequence[F], value: F, boundaries: Sequence[tuple[int, int]], x: F) -> F:
    """B_i(x) of section 4.3 for a column with T_c(x) = `value`."""
    k, root = table.header.height, w(table.header.log_height)
    total = ZERO
    for row, slot in boundaries:
        node = pow(root, row, P)
        total = total + (value - slots[slot]) * (x - F.of(node)).inverse().scale(node)
    return total.scale(inverse(k))


def _exemptions(table: Table, x: F) -> list[F]:
    """E_0(x), E_1(x), ..."""
    header = table.header
    slots = 1 << header.log_slots
    root, y = w(header.log_height), x**slots
    factors = [ONE]
    for e in range(1, MAX_OFFSET + 1):
        factors.append(factors[-1] * (y - F.of(pow(root, -e * slots, P))))
    return factors


def _run(table: Table, slots: list[F]) -> list[F]:
    """Runs the instructions on `slots`; gives the values of the asserted ones."""
    asserted = []
    for op, dst, a, b in table.instructions:
        if op == ADD:
            slots[dst] = slots[a] + slots[b]
        elif op == SUB:
            slots[dst] = slots[a] - slots[b]
        elif op == MUL:
            slots[dst] = slots[a] * slots[b]
        else:
            asserted.append(slots[a])
    return asserted


def _fingerprint(one: Interaction, slots: Sequence[F], challenges: Challenges) -> F:
    coefficients = powers(challenges.beta, len(one.values) + 1)[1:]
    tuple_value = F.of(one.bus)
    for slot, coefficient in zip(one.values, coefficients, strict=True):
        tuple_value += coefficient * slots[slot]
    return challenges.gamma - tuple_value


def _lookup_constraints(
    table: Table, slots: Sequence[F], openings: TableOpenings, sigma: F, challenges: Challenges
) -> list[F]:
    """L_0(x), .., L_{A-1}(x) of section 4.4."""
    constraints = []
    for a, batch in enumerate(table.batches):
        fingerprints = [_fingerprint(one, slots, challenges) for one in batch]
        product, numerator = ONE, ZERO
        for i, one in enumerate(batch):
            term = slots[one.multiplicity]
            for j, fingerprint in enumerate(fingerprints):
                if i != j:
                    term *= fingerprint
            numerator = numerator - term if one.sign == MINUS else numerator + term
            product *= fingerprints[i]
        column = openings.lookups[a]
        if a == table.lookup_columns - 1:
            column = openings.next_sum - column + sigma.scale(inverse(table.header.height))
            for other in openings.lookups[:-1]:
                column -= other
        constraints.append(column * product - numerator)
    return constraints


def quotient(
    table: Table, publics: Sequence[int], openings: TableOpenings, sigma: F, challenges: Challenges, first: int
) -> F:
    """Q(z) of a table whose first constraint has the number `first`."""
    x, k = challenges.z, table.header.height
    slots = [ZERO] * table.header.registers + list(openings.reads) + _periodic_values(table, x)
    slots += [F.of(value) for value in publics] + [F.of(value) for value in table.constants]
    asserted = _run(table, slots)
    exempt, over_domain = _exemptions(table, x), (x**k - ONE).inverse()

    terms = [value * exempt[s] * over_domain for value, (_, s) in zip(asserted, table.asserted, strict=True)]
    for column, boundaries in table.boundaries:
        terms.append(_boundary_constraint(table, slots, openings.reads[column], boundaries, x))
    terms += [value * over_domain for value in _lookup_constraints(table, slots, openings, sigma, challenges)]
    total, coefficient = ZERO, challenges.alpha**first
    for term in terms:
        total += coefficient * term
        coefficient *= challenges.alpha
    return total
