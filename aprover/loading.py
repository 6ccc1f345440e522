"""What the C core keeps of an AIR, made once and shared by all proofs: the decoded AIR, and the commitment to its
preprocessed columns (docs/protocol.md, sections 4 and 6).

The one module that imports the extension; `aprover.prover` takes it from here.
"""

from __future__ import annotations

import functools
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

from ._native import ffi, lib
from .air import CompiledAir
from .errors import ProveError
from .security import Parameters

__all__ = [
    "ALIGNMENT",
    "LoadedAir",
    "Preprocessed",
    "aligned",
    "c_parameters",
    "ffi",
    "lib",
    "load",
    "pointer",
    "preprocessed",
    "preprocessed_caps",
    "proof_shape_in_c",
    "shape_in_c",
]

ALIGNMENT = 64
KEPT_COMMITMENTS = 16
"""Commitments to preprocessed columns that stay in memory, each as large as these columns' part of a proof."""
KEPT_CAPS = 512
"""Caps of such commitments that stay in memory: 32 bytes to 8 KiB for each level."""


def aligned(size: int) -> NDArray[np.uint8]:
    """Uninitialised bytes at an address that is a multiple of `ALIGNMENT`."""
    raw = np.empty(size + ALIGNMENT, dtype=np.uint8)
    start = -raw.ctypes.data % ALIGNMENT
    return raw[start : start + size]


def pointer(kind: str, data: object) -> Any:
    """A pointer of this C type to memory that the caller keeps alive."""
    return ffi.cast(kind, ffi.from_buffer(data))


def c_parameters(parameters: Parameters) -> Any:
    """An `aprover_parameters *`."""
    flags = parameters.independent * lib.APROVER_FLAG_INDEPENDENT | parameters.zk * lib.APROVER_FLAG_ZERO_KNOWLEDGE
    return ffi.new(
        "aprover_parameters *",
        (parameters.log_blowup, parameters.grinding_bits, parameters.cap_log, flags, parameters.queries),
    )


@attrs.frozen(eq=False)
class LoadedAir:
    """An AIR that the C core has checked and decoded. Read-only, so threads share it."""

    pointer: Any
    memory: NDArray[np.uint8]
    """Owns what `pointer` points to."""


@functools.lru_cache(maxsize=512)
def load(air: CompiledAir) -> LoadedAir:
    """Has the C core check and decode the AIR.

    Raises:
        ProveError: It breaks section 4.
    """
    words = ffi.from_buffer("uint32_t[]", air.data)
    size = lib.aprover_air_memory(words, len(words))
    if size == 0:
        raise ProveError("the AIR's headers are outside docs/protocol.md, section 4.1")
    block = aligned(size)
    error = ffi.new("aprover_error *")
    if lib.aprover_air_load(words, len(words), ffi.from_buffer(block), size, error) != lib.APROVER_OK:
        raise ProveError(f"the AIR breaks rule {error.detail} of csrc/air.h at word {error.index}")
    return LoadedAir(ffi.cast("aprover_air *", ffi.from_buffer(block)), block)


def _numbers(struct: Any) -> dict[str, int]:
    return {
        name: int(getattr(struct, name)) for name, field in ffi.typeof(struct).item.fields if field.type.kind != "array"
    }


def shape_in_c(air: CompiledAir) -> tuple[dict[str, int], list[dict[str, int]]]:
    """What the C core derives from the bytecode, to compare with the builder's own.

    Returns:
        The totals by the names of `aprover_shape`, and for each table the names of `aprover_table_shape`.
    """
    totals = ffi.new("aprover_shape *")
    lib.aprover_air_shape(load(air).pointer, totals)
    tables = []
    for i in range(totals.tables):
        table = ffi.new("aprover_table_shape *")
        lib.aprover_air_table_shape(load(air).pointer, i, table)
        tables.append(_numbers(table))
    return _numbers(totals), tables


