"""SHA-256 of a private message: FIPS 180-4, in 128 columns, one round a row.

Words are bits where they are rotated or combined bit by bit, and two limbs of 16 bits where they are added. A bit b
stands in its column as the sign s = 1 - 2b, so that

- the exclusive or is the product of signs: s(x ^ y ^ z) = s(x) s(y) s(z);
- Maj has the sign (x + y + z - x y z) / 2, and Ch(x, y, z) the sign ((y + z) - x (y - z)) / 2, in signs x, y, z;
- a limb with the bits b_j is sum 2^j b_j = (65535 - sum 2^j s_j) / 2.

Layout. a and e are columns in which every row adds one word: row r holds a after some round, so a, b, c, d of the
next round are that column in the rows r, r - 1, r - 2, r - 3, and e to h likewise. A block takes 68 rows: 4 rows of
the state that it starts from (H3 H2 H1 H0 in a, H7 H6 H5 H4 in e), then 64 rounds; the 4 rows after it hold the state
that it ends with, which is what the next block starts from. A periodic column has a power of two of rows, at most
4096, which holds 60 such blocks; the rows that are left over repeat the state. In other words, a row is one of: a
round; a feed-forward row (the state after a block); a hold row (the state again; the first 4 rows of a period, and
all after its last block's state).

Integers. Every constraint on sums is between limbs below 2^16, 2^16 times carries below 8, and at most 8 terms. So
both sides stay below 2^21 in absolute value, and an equality modulo P is one of integers; and as a limb is below
2^16, it and its carry are determined by the sum."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import attrs
import numpy as np
from numpy.typing import NDArray

from ..air.builder import AirBuilder, Column, Expr
from ..air.field import P
from ..air.program import Program, private, shipped
from ..air.validators import integer
from ..errors import ProgramError

GENERATOR = 3
"""The number of the C trace generator; its arguments are the words of the padded message."""

MAX_LENGTH = 2**20
ROUNDS = 64
STATE_ROWS = 4
BLOCK_ROWS = STATE_ROWS + ROUNDS
MAX_PERIOD = 4096
LIMB = 1 << 16
ONES = LIMB - 1


def _primes(count: int) -> list[int]:
    found: list[int] = []
    candidate = 2
    while len(found) < count:
        if all(candidate % prime for prime in found):
            found.append(candidate)
        candidate += 1
    return found


def _root_fraction(value: int, degree: int) -> int:
    """The first 32 bits of the fraction of the root of `value`: floor(root * 2^32) mod 2^32, on integers."""
    target = value << (32 * degree)
    low, high = 0, 1 << 40
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if middle**degree <= target else (low, middle)
    return low & 0xFFFFFFFF


INITIAL = tuple(_root_fraction(prime, 2) for prime in _primes(8))
"""H(0): section 5.3.3, from the square roots of the first 8 primes."""
CONSTANTS = tuple(_root_fraction(prime, 3) for prime in _primes(ROUNDS))
"""K: section 4.2.2, from the cube roots of the first 64 primes."""

# Section 4.1.2: distances of rotations to the right; the last one of the small sigmas is a shift.
BIG_SIGMA0, BIG_SIGMA1 = (2, 13, 22), (6, 11, 25)
SMALL_SIGMA0, SMALL_SIGMA1 = (7, 18, 3), (17, 19, 10)


def block_count(length: int) -> int:
    """Blocks of 64 bytes of a padded message of so many bytes."""
    return (length + 8) // 64 + 1


def padding(length: int) -> bytes:
    """What section 5.1.1 puts after a message of so many bytes."""
    zeros = 64 * block_count(length) - length - 9
    return b"\x80" + bytes(zeros) + (8 * length).to_bytes(8, "big")


def digest(outputs: Sequence[int]) -> bytes:
    """The 32 bytes of the digest from the 16 public outputs, the halves of H0 to H7, the upper half first.

    Raises:
        ProgramError: They are not 16 ints below 2^16.
    """
    if len(outputs) != 16 or not all(type(half) is int and 0 <= half < LIMB for half in outputs):
        raise ProgramError(field="outputs", value=tuple(outputs), allowed="16 ints from 0 to 65535")
    return b"".join(half.to_bytes(2, "big") for half in outputs)


# The rows


def _capacity(period: int) -> int:
    """Blocks in a period: 1 in 128 rows, 3 in 256, 7 in 512, 15 in 1024, 30 in 2048, 60 in 4096."""
    return (period - STATE_ROWS) // BLOCK_ROWS


def first_row(block: int) -> int:
    """The first of the 4 rows that hold the state before this block."""
    period, index = divmod(block, _capacity(MAX_PERIOD))
    return period * MAX_PERIOD + index * BLOCK_ROWS


def _result_row(blocks: int) -> int:
    """The first of the 4 rows that hold the state after so many blocks."""
    return first_row(blocks - 1) + BLOCK_ROWS


def _height(rows: int) -> int:
    return 1 << (rows - 1).bit_length()


class _Cycle(NamedTuple):
    """What the rows of a period are: the round's number or -1, and whether it is a feed-forward row."""

    round: NDArray[np.int64]
    feed: NDArray[np.bool_]

    @classmethod
    @functools.cache
    def of(cls, period: int) -> _Cycle:
        number = np.full(period, -1)
        feed = np.zeros(period, dtype=np.bool_)
        for block in range(_capacity(period)):
            start = block * BLOCK_ROWS + STATE_ROWS
            number[start : start + ROUNDS] = np.arange(ROUNDS)
            feed[start + ROUNDS : start + ROUNDS + STATE_ROWS] = True
        return cls(number, feed)

    def constant(self, shift: int) -> NDArray[np.int64]:
        """K of the round in the row `shift` below, 0 if there is none. What is below the last row is a hold row."""
        number = np.roll(self.round, -shift)
        return np.where(number >= 0, np.array(CONSTANTS)[number], 0)

    def is_round(self, shift: int, first: int = 0) -> NDArray[np.int64]:
        """1 if the row `shift` below is a round with a number of at least `first`, else 0."""
        return (np.roll(self.round, -shift) >= first).astype(np.int64)

    def is_live(self, shift: int) -> NDArray[np.int64]:
        """1 if the row `shift` below is a round or a feed-forward row."""
        return self.is_round(shift) | np.roll(self.feed, -shift)


