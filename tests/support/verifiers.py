"""The two verifiers as functions from a claim and a proof to the code of section 9 that fired, or None for acceptance.

The C side is called through its public header directly, so that it can be given any AIR and any instruction set.
"""

from __future__ import annotations

import functools
import secrets
import struct
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from aprover._native import ffi, lib
from aprover.reference.reader import Rejected
from aprover.reference.verifier import verify_stark
from tests.support.toy_programs import Instance

ALIGNMENT = 64
PORTABLE, AVX2 = 1, 2

Verifier = Callable[[bytes, Sequence[int], bytes, bytes], "str | None"]


def reference(air: bytes, publics: Sequence[int], statement: bytes, proof: bytes) -> str | None:
    """The plain-Python verifier's verdict."""
    try:
        verify_stark(air, publics, statement, proof)
    except Rejected as rejected:
        return rejected.code
    return None


class NativeError(Exception):
    """A status of the C side that says nothing about a proof."""


def native(air: bytes, publics: Sequence[int], statement: bytes, proof: bytes, path: int = 0) -> str | None:
    """The C verifier's verdict, on one instruction set (0: the best)."""
    loaded, _ = load(air)
    parameters, error = ffi.new("aprover_parameters *"), ffi.new("aprover_error *")
    data = ffi.from_buffer(proof)
    status = lib.aprover_proof_head(loaded, data, len(proof), parameters, error)
    if status == lib.APROVER_OK:
        size = lib.aprover_verify_memory(loaded, parameters)
        memory, _owner = aligned(size)
        words = ffi.new("uint32_t[]", [*publics, 0])
        caps = caps_of(air, proof[:8])
        status = lib.aprover_verify(
            loaded, ffi.from_buffer(caps) if caps else ffi.NULL, len(caps), words, ffi.from_buffer(statement),
            len(statement), data, len(proof), memory, size, path, error,
        )  # fmt: skip
    if status != lib.APROVER_OK and status not in _NAMES:
        raise NativeError(status)
    return _NAMES.get(status)


@functools.lru_cache(maxsize=256)
def _preprocessed(air: bytes, parameters: bytes) -> tuple[Any, Any]:
    """The commitment to the preprocessed columns, NULL if there are none, and its memory."""
    loaded, _ = load(air)
    given, error = c_parameters(parameters), ffi.new("aprover_error *")
    size = lib.aprover_preprocess_memory(loaded, given)
    if size == 0:
        return ffi.NULL, None
    memory, owner = aligned(size)
    made = lib.aprover_preprocess(loaded, given, memory, size, ffi.NULL, 0, error)
    if made == ffi.NULL:
        raise NativeError(error.status)
    return made, owner


@functools.lru_cache(maxsize=256)
def caps_of(air: bytes, parameters: bytes) -> bytes:
    """The caps of the preprocessed columns, by the C side, for parameters that fit; empty if there are none."""
    made, _owner = _preprocessed(air, parameters)
    if made == ffi.NULL:
        return b""
    length = ffi.new("size_t *")
    caps = lib.aprover_preprocessed_caps(made, length)
    return bytes(ffi.buffer(caps, length[0]))


def c_parameters(parameters: bytes) -> Any:
    """The eight bytes of section 5 as the C side takes them."""
    *head, queries = struct.unpack("<4BI", parameters)
    return ffi.new("aprover_parameters *", (*head, queries))


def native_portable(air: bytes, publics: Sequence[int], statement: bytes, proof: bytes) -> str | None:
    """The C verifier's verdict without vector instructions."""
    return native(air, publics, statement, proof, PORTABLE)


def native_prove(instance: Instance, parameters: bytes, path: int = 0, entropy: bytes | None = None) -> bytes:
    """The C prover's proof. Raises NativeError with its status.

    A zero-knowledge proof is made with `entropy`, 32 bytes, or with fresh ones.
    """
    loaded, _ = load(instance.air)
    job, given = ffi.new("aprover_job *"), c_parameters(parameters)
    job.air, job.parameters = loaded, given[0]
    job.preprocessed, _kept = _preprocessed(instance.air, parameters)
    random_bytes = ffi.from_buffer(entropy or secrets.token_bytes(32))
    job.entropy = random_bytes if parameters[3] & lib.APROVER_FLAG_ZERO_KNOWLEDGE else ffi.NULL
    publics = ffi.new("uint32_t[]", [*instance.publics, 0])
    statement = ffi.from_buffer(instance.statement)
    size, bound = lib.aprover_prove_memory(loaded, given, 1, 0), lib.aprover_proof_bound(loaded, given)
    arena, _owner = aligned(size)
    proof = ffi.new("uint8_t[]", max(bound, 1))
    job.publics, job.statement, job.statement_length = publics, statement, len(instance.statement)
    job.arena, job.arena_bytes, job.proof, job.proof_capacity, job.path = arena, size, proof, bound, path
    for i, trace in enumerate(instance.traces):
        target = lib.aprover_prove_trace(job, i)
        if target == ffi.NULL:
            raise NativeError("no room for the trace")
        columns = np.ascontiguousarray(trace.T.astype("<u4")).tobytes()
        ffi.memmove(target, columns, len(columns))
    error = ffi.new("aprover_error *")
    status = lib.aprover_prove(job, error)
    if status != lib.APROVER_OK:
        raise NativeError(status)
    return bytes(ffi.buffer(proof, job.proof_length))


def aligned(size: int) -> tuple[Any, Any]:
    """A zeroed block at a 64-byte boundary: (pointer, owner); it lives as long as its owner."""
    owner = ffi.new("uint8_t[]", size + ALIGNMENT)
    return owner + -int(ffi.cast("uintptr_t", owner)) % ALIGNMENT, owner


@functools.lru_cache(maxsize=64)
def load(air: bytes) -> tuple[Any, Any]:
    """An AIR checked and decoded by the C side: (air, its memory). Raises NativeError with the status."""
    words = ffi.new("uint32_t[]", np.frombuffer(air, dtype="<u4").tolist())
    count = len(air) // 4
    size = lib.aprover_air_memory(words, count)
    memory, owner = aligned(size)
    error = ffi.new("aprover_error *")
    status = lib.aprover_air_load(words, count, memory, size, error)
    if status != lib.APROVER_OK:
        raise NativeError(status)
    return ffi.cast("const aprover_air *", memory), owner


_NAMES = {
    getattr(lib, name): name.removeprefix("APROVER_REJECT_") for name in dir(lib) if name.startswith("APROVER_REJECT_")
}

VERIFIERS: dict[str, Verifier] = {"reference": reference, "native": native, "native portable": native_portable}