def proof_shape_in_c(air: CompiledAir, parameters: Parameters) -> dict[str, Any]:
    """What the C core derives from an AIR and parameters, by the names of `aprover_proof_shape`.

    Raises:
        ProveError: The parameters do not fit the AIR.
    """
    shape = ffi.new("aprover_proof_shape *")
    if lib.aprover_proof_shape_of(load(air).pointer, c_parameters(parameters), shape) != lib.APROVER_OK:
        raise ProveError(f"{parameters} do not fit the AIR")
    tables = len(air.tables)
    return _numbers(shape) | {name: list(getattr(shape, name))[:tables] for name in ("chunks", "level", "length")}


@attrs.frozen(eq=False)
class Preprocessed:
    """The commitment to an AIR's preprocessed columns. Read-only, so threads share it."""

    pointer: Any
    caps: bytes
    air: LoadedAir
    memory: NDArray[np.uint8]
    """Owns what `pointer` points to."""


def preprocessed(air: CompiledAir, parameters: Parameters) -> Preprocessed | None:
    """The commitment to the preprocessed columns, or None if there are none. Kept for the AIRs used last.

    Making it takes about as long as a proof of a table with these columns, the GIL released.

    Raises:
        ProveError: The parameters do not fit the AIR, or there is not enough memory.
    """
    if not _has_preprocessed(air):
        return None
    # Lengths depend on the queries only in zero knowledge.
    queries = parameters.queries if parameters.zk else 1
    return _kept(air, attrs.evolve(parameters, queries=queries, grinding_bits=0, independent=False))


def preprocessed_caps(air: CompiledAir, parameters: Parameters) -> bytes:
    """The caps alone, which are all that a verifier needs; empty without preprocessed columns. Kept for longer.

    For a verifier, who was given the parameters by anybody: what is not kept yet is made and let go of again, so that
    no proof makes it hold more than caps, and parameters that ask for the same columns cost this once.

    Raises:
        ProveError: The parameters do not fit the AIR, or there is not enough memory.
    """
    if not _has_preprocessed(air):
        return b""
    caps = _caps(air, _variant(air, parameters))
    if not caps:
        caps.append(_commit(air, parameters).caps)
    return caps[0]


def _has_preprocessed(air: CompiledAir) -> bool:
    return any(table.preprocessed for table in air.tables)


@attrs.frozen
class _Variant:
    """What the caps of an AIR depend on."""

    log_blowup: int
    cap_log: int
    masked: tuple[int, ...]
    """In zero knowledge the logs of the tables' lengths."""


def _variant(air: CompiledAir, parameters: Parameters) -> _Variant:
    masked = tuple(proof_shape_in_c(air, parameters)["length"]) if parameters.zk else ()
    return _Variant(parameters.log_blowup, parameters.cap_log, masked)


@functools.lru_cache(maxsize=KEPT_CAPS)
def _caps(air: CompiledAir, variant: _Variant) -> list[bytes]:  # noqa: ARG001 - they are its key
    """Where these caps are kept; empty until somebody has made them."""
    return []


@functools.lru_cache(maxsize=KEPT_COMMITMENTS)
def _kept(air: CompiledAir, parameters: Parameters) -> Preprocessed:
    made = _commit(air, parameters)
    _caps(air, _variant(air, parameters))[:] = [made.caps]
    return made


def _commit(air: CompiledAir, given: Parameters) -> Preprocessed:
    loaded, parameters = load(air), c_parameters(given)
    size = int(lib.aprover_preprocess_memory(loaded.pointer, parameters))
    if size == 0:
        raise ProveError("the parameters do not fit the AIR")
    try:
        block = aligned(size)
    except MemoryError as cause:
        raise ProveError("not enough memory for the preprocessed columns") from cause
    error = ffi.new("aprover_error *")
    made = lib.aprover_preprocess(loaded.pointer, parameters, ffi.from_buffer(block), size, ffi.NULL, 0, error)
    if made == ffi.NULL:
        raise ProveError(f"the C core failed with status {int(error.status)} on the preprocessed columns")
    length = ffi.new("size_t *")
    caps = lib.aprover_preprocessed_caps(made, length)
    return Preprocessed(made, bytes(ffi.buffer(caps, length[0])), loaded, block)