class _Limbs(NamedTuple):
    low: Column
    high: Column

    @classmethod
    def declare(cls, b: AirBuilder, name: str) -> _Limbs:
        return cls(b.column(f"{name}.low"), b.column(f"{name}.high"))


class _Carry(NamedTuple):
    """A carry is ``bit + 2 * rest``."""

    bit: Column
    rest: Column

    @property
    def value(self) -> Expr:
        return self.bit + self.rest + self.rest


class _Carries(NamedTuple):
    low: _Carry
    high: _Carry

    @classmethod
    def declare(cls, b: AirBuilder, name: str) -> _Carries:
        low, high = (_Carry(*b.columns(f"{name} carry.{half}", 2)) for half in ("low", "high"))
        return cls(low, high)


class _Layout(NamedTuple):
    """The columns in their order, which the C trace generator shares."""

    a_bits: list[Column]
    e_bits: list[Column]
    w_bits: list[Column]
    a: _Limbs
    e: _Limbs
    ha: _Limbs
    """The state before the block: what a was four rows before its first round, again every four rows."""
    he: _Limbs
    f0: _Limbs
    """Big sigma 0 plus Maj of a in this row and the two below, for the round in the row below those."""
    f1: _Limbs
    """Big sigma 1 plus Ch of e, likewise."""
    w: _Limbs
    before: _Limbs
    """w one row above: a read reaches 15 rows, and the schedule 16."""
    s0: _Limbs
    """Small sigma 0 of w, plus w one row above."""
    s1: _Limbs
    """Small sigma 1 of w."""
    w_carry: _Carries
    """For w 15 rows below."""
    e_carry: _Carries
    """For e 4 rows below; as that is a sum of six limbs, 0 to 5."""
    a_carry: _Carries
    """For a 4 rows below; 1 more than the carry, since that may be -1."""

    @classmethod
    def declare(cls, b: AirBuilder) -> _Layout:
        bits = [b.columns(name, 32) for name in ("a", "e", "w")]
        limbs = [_Limbs.declare(b, name) for name in ("a", "e", "ha", "he", "f0", "f1", "w", "before", "s0", "s1")]
        return cls(*bits, *limbs, *[_Carries.declare(b, name) for name in "wea"])  # type: ignore[arg-type]


COLUMNS = 3 * 32 + 10 * 2 + 3 * 4


def _packed(signs: Sequence[Expr]) -> Expr:
    """sum 2^j signs[j]."""
    total = signs[-1]
    for sign in reversed(signs[:-1]):
        total = total + total + sign
    return total


