"""BabyBear and its extension of degree 5 on numpy arrays: clear first, fast enough for 2^10 rows.

A base-field array is `uint64` with canonical residues. An extension-field array has one more axis, the last, of length
5 (docs/protocol.md section 1). Transforms work along axis 0, over any further axes.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.uint64]

P = 15 * 2**27 + 1
GENERATOR = 31
DEGREE = 5
NON_RESIDUE = 2


def root(log_order: int) -> int:
    """`w(m)`, the root of unity of order `2^m`."""
    return pow(GENERATOR, (P - 1) >> log_order, P)


def log2(size: int) -> int:
    """The exponent of a power of two."""
    assert size > 0 and size & (size - 1) == 0, size
    return size.bit_length() - 1


def array(values: object) -> Array:
    """A base or extension array of Python integers, reduced modulo p."""
    return np.asarray(np.asarray(values, dtype=object) % P, dtype=np.uint64)


def powers(base: int, count: int) -> Array:
    """`base^0 .. base^(count-1)`."""
    out = np.ones(1, dtype=np.uint64)
    while len(out) < count:
        out = np.concatenate((out, out * pow(base, len(out), P) % P))
    return out[:count]


def power(a: Array, exponent: int) -> Array:
    """Element-wise power of a base array."""
    out = np.ones_like(a)
    for bit in bin(exponent)[2:]:
        out = out * out % P
        if bit == "1":
            out = out * a % P
    return out


def inverse(a: Array) -> Array:
    """Element-wise inverse of a base array without zeros."""
    assert a.all()
    return power(a, P - 2)


def ntt(a: Array, omega: int) -> Array:
    """Values at `omega^0, omega^1, ..` of the polynomials whose coefficients run along axis 0.

    Before each round, `x[f, s]` is the value at the f-th power of a root of order L of the polynomial made of every
    S-th coefficient from s on, where `L * S` is the whole length; a round joins the classes s and s + S/2.
    """
    x = a[None]
    while x.shape[1] > 1:
        half = x.shape[1] // 2
        twiddles = powers(pow(omega, half, P), x.shape[0]).reshape((-1,) + (1,) * a.ndim)
        even, odd = x[:, :half], x[:, half:] * twiddles % P
        x = np.concatenate(((even + odd) % P, (even + P - odd) % P))
    return np.ascontiguousarray(x[:, 0])


def _column(a: Array, ndim: int) -> Array:
    return a.reshape((-1,) + (1,) * (ndim - 1))


def evaluate(coefficients: Array, shift: int, log_size: int) -> Array:
    """Values at `shift * w(log_size)^e`, `e = 0, 1, ..`, of polynomials of any length (coefficients along axis 0)."""
    size = 1 << log_size
    folded = np.zeros((size, *coefficients.shape[1:]), dtype=np.uint64)
    for i, start in enumerate(range(0, len(coefficients), size)):  # x^size = shift^size on this domain
        part = coefficients[start : start + size]
        folded[: len(part)] = (folded[: len(part)] + part * pow(shift, i * size, P)) % P
    return ntt(folded * _column(powers(shift, size), folded.ndim) % P, root(log_size))


def interpolate(values: Array, shift: int) -> Array:
    """Coefficients of the polynomials that take these values at `shift * w^e`: the inverse of `evaluate`."""
    size = len(values)
    raw = ntt(values, pow(root(log2(size)), P - 2, P)) * pow(size, P - 2, P) % P
    return raw * _column(powers(pow(shift, P - 2, P), size), raw.ndim) % P


def to_positions(natural: Array, cosets: int) -> Array:
    """Reorder values at `shift * w(log n)^e` to the positions `j*k + i` of section 6, where `e = j + cosets * i`."""
    size = len(natural)
    split = natural.reshape((size // cosets, cosets, *natural.shape[1:]))
    return np.ascontiguousarray(split.swapaxes(0, 1)).reshape(natural.shape)


def from_positions(positions: Array, cosets: int) -> Array:
    """The inverse of `to_positions`."""
    return to_positions(positions, len(positions) // cosets)


# The extension field.

_NOTHING = np.zeros(1, dtype=np.uint64)
ZERO = np.zeros(DEGREE, dtype=np.uint64)
ONE = np.array([1, 0, 0, 0, 0], dtype=np.uint64)


def unit(component: int) -> Array:
    """`X^component`: one coefficient is 1, the others 0."""
    out = np.zeros(DEGREE, dtype=np.uint64)
    out[component] = 1
    return out


def lift(a: Array) -> Array:
    """Embed a base array into the extension."""
    out = np.zeros((*a.shape, DEGREE), dtype=np.uint64)
    out[..., 0] = a
    return out


def add(a: Array, b: Array) -> Array:
    """a + b, in either field."""
    return (a + b) % P


def sub(a: Array, b: Array) -> Array:
    """a - b, in either field."""
    return (a + (P - b)) % P


def mul(a: Array, b: Array) -> Array:
    """The product of two extension arrays."""
    shape = np.broadcast_shapes(a.shape, b.shape)
    wide = np.zeros((*shape[:-1], 2 * DEGREE - 1), dtype=np.uint64)
    for i in range(DEGREE):
        wide[..., i : i + DEGREE] += a[..., i : i + 1] * b % P
    wide[..., : DEGREE - 1] += NON_RESIDUE * wide[..., DEGREE:]
    return wide[..., :DEGREE] % P


def scale(a: Array, s: Array) -> Array:
    """An extension array times a base array."""
    return a * s[..., None] % P


def ext_power(a: Array, exponent: int) -> Array:
    """`a^exponent` in the extension."""
    out = np.broadcast_to(ONE, a.shape)
    for bit in bin(exponent)[2:]:
        out = mul(out, out)
        if bit == "1":
            out = mul(out, a)
    return out


def ext_inverse(a: Array) -> Array:
    """Inverses, by the norm: `a^-1 = a^(r-1) / a^r` with `r = 1 + p + .. + p^4`, and `a^r` lies in the base field.

    The p-th power is linear: it maps X to `X * 2^((p-1)/5)`, since X^5 = 2.
    """
    gamma = powers(pow(NON_RESIDUE, (P - 1) // DEGREE, P), DEGREE)
    conjugate, product = a, np.broadcast_to(ONE, a.shape)
    for _ in range(DEGREE - 1):
        conjugate = conjugate * gamma % P
        product = mul(product, conjugate)
    norm = mul(a, product)
    assert not norm[..., 1:].any()
    return scale(product, inverse(norm[..., 0]))


def ext_powers(a: Array, count: int) -> Array:
    """`a^0 .. a^(count-1)` for one extension element: shape (count, 5)."""
    out = ONE[None]
    while len(out) < count:
        out = np.concatenate((out, mul(out, ext_power(a, len(out)))))
    return out[:count]


def ext_sum(terms: Array) -> Array:
    """The sum along axis 0 (up to 2^33 terms)."""
    return np.asarray(terms.sum(axis=0, dtype=np.uint64) % P)


def base_at(coefficients: Array, z: Array) -> Array:
    """Values (columns, 5) at one extension point of base polynomials with coefficients (m, columns)."""
    return ext_sum(scale(ext_powers(z, len(coefficients))[:, None], coefficients))


def ext_at(coefficients: Array, z: Array) -> Array:
    """The value at one extension point of one extension polynomial, coefficients of shape (m, 5)."""
    return ext_sum(mul(ext_powers(z, len(coefficients)), coefficients))


def lagrange(points: Array, values: Array) -> Array:
    """Coefficients (m, 5) of the extension polynomial of degree below m through m distinct base points."""
    master = np.ones(1, dtype=np.uint64)
    for point in points:
        shifted, scaled = np.append(_NOTHING, master), np.append(master * (P - point) % P, _NOTHING)
        master = add(shifted, scaled)
    total = np.zeros((len(points), DEGREE), dtype=np.uint64)
    for i, point in enumerate(points):
        basis = np.zeros(len(points), dtype=np.uint64)
        for j in reversed(range(len(points))):  # divide by x - point
            carried = basis[j + 1] * point % P if j + 1 < len(points) else np.uint64(0)
            basis[j] = (master[j + 1] + carried) % P
        others = np.delete(points, i)
        denominator = 1
        for other in others.tolist():
            denominator = denominator * (int(point) - other) % P
        total = add(total, basis[:, None] * (values[i] * pow(denominator, P - 2, P) % P) % P)
    return total
