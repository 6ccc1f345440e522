"""The Poseidon2 permutation over BabyBear: width 16, S-box x^7, 4 + 13 + 4 rounds.

Grassi, Khovratovich and Schofnegger, "Poseidon2: A Faster Version of the Poseidon Hash Function", eprint 2023/323.
The parameters are the published ones. The round constants are what the Grain LFSR of that paper gives for this field,
width and number of rounds; HorizenLabs' poseidon2 (``poseidon2_instance_babybear.rs``) and Plonky3's p3-baby-bear
(``default_babybear_poseidon2_16``) list the same ones. The internal diagonal is Plonky3's.

csrc/poseidon2_constants.h is what `c_header` gives; a test compares them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, Self, TypeVar

from ..air.field import P

WIDTH = 16
DIGEST = 8
"""Elements of a digest: 248 bits, so 124 bits against collisions."""

HALF_EXTERNAL_ROUNDS = 4
INTERNAL_ROUNDS = 13

# fmt: off
EXTERNAL_CONSTANTS = (  # of the rounds before the internal ones and of those after them
    (
        0x69cbb6af, 0x46ad93f9, 0x60a00f4e, 0x6b1297cd, 0x23189afe, 0x732e7bef, 0x72c246de, 0x2c941900,
        0x0557eede, 0x1580496f, 0x3a3ea77b, 0x54f3f271, 0x0f49b029, 0x47872fe1, 0x221e2e36, 0x1ab7202e,
    ),
    (
        0x487779a6, 0x3851c9d8, 0x38dc17c0, 0x209f8849, 0x268dcee8, 0x350c48da, 0x5b9ad32e, 0x0523272b,
        0x3f89055b, 0x01e894b2, 0x13ddedde, 0x1b2ef334, 0x7507d8b4, 0x6ceeb94e, 0x52eb6ba2, 0x50642905,
    ),
    (
        0x05453f3f, 0x06349efc, 0x6922787c, 0x04bfff9c, 0x768c714a, 0x3e9ff21a, 0x15737c9c, 0x2229c807,
        0x0d47f88c, 0x097e0ecc, 0x27eadba0, 0x2d7d29e4, 0x3502aaa0, 0x0f475fd7, 0x29fbda49, 0x018afffd,
    ),
    (
        0x0315b618, 0x6d4497d1, 0x1b171d9e, 0x52861abd, 0x2e5d0501, 0x3ec8646c, 0x6e5f250a, 0x148ae8e6,
        0x17f5fa4a, 0x3e66d284, 0x0051aa3b, 0x483f7913, 0x2cfe5f15, 0x023427ca, 0x2cc78315, 0x1e36ea47,
    ),
    (
        0x7290a80d, 0x6f7e5329, 0x598ec8a8, 0x76a859a0, 0x6559e868, 0x657b83af, 0x13271d3f, 0x1f876063,
        0x0aeeae37, 0x706e9ca6, 0x46400cee, 0x72a05c26, 0x2c589c9e, 0x20bd37a7, 0x6a2d3d10, 0x20523767,
    ),
    (
        0x5b8fe9c4, 0x2aa501d6, 0x1e01ac3e, 0x1448bc54, 0x5ce5ad1c, 0x4918a14d, 0x2c46a83f, 0x4fcf6876,
        0x61d8d5c8, 0x6ddf4ff9, 0x11fda4d3, 0x02933a8f, 0x170eaf81, 0x5a9c314f, 0x49a12590, 0x35ec52a1,
    ),
    (
        0x58eb1611, 0x5e481e65, 0x367125c9, 0x0eba33ba, 0x1fc28ded, 0x066399ad, 0x0cbec0ea, 0x75fd1af0,
        0x50f5bf4e, 0x643d5f41, 0x6f4fe718, 0x5b3cbbde, 0x1e3afb3e, 0x296fb027, 0x45e1547b, 0x4a8db2ab,
    ),
    (
        0x59986d19, 0x30bcdfa3, 0x1db63932, 0x1d7c2824, 0x53b33681, 0x0673b747, 0x038a98a3, 0x2c5bce60,
        0x351979cd, 0x5008fb73, 0x547bca78, 0x711af481, 0x3f93bf64, 0x644d987b, 0x3c8bcd87, 0x608758b8,
    ),
)
INTERNAL_CONSTANTS = (
    0x5a8053c0, 0x693be639, 0x3858867d, 0x19334f6b, 0x128f0fd8, 0x4e2b1ccb, 0x61210ce0,
    0x3c318939, 0x0b5b2f22, 0x2edb11d5, 0x213effdf, 0x0cac4606, 0x241af16d,
)
# fmt: on


def _over(exponent: int) -> int:
    """2^-exponent."""
    return pow(2, -exponent, P)


# The internal matrix is the all-ones matrix plus this diagonal.
DIAGONAL = tuple(
    value % P
    for value in (
        *(-2, 1, 2, _over(1), 3, 4, -_over(1), -3),
        *(-4, _over(8), _over(2), _over(3), _over(27), -_over(8), -_over(4), -_over(27)),
    )
)


class Ring(Protocol):
    """What the layers work on: ints, arrays of them, expressions. Nothing is reduced modulo P here."""

    def __add__(self, other: Self, /) -> Self: ...

    def __mul__(self, other: int, /) -> Self: ...


T = TypeVar("T", bound=Ring)


def external_layer(state: Sequence[T]) -> list[T]:
    """Multiplies by circ(2 M, M, M, M), M = [[2, 3, 1, 1], [1, 2, 3, 1], [1, 1, 2, 3], [3, 1, 1, 2]].

    An entry is at most 35 times the largest entry before.
    """
    mixed: list[T] = []
    for i in range(0, WIDTH, 4):
        a, b, c, d = state[i : i + 4]
        ab, cd = a + b, c + d
        total = ab + cd
        with_b, with_d = total + b, total + d
        mixed += (with_b + ab, with_b + (c + c), with_d + cd, with_d + (a + a))
    sums = [(mixed[i] + mixed[i + 4]) + (mixed[i + 8] + mixed[i + 12]) for i in range(4)]
    return [value + sums[i % 4] for i, value in enumerate(mixed)]


def internal_layer(state: Sequence[T]) -> list[T]:
    """Multiplies by the all-ones matrix plus the diagonal. An entry is below (P + 16) times the largest one before."""
    total = state[0]
    for value in state[1:]:
        total = total + value
    return [total + value * scale for value, scale in zip(state, DIAGONAL, strict=True)]


def permute(state: Sequence[int]) -> list[int]:
    """The permutation of 16 ints in ``[0, P)``."""
    current = [value % P for value in external_layer(state)]
    for constants in EXTERNAL_CONSTANTS[:HALF_EXTERNAL_ROUNDS]:
        current = _external_round(current, constants)
    for constant in INTERNAL_CONSTANTS:
        current[0] = _seventh(current[0] + constant)
        total = sum(current)
        current = [(total + value * scale) % P for value, scale in zip(current, DIAGONAL, strict=True)]
    for constants in EXTERNAL_CONSTANTS[HALF_EXTERNAL_ROUNDS:]:
        current = _external_round(current, constants)
    return current


Chain = Callable[[Sequence[int], int], Sequence[int]]
"""A state and a count to the state after so many permutations."""

_native_chain: Chain | None = None


def use_native(chain: Chain) -> None:
    """From now on, `advance` runs `chain`.

    Programs do not know the C extension, so that the reference verifier, which knows programs, does not either. Whoever
    loads the extension hands its permutation in here: in Python one takes a quarter of a millisecond.
    """
    global _native_chain
    _native_chain = chain


def advance(state: Sequence[int], count: int) -> tuple[int, ...]:
    """The state after `count` permutations."""
    if _native_chain is not None:
        return tuple(_native_chain(state, count))
    for _ in range(count):
        state = permute(state)
    return tuple(state)


def compress(left: Sequence[int], right: Sequence[int]) -> tuple[int, ...]:
    """Two digests to one: the first 8 elements of x + permute(x), where x is `left` followed by `right`.

    The feed-forward is the compression mode of the Poseidon2 paper. Without it the function could be inverted: anybody
    can complete a digest by eight elements and run the permutation backwards. A Merkle tree whose leaves are digests of
    something survives that, since a leaf so found is the digest of nothing known; one whose leaves may be any eight
    elements does not.
    """
    state = (*left, *right)
    return tuple([(before + after) % P for before, after in zip(state, advance(state, 1), strict=True)][:DIGEST])


def _external_round(state: Sequence[int], constants: Sequence[int]) -> list[int]:
    boxed = [_seventh(value + constant) for value, constant in zip(state, constants, strict=True)]
    return [value % P for value in external_layer(boxed)]


def _seventh(value: int) -> int:
    # About half the time of pow(value, 7, P). Intermediate results up to 2^124 cost little; fewer divisions help.
    cube = value * value * value % P
    return cube * cube * value % P


def c_header() -> str:
    """The constants for csrc/, in Montgomery form (x * 2^32 mod P)."""

    def table(values: Sequence[int], indent: str) -> str:
        words = [f"{(value << 32) % P}u" for value in values]
        return ",\n".join(indent + ", ".join(words[i : i + 8]) for i in range(0, len(words), 8))

    external = ",\n".join(f"    {{\n{table(constants, '        ')}}}" for constants in EXTERNAL_CONSTANTS)
    return f"""/* What c_header() of aprover/programs/poseidon2.py gives; that names the source. In Montgomery form. */
#ifndef APROVER_POSEIDON2_CONSTANTS_H
#define APROVER_POSEIDON2_CONSTANTS_H

#include "field.h"

#define POSEIDON2_WIDTH {WIDTH}
#define POSEIDON2_HALF_EXTERNAL_ROUNDS {HALF_EXTERNAL_ROUNDS}
#define POSEIDON2_INTERNAL_ROUNDS {INTERNAL_ROUNDS}

static const fp poseidon2_external[2 * POSEIDON2_HALF_EXTERNAL_ROUNDS][POSEIDON2_WIDTH] = {{
{external}}};

static const fp poseidon2_internal[POSEIDON2_INTERNAL_ROUNDS] = {{
{table(INTERNAL_CONSTANTS, "    ")}}};

static const fp poseidon2_diagonal[POSEIDON2_WIDTH] = {{
{table(DIAGONAL, "    ")}}};

#endif
"""