def _parity(signs: Sequence[Expr], distances: tuple[int, int, int], *, shift: bool = False) -> list[Expr]:
    """The signs of a sigma function; with `shift`, the last distance shifts and does not rotate."""
    first, second, third = distances
    result = []
    for j in range(32):
        product = signs[(j + first) % 32] * signs[(j + second) % 32]
        result.append(product if shift and j + third >= 32 else product * signs[(j + third) % 32])
    return result


@shipped
class Sha256(Program):
    """The SHA-256 digest of a private message of a public length, 0 to 2^20 bytes; proves the digest.

    Public statement: "I know a message of `length` bytes whose SHA-256 is `digest(public outputs)`". The padding is
    enforced: the constraints say what stands after byte `length`, so the message cannot be of another length.

    Args:
        message: The message, private.

    68 rows for each block of 64 bytes, in 128 columns; degree 3. A proof about 64 KiB takes 254 MiB of memory, and
    one about 1 MiB sixteen times as much.
    """

    id = "sha256"

    message: bytes = private()
    length: int = attrs.field(
        init=False,
        default=attrs.Factory(lambda self: len(self.message) if type(self.message) is bytes else 0, takes_self=True),
        validator=integer(0, MAX_LENGTH),
    )

    @classmethod
    def air(cls, b: AirBuilder, params: Any) -> None:
        blocks = block_count(params.length)
        rows = _result_row(blocks) + STATE_ROWS
        b.rows(rows)
        cycle = _Cycle.of(min(MAX_PERIOD, _height(rows)))
        c = _Layout.declare(b)
        _ranges(b, c)
        _functions(b, c)
        _rounds(b, c, cycle)
        _schedule(b, c, cycle)
        _state(b, c, cycle, _result_row(blocks))
        _padding(b, c, params.length)

    def trace(self, out: NDArray[np.uint32]) -> None:
        write_columns(out, Rows.of(len(out), _words(self.message + padding(self.length))))

    def public_outputs(self) -> tuple[int, ...]:
        value = hashlib.sha256(self.message).digest()
        return tuple([int.from_bytes(value[i : i + 2], "big") for i in range(0, 32, 2)])

    def native_trace(self) -> tuple[int, tuple[int, ...]]:
        return GENERATOR, tuple(_words(self.message + padding(self.length)))


def _words(padded: bytes) -> list[int]:
    return [int(word) for word in np.frombuffer(padded, dtype=">u4")]


# The constraints


def _ranges(b: AirBuilder, c: _Layout) -> None:
    """Signs are 1 or -1, limbs are what their signs say, carries are small."""
    for signs in (c.a_bits, c.e_bits, c.w_bits):
        for sign in signs:
            b.assert_equal(sign * sign, 1, name=f"{sign.name} is a sign")
    for signs, limbs in ((c.a_bits, c.a), (c.e_bits, c.e), (c.w_bits, c.w)):
        for limb, half in zip(limbs, (signs[:16], signs[16:]), strict=True):
            b.assert_equal(limb + limb + _packed(half), ONES, name=f"{limb.name} from its bits")
    for carries in (c.w_carry, c.e_carry, c.a_carry):
        for carry in carries:
            b.assert_zero(carry.bit * (carry.bit - 1), name=f"{carry.bit.name} is a bit")
            # 0 to 3; for e 0 to 5.
            square = carry.rest * (carry.rest - 1)
            b.assert_zero(
                square * (carry.rest - 2) if carries is c.e_carry else square, name=f"{carry.rest.name} is small"
            )


