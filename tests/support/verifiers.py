"""The two verifiers as functions from a claim and a proof to the code of section 9 that fired, or None for acceptance.

The C side is called through its public header directly, so that it can be given any AIR and any instruction set.
"""

from __future__ import annotations

import functools
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
    status = lib.aprover_proof_parameters(loaded, data, len(proof), parameters, error)
    if status == lib.APROVER_OK:
        size = lib.aprover_verify_memory(loaded, parameters)
        memory, _owner = aligned(size)
        words = ffi.new("uint32_t[]", [*publics, 0])
        status = lib.aprover_verify(
            loaded, words, ffi.from_buffer(statement), len(statement), data, len(proof), memory, size, path, error
        )
    if status != lib.APROVER_OK and status not in _NAMES:
        raise NativeError(status)
    return _NAMES.get(status)


def native_portable(air: bytes, publics: Sequence[int], statement: bytes, proof: bytes) -> str | None:
    """The C verifier's verdict without vector instructions."""
    return native(air, publics, statement, proof, PORTABLE)


def native_prove(instance: Instance, parameters: bytes, path: int = 0) -> bytes:
    """The C prover's proof. Raises NativeError with its status."""
    loaded, _ = load(instance.air)
    job = ffi.new("aprover_job *")
    job.air = loaded
    job.parameters.log_blowup, job.parameters.grinding_bits = parameters[0], parameters[1]
    job.parameters.cap_log, job.parameters.batching = parameters[2], parameters[3]
    job.parameters.queries = int.from_bytes(parameters[4:], "little")
    given = ffi.addressof(job, "parameters")
    publics = ffi.new("uint32_t[]", [*instance.publics, 0])
    statement = ffi.from_buffer(instance.statement)
    size, bound = lib.aprover_prove_memory(loaded, given, 1), lib.aprover_proof_bound(loaded, given)
    arena, _owner = aligned(size)
    proof = ffi.new("uint8_t[]", max(bound, 1))
    job.publics, job.statement, job.statement_length = publics, statement, len(instance.statement)
    job.arena, job.arena_bytes, job.proof, job.proof_capacity, job.path = arena, size, proof, bound, path
    target = lib.aprover_prove_trace(job)
    if target == ffi.NULL:
        raise NativeError("no room for the trace")
    columns = np.ascontiguousarray(instance.trace.T.astype("<u4")).tobytes()
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