def _functions(b: AirBuilder, c: _Layout) -> None:
    """The functions of section 4.1.2, into columns of their own: so no other constraint has more than two factors."""
    x, y, z = ([sign.at(offset) for sign in c.a_bits] for offset in (2, 1, 0))
    sigma = _parity(x, BIG_SIGMA0)
    # Four times sigma is 2 - 2 s, four times Maj is 2 - (x + y + z) + x y z.
    terms = [s + s - p * q * r for s, p, q, r in zip(sigma, x, y, z, strict=True)]
    for i, half in enumerate((terms[:16], terms[16:])):
        linear = c.a[i].at(2) + c.a[i].next + c.a[i]
        b.assert_equal(4 * c.f0[i] + _packed(half), linear + linear + ONES, name=f"{c.f0[i].name} is sigma and Maj")
    x, y, z = ([sign.at(offset) for sign in c.e_bits] for offset in (2, 1, 0))
    sigma = _parity(x, BIG_SIGMA1)
    # Four times Ch is 2 - (y + z) + x (y - z).
    terms = [s + s - p * (q - r) for s, p, q, r in zip(sigma, x, y, z, strict=True)]
    for i, half in enumerate((terms[:16], terms[16:])):
        linear = c.e[i].next + c.e[i]
        b.assert_equal(4 * c.f1[i] + _packed(half), linear + linear + 2 * ONES, name=f"{c.f1[i].name} is sigma and Ch")
    sigma0 = _parity(c.w_bits, SMALL_SIGMA0, shift=True)
    sigma1 = _parity(c.w_bits, SMALL_SIGMA1, shift=True)
    for i, part in enumerate((slice(16), slice(16, 32))):
        rest = c.s0[i] - c.before[i]
        b.assert_equal(rest + rest + _packed(sigma0[part]), ONES, name=f"{c.s0[i].name} is sigma and w before")
        b.assert_equal(c.s1[i] + c.s1[i] + _packed(sigma1[part]), ONES, name=f"{c.s1[i].name} is sigma")
        b.assert_equal(c.before[i].next, c.w[i], name=f"{c.before[i].name} is w one row above")
    # Rows that the constraints above do not reach; nothing reads them, but no cell shall be free.
    for limbs in (c.f0, c.f1):
        for limb in limbs:
            for row in (-2, -1):
                b.boundary(limb, row, 0, name=f"{limb.name} at row {row}")


def _rounds(b: AirBuilder, c: _Layout, cycle: _Cycle) -> None:
    """e and a four rows below: by a round, or by adding the state before the block.

    A round of section 6.2.2, with T1 = h + F1 + K + W and T2 = F0, is e' = d + T1 and a' = T1 + T2 = e' - d + T2. So e'
    is a sum of six limbs (F1 counts twice), and its carry is 0 to 5, in the upper limbs too: 6 * 65535 + 5 < 6 * 65536.
    For a', e' - d + T2 is -65535 to 3 * 65535, and with a carry of -1 to 2 still -65536 to 3 * 65536 - 1: so the carry
    is -1 to 2.
    """
    is_round, is_live = b.periodic(cycle.is_round(4).tolist()), b.periodic(cycle.is_live(4).tolist())
    constant = cycle.constant(4)
    constants = [b.periodic(values.tolist()) for values in (constant % LIMB, constant // LIMB)]
    is_feed = is_live - is_round
    carries: tuple[Expr | int, Expr | int] = (0, 0)
    for i in range(2):
        e_carry, a_carry = c.e_carry[i].value, c.a_carry[i].value - 1
        e, a = c.e[i].at(4) + LIMB * e_carry - carries[0], c.a[i].at(4) + LIMB * a_carry - carries[1]
        b.assert_equal(
            is_live * (e - c.e[i]),
            is_round * (c.a[i] + c.f1[i].next + c.w[i].at(4)) + constants[i] + is_feed * c.he[i],
            name=f"the next {c.e[i].name}",
        )
        b.assert_equal(
            is_live * (a + c.a[i]),
            is_round * (c.e[i].at(4) + c.f0[i].next) + is_feed * (c.a[i] + c.a[i] + c.ha[i]),
            name=f"the next {c.a[i].name}",
        )
        carries = e_carry, a_carry
    # Where they mean nothing, carries are zero: a sum of such small terms is zero only if each is.
    total: Expr | int = 0
    for carry in (*c.e_carry, *c.a_carry):
        total = 8 * total + carry.value
    b.assert_zero((1 - is_live) * total, name="carries of e and a are zero in hold rows")


def _schedule(b: AirBuilder, c: _Layout, cycle: _Cycle) -> None:
    """W(t) = s1(W(t-2)) + W(t-7) + s0(W(t-15)) + W(t-16) for t from 16 on: four limbs, so carries of 0 to 3."""
    scheduled = b.periodic(cycle.is_round(15, 16).tolist())
    below: Expr | int = 0
    for i in range(2):
        carry = c.w_carry[i].value
        terms = c.s1[i].at(13) + c.w[i].at(8) + c.s0[i] + below
        b.assert_zero(scheduled * (terms - c.w[i].at(15) - LIMB * carry), name=f"the scheduled {c.w[i].name}")
        below = carry
    b.assert_zero(
        (1 - scheduled) * (c.w_carry[0].value + 4 * c.w_carry[1].value), name="carries of w are zero in other rows"
    )
    outside = 1 - b.periodic(cycle.is_round(0).tolist())
    b.assert_zero(outside * (c.w[0] + c.w[1]), name="w is zero outside of rounds")
    first = b.periodic([1] + [0] * (len(cycle.round) - 1))
    for limb in c.before:
        b.assert_zero(first * limb, name=f"{limb.name} is zero at first")


def _state(b: AirBuilder, c: _Layout, cycle: _Cycle, result: int) -> None:
    """The state before a block goes round every four rows until it is added; it begins as H(0), ends as the digest."""
    is_feed = b.periodic(cycle.is_live(4).tolist()) - b.periodic(cycle.is_round(4).tolist())
    outside = 1 - b.periodic(cycle.is_round(0).tolist())
    for kept, limbs, first in ((c.ha, c.a, 0), (c.he, c.e, 4)):
        for i, (limb, now) in enumerate(zip(kept, limbs, strict=True)):
            b.assert_zero((1 - is_feed) * (limb.at(4) - limb), name=f"{limb.name} goes round")
            b.assert_zero(outside * (limb - now), name=f"{limb.name} is the state")
            for row in range(STATE_ROWS):
                word = first + 3 - row
                name = f"H{word}.{'high' if i else 'low'}"
                initial = INITIAL[word] >> 16 if i else INITIAL[word] % LIMB
                b.boundary(limb, row, initial, name=f"{name} at first")
                b.boundary(limb, result + row, b.output(2 * word + 1 - i), name=name)


def _padding(b: AirBuilder, c: _Layout, length: int) -> None:
    """The words from byte `length` on. A word that begins with bytes of the message has limbs or bits of its own."""
    index, known = divmod(length, 4)
    rest = padding(length)
    if known:
        row = _word_row(index)
        if known < 3:
            b.boundary(c.w.low, row, (0, 0, 0x8000)[known], name="padding of the message's last word")
        if known != 2:
            low_bit = 16 if known == 1 else 0
            for j in range(8):
                b.boundary(c.w_bits[low_bit + j], row, -1 if j == 7 else 1, name=f"padding: bit {low_bit + j}")
        rest, index = rest[4 - known :], index + 1
    for i, word in enumerate(_words(rest), index):
        b.boundary(c.w.low, _word_row(i), word % LIMB, name=f"padding: word {i}, low")
        b.boundary(c.w.high, _word_row(i), word >> 16, name=f"padding: word {i}, high")


def _word_row(index: int) -> int:
    """The row of a word of the padded message."""
    return first_row(index // 16) + STATE_ROWS + index % 16


# The trace


def _rotate(word: int, distance: int) -> int:
    return (word >> distance | word << (32 - distance)) & 0xFFFFFFFF


def _block_words(words: Sequence[int]) -> list[int]:
    """The message schedule: 64 words from 16."""
    w = list(words)
    for t in range(16, ROUNDS):
        x, y = w[t - 15], w[t - 2]
        s0 = _rotate(x, 7) ^ _rotate(x, 18) ^ x >> 3
        s1 = _rotate(y, 17) ^ _rotate(y, 19) ^ y >> 10
        w.append((s1 + w[t - 7] + s0 + w[t - 16]) & 0xFFFFFFFF)
    return w


def _block_states(state: Sequence[int], w: Sequence[int]) -> tuple[list[int], list[int]]:
    """a and e before the first round (four words each) and after each of the 64."""
    a, e = list(state[3::-1]), list(state[7:3:-1])
    for t in range(ROUNDS):
        x, y = e[-1], a[-1]
        t1 = e[-4] + (_rotate(x, 6) ^ _rotate(x, 11) ^ _rotate(x, 25)) + (x & e[-2] ^ ~x & e[-3]) + CONSTANTS[t] + w[t]
        t2 = (_rotate(y, 2) ^ _rotate(y, 13) ^ _rotate(y, 22)) + (y & a[-2] ^ y & a[-3] ^ a[-2] & a[-3])
        e.append((a[-4] + t1) & 0xFFFFFFFF)
        a.append((t1 + t2) & 0xFFFFFFFF)
    return a, e


class Rows(NamedTuple):
    """The 32-bit words of each row."""

    a: NDArray[np.int64]
    e: NDArray[np.int64]
    w: NDArray[np.int64]
    ha: NDArray[np.int64]
    he: NDArray[np.int64]

    @classmethod
    def of(cls, height: int, words: Sequence[int]) -> Rows:
        """Blocks that the height has room for beyond the message are blocks of zeros."""
        rows = cls(*np.zeros((5, height), dtype=np.int64))
        period = min(MAX_PERIOD, height)
        state: list[int] = list(INITIAL)
        for block in range(_capacity(period) * (height // period)):
            start = first_row(block)
            w = _block_words(words[16 * block : 16 * block + 16] or [0] * 16)
            a, e = _block_states(state, w)
            for values, kept, chain in ((rows.a, rows.ha, a), (rows.e, rows.he, e)):
                values[start : start + BLOCK_ROWS] = chain
                kept[start : start + BLOCK_ROWS] = np.tile(chain[:4], BLOCK_ROWS // 4)
            rows.w[start + STATE_ROWS : start + BLOCK_ROWS] = w
            last = [*a[-1:-5:-1], *e[-1:-5:-1]]
            state = [(x + y) & 0xFFFFFFFF for x, y in zip(state, last, strict=True)]
            # Up to the end of the period; the next block, if one follows, writes over it.
            tail = slice(start + BLOCK_ROWS, (start // period + 1) * period)
            left = tail.stop - tail.start
            rows.a[tail] = rows.ha[tail] = np.resize(state[3::-1], left)
            rows.e[tail] = rows.he[tail] = np.resize(state[7:3:-1], left)
        return rows


def _sigma(word: NDArray[np.int64], distances: tuple[int, int, int], *, shift: bool = False) -> NDArray[np.int64]:
    parts = [(word >> n | word << (32 - n)) & 0xFFFFFFFF for n in distances]
    if shift:
        parts[2] = word >> distances[2]
    return parts[0] ^ parts[1] ^ parts[2]


def _halves(word: NDArray[np.int64]) -> NDArray[np.int64]:
    halves: NDArray[np.int64] = np.stack([word % LIMB, word >> 16])
    return halves


def write_columns(out: NDArray[np.uint32], rows: Rows) -> None:
    """The columns in the order of `_Layout`."""
    height = len(out)
    cycle = _Cycle.of(min(MAX_PERIOD, height))
    for i, word in enumerate(rows[:3]):
        for j in range(32):
            out[:, 32 * i + j] = np.where(word >> j & 1, P - 1, 1)
    # Each of shape (2, height): lower and upper limbs.
    a, e, w, ha, he = (_halves(word) for word in rows)

    def below(values: NDArray[np.int64], offset: int) -> NDArray[np.int64]:
        moved: NDArray[np.int64] = np.roll(values, -offset, axis=-1)
        return moved

    x, y, z = (below(rows.a, offset) for offset in (2, 1, 0))
    f0 = _halves(_sigma(x, BIG_SIGMA0)) + _halves(x & y ^ x & z ^ y & z)
    x, y, z = (below(rows.e, offset) for offset in (2, 1, 0))
    f1 = _halves(_sigma(x, BIG_SIGMA1)) + _halves(x & y ^ ~x & z)
    f0[:, -2:] = f1[:, -2:] = 0
    before = below(w, -1)  # the last row of w is a hold row, so 0 comes round
    s0 = _halves(_sigma(rows.w, SMALL_SIGMA0, shift=True)) + before
    s1 = _halves(_sigma(rows.w, SMALL_SIGMA1, shift=True))

    repeat = height // len(cycle.round)
    is_round, is_live, scheduled, constant = (
        np.tile(values, repeat)
        for values in (cycle.is_round(4), cycle.is_live(4), cycle.is_round(15, 16), cycle.constant(4))
    )
    is_feed = is_live - is_round

    def carries(difference: NDArray[Any]) -> NDArray[np.int64]:
        low = difference[0] >> 16
        return np.stack([low, (difference[1] + low) >> 16])

    w_carry = carries(scheduled * (below(s1, 13) + below(w, 8) + s0 - below(w, 15)))
    sums = is_round * (a + e + below(f1, 1) + below(w, 4) + _halves(constant)) + is_feed * (e + he)
    e_carry = carries(sums - is_live * below(e, 4))
    sums = is_round * (below(e, 4) - a + below(f0, 1)) + is_feed * (a + ha)
    a_carry = carries(sums - is_live * below(a, 4)) + is_live
    column = 96
    for limbs in (a, e, ha, he, f0, f1, w, before, s0, s1):
        out[:, column : column + 2] = limbs.T
        column += 2
    for carry in (w_carry, e_carry, a_carry):
        for half in carry:
            out[:, column], out[:, column + 1] = half & 1, half >> 1
            column += 2
