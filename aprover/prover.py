"""The synchronous door to the C core: programs and bytes in, bytes out (docs/protocol.md, sections 7 to 9).

Every call releases the GIL while it is in C. Nothing here knows an event loop; cancellation is a flag that C polls.
"""

from __future__ import annotations

import functools
import secrets
import threading
from collections.abc import Sequence
from typing import Any, Protocol, cast

import attrs
import numpy as np
from numpy.typing import NDArray

from .air import CompiledAir, Form, Program, tracing
from .arenas import arena
from .errors import AproverError, ProgramError, ProveError, rejection
from .loading import (
    LoadedAir,
    aligned,
    c_parameters,
    ffi,
    lib,
    load,
    pointer,
    preprocessed,
    preprocessed_caps,
    proof_shape_in_c,
    shape_in_c,
)
from .programs import poseidon2
from .proof import shape_of
from .security import Parameters, Shape
from .statement import Statement

__all__ = [
    "PATHS",
    "Flags",
    "Plan",
    "Prepared",
    "Team",
    "blake3_keyed",
    "failure",
    "instruction_set",
    "memory",
    "plan_of",
    "prepare",
    "prepare_by",
    "proof_shape_in_c",
    "prove",
    "prove_prepared",
    "shape_in_c",
    "verify",
    "write_trace",
]

PATHS = {"auto": 0, "portable": 1, "avx2": 2, "avx512": 3}
"""Instruction sets by name. All give the same bytes; a path that cannot run here falls back to the one before it."""

ENTROPY_BYTES = 32


class Flags(Protocol):
    """How a caller stops a proof and watches it: memory that C reads and writes during the call."""

    @property
    def cancel_flag(self) -> bytearray:
        """An int32; C stops within 10 ms of its becoming nonzero."""

    @property
    def progress_value(self) -> bytearray:
        """A uint32 that C raises from 0 to 1000."""

    @property
    def memory_limit(self) -> int | None:
        """Bytes that the proof may take while it is made, apart from the proof itself; None: any number."""

    def check(self) -> None:
        """Raises the caller's own exception if the flag is set."""


def instruction_set(path: str = "auto") -> str:
    """The instruction set that a path takes on this machine: ``"portable"``, ``"avx2"`` or ``"avx512"``."""
    taken = int(lib.aprover_path(PATHS[path]))
    return next(name for name, number in PATHS.items() if number == taken)


def memory(air: CompiledAir, parameters: Parameters, limit: int | None = None) -> int:
    """Bytes of memory that a proof is made in, apart from the proof itself.

    Args:
        limit: The most that it may be. A large trace is proved in less than is of use by evaluating again what there is
            no room to keep; the proof is the same.

    Raises:
        ProgramError: It cannot be made in so little.
        ProveError: The parameters do not fit the AIR (section 5).
    """
    size = int(lib.aprover_prove_memory(load(air).pointer, c_parameters(parameters), 1, limit or 0))
    if size == 0:
        raise ProveError(f"{parameters} do not fit a trace of {air.height} rows")
    if limit is not None and size > limit:
        raise ProgramError(
            field="memory_limit", value=limit, allowed=f"at least the {size} bytes that this proof needs"
        )
    return size


def blake3_keyed(key: bytes, data: NDArray[np.uint8]) -> bytes:
    """BLAKE3 in keyed mode: a key of 32 bytes, 32 bytes out. Releases the GIL."""
    out = ffi.new("uint8_t[32]")
    lib.aprover_blake3_keyed(key, pointer("uint8_t *", data), data.nbytes, out)
    return bytes(ffi.buffer(out))


def _poseidon2_chain(state: Sequence[int], count: int) -> tuple[int, ...]:
    words = ffi.new("uint32_t[16]", list(state))
    if lib.aprover_poseidon2_chain(words, count, ffi.NULL) != lib.APROVER_OK:
        raise ProgramError(field="state", value=tuple(state), allowed="16 ints below p")
    return tuple(words)


poseidon2.use_native(_poseidon2_chain)


def write_trace(
    program: Program,
    air: CompiledAir,
    tables: Sequence[NDArray[np.uint32]],
    control: Flags | None = None,
    entropy: bytes | None = None,
) -> None:
    """Have the program make its trace, in C if it can, and fill the columns that follow from it.

    Args:
        program: Whose trace.
        air: Its AIR, for zero knowledge or not.
        tables: Of each table a zeroed, contiguous array of shape (columns, height).
        control: Stops a generator in C; a program's own `trace` runs to its end.
        entropy: For a zero-knowledge AIR: at least 32 bytes of the system's randomness, never used before.

    Raises:
        ConstraintError: A value is out of its range, or a lookup finds nothing.
        ProveError: `trace` raised (its exception is the cause), or there is no such generator.
        AproverError: What `trace` raised, if it is one of these.
        Exception: What `control.check` raises, if `control` was cancelled.
    """
    native = program.native_trace()
    if native is None:
        _run_trace(program, air, tables, entropy)
        return
    columns = tables[0][: air.tables[0].written]
    status = lib.aprover_generate(
        native[0],
        native[1],
        len(native[1]),
        pointer("uint32_t *", columns),
        columns.shape[0],
        air.tables[0].log_height,
        ffi.NULL if control is None else pointer("int32_t *", control.cancel_flag),
    )
    if status == lib.APROVER_CANCELLED and control is not None:
        control.check()
    if status != lib.APROVER_OK:
        raise ProveError(f"{program.id}: the trace generator {native[0]} failed with status {status}")
    tracing.complete(program, air, tables, entropy)


def _run_trace(program: Program, air: CompiledAir, tables: Sequence[NDArray[np.uint32]], entropy: bytes | None) -> None:
    try:
        tracing.fill(program, air, tables, entropy)
    except AproverError:
        raise
    except Exception as error:
        raise ProveError(f"{program.id}: trace() raised {type(error).__name__}") from error


@attrs.frozen(eq=False)
class Plan:
    """What all proofs with the same constraints and parameters have in common.

    Attributes:
        form: The constraints, and the form of the statements.
        parameters: How to prove.
        shape: What the security of these proofs depends on besides.
        memory: Bytes of arena that one thread needs.
    """

    form: Form
    parameters: Parameters
    shape: Shape
    memory: int
    _proof_bound: int
    _job: Any
    """An `aprover_job` with what is known filled in, to be copied."""
    _loaded: LoadedAir
    """What the job points to."""
    _has_preprocessed: bool
    _is_filled: bool
    """Python fills in columns that follow from those of the trace."""

    @property
    def air(self) -> CompiledAir:
        """The constraints."""
        return self.form.air


@functools.lru_cache(maxsize=512)
def plan_of(form: Form, parameters: Parameters) -> Plan:
    """What there is to know before there is a program.

    Raises:
        ProveError: The parameters do not fit the AIR.
    """
    air = form.air
    loaded, in_c = load(air), c_parameters(parameters)
    size = memory(air, parameters)
    bound = int(lib.aprover_proof_bound(loaded.pointer, in_c))
    job = ffi.new("aprover_job *")
    job.air, job.parameters, job.proof_capacity = loaded.pointer, in_c[0], bound
    has_preprocessed = any(table.preprocessed for table in air.tables)
    return Plan(form, parameters, shape_of(air), size, bound, job, loaded, has_preprocessed, not air.filling.is_empty)


@attrs.define(eq=False)
class Prepared:
    """A proof that is ready to be made: everything but the work.

    Attributes:
        program: What is proved.
        plan: What it shares with others.
        statement: What is claimed.
        native: Whether the whole trace is made in C, so that the proof can share a C call with others.
        memory: Bytes of arena for one thread.
        limit: Bytes that it may have.
    """

    program: Program
    plan: Plan
    statement: Statement
    native: bool
    memory: int
    limit: int | None
    control: Flags | None
    _entropy: bytes | None = attrs.field(repr=False)
    """Of the masks; in zero knowledge only."""
    _job: Any = attrs.field(repr=False)
    _proof: Any = attrs.field(repr=False)
    _owned: tuple[object, ...] = attrs.field(repr=False)
    """What the job points to."""


class Team:
    """Threads that make one proof together. Create it, have other threads `help`, prove with it, then `close`.

    The bytes of a proof are the same however many threads helped, and when.
    """

    def __init__(self, lanes: int, give_way: bytearray | None = None) -> None:
        """An empty team.

        Args:
            lanes: 1 to 16 threads, the one that proves included.
            give_way: An int32. While it is nonzero, each of them lets other threads have its core after every task.
        """
        self._memory = aligned(lib.aprover_team_memory())
        self._team = ffi.cast("aprover_team *", ffi.from_buffer(self._memory))
        self.lanes = lanes
        self._lock = threading.Lock()
        self._entered = 0
        self._closed = False
        # Kept alive by this for as long as C reads it.
        self._give_way = ffi.NULL if give_way is None else ffi.from_buffer("int32_t[]", give_way)
        if lib.aprover_team_init(self._team, lanes, self._give_way) != lib.APROVER_OK:
            raise ValueError(f"a team has 1 to 16 lanes, not {lanes}")

    def help(self, leave: bytearray) -> None:
        """Works on the team's proof, with the GIL released.

        Returns when the int32 in `leave` has become nonzero, at the end of a task and within about 0.5 ms; when the
        team is closed; or at once, if all lanes are taken.
        """
        with self._lock:
            if self._closed:
                return
            self._entered += 1
        try:
            lib.aprover_help(self._team, pointer("int32_t *", leave))
        finally:
            with self._lock:
                self._entered -= 1
                last = self._closed and self._entered == 0
            if last:
                lib.aprover_team_destroy(self._team)

    def close(self) -> None:
        """Sends the helpers home and waits until they have left C. No proof may be under way. May be called twice."""
        with self._lock:
            if self._closed:
                return
        lib.aprover_team_close(self._team)
        with self._lock:
            self._closed = True
            last = self._entered == 0
        if last:
            lib.aprover_team_destroy(self._team)


_uncleared: Any = ffi.new_allocator(should_clear_after_alloc=False)


def prepare(program: Program, parameters: Parameters, *, control: Flags | None = None, path: str = "auto") -> Prepared:
    """Everything that a proof needs but the work. Takes microseconds for a program whose AIR is cached.

    The first proof of an AIR with preprocessed columns waits until these are committed. Runs the program's
    `public_outputs`. Arguments and errors as for `prove`.
    """
    return prepare_by(plan_of(program._form(zk=parameters.zk), parameters), program, control=control, path=path)


def prepare_by(plan: Plan, program: Program, *, control: Flags | None = None, path: str = "auto") -> Prepared:
    """As `prepare`, by the plan of this program's class and parameters."""
    size, limit = plan.memory, None if control is None else control.memory_limit
    if limit is not None and limit < size:
        size = memory(plan.air, plan.parameters, limit)
    statement, values = plan.form.claim(program)
    data = statement.to_bytes()
    try:
        proof = _uncleared("uint8_t[]", plan._proof_bound)
    except MemoryError as cause:
        raise ProveError("not enough memory for the proof") from cause
    job = ffi.new("aprover_job *", plan._job[0])
    native = None if plan._is_filled else program.native_trace()
    if native is None:
        job.publics = words = ffi.new("uint32_t[]", values)
    else:
        generator, arguments = native
        job.publics = words = ffi.new("uint32_t[]", [*values, *arguments])
        job.generator, job.arguments, job.arguments_count = generator, words + len(values), len(arguments)
    job.statement = statement_bytes = ffi.from_buffer("uint8_t[]", data)
    job.statement_length = len(data)
    job.proof = proof
    if path != "auto":
        job.path = PATHS[path]
    owned: tuple[object, ...] = (words, statement_bytes)
    entropy = None
    if control is not None:
        job.cancel = cancel = ffi.from_buffer("int32_t[]", control.cancel_flag)
        job.progress = progress = ffi.from_buffer("uint32_t[]", control.progress_value)
        owned = (words, statement_bytes, cancel, progress)
    if plan._has_preprocessed:
        commitment = preprocessed(plan.air, plan.parameters)
        assert commitment is not None
        job.preprocessed = commitment.pointer
        owned += (commitment,)
    if plan.parameters.zk:
        entropy = secrets.token_bytes(ENTROPY_BYTES)
        job.entropy = masks = ffi.new("uint8_t[]", entropy)
        owned += (masks,)
    return Prepared(program, plan, statement, native is not None, size, limit, control, entropy, job, proof, owned)


def prove_prepared(batch: Sequence[Prepared], *, team: Team | None = None) -> list[bytes | Exception]:
    """Makes the proofs, in order, in one C call for each run of native ones.

    Blocks for as long as that takes; the GIL is released except while a program's own `trace` runs.

    Args:
        batch: Each may be proved once.
        team: Helps with each proof in turn.

    Returns:
        For each, the proof's bytes or the exception that `prove` would have raised.
    """
    if len(batch) == 1:
        return _prove_run(batch, team)
    results: list[bytes | Exception] = []
    run: list[Prepared] = []
    for item in batch:
        if item.native:
            run.append(item)
            continue
        results += _prove_run(run, team)
        run = []
        results += _prove_run([item], team)
    return results + _prove_run(run, team)


def _prove_run(run: Sequence[Prepared], team: Team | None) -> list[bytes | Exception]:
    """One C call: native proofs, or one whose program writes the trace."""
    if not run:
        return []
    needed, limits = [item.memory for item in run], [item.limit for item in run]
    if team is not None:
        needed = [_memory_for(item, team) for item in run]
        if any(limit is not None and size > limit for limit, size in zip(limits, needed, strict=True)):
            # Each helper needs some memory of its own.
            return _prove_run(run, None)
    try:
        begin, length = arena(max(needed), None if None in limits else max(cast("list[int]", limits)))
    except MemoryError as cause:
        return [_caused(ProveError("not enough memory for the proof"), cause) for _ in run]
    if len(run) == 1:
        jobs = run[0]._job
    else:
        jobs = ffi.new("aprover_job[]", len(run))
        for i, item in enumerate(run):
            jobs[i] = item._job[0]
    errors = ffi.new("aprover_error[]", len(run))
    for i, item in enumerate(run):
        job = jobs[i]
        # By its length C knows what it need not keep.
        job.arena, job.arena_bytes = begin, length if item.limit is None else needed[i]
        if team is not None:
            job.team = team._team
    if not run[0].native:
        try:
            _place_trace(run[0], jobs)
        except Exception as error:  # noqa: BLE001 - whatever a program's trace raised belongs to its own request
            return [error]
    lib.aprover_prove_batch(jobs, len(run), errors)
    return [_result(item, jobs[i], errors[i]) for i, item in enumerate(run)]


def _memory_for(item: Prepared, team: Team) -> int:
    job = item._job
    return int(lib.aprover_prove_memory(job.air, ffi.addressof(job, "parameters"), team.lanes, item.limit or 0))


def _place_trace(item: Prepared, job: Any) -> None:
    tables = []
    for i, table in enumerate(item.plan.air.tables):
        trace = lib.aprover_prove_trace(job, i)
        flat = np.frombuffer(ffi.buffer(trace, 4 * table.columns * table.height), dtype=np.uint32)
        flat[:] = 0
        tables.append(flat.reshape(table.columns, table.height))
    write_trace(item.program, item.plan.air, tables, item.control, item._entropy)


def _result(item: Prepared, job: Any, error: Any) -> bytes | Exception:
    if job.status == lib.APROVER_OK:
        return bytes(ffi.buffer(item._proof, job.proof_length))
    if job.status == lib.APROVER_CANCELLED and item.control is not None:
        try:
            item.control.check()
        except Exception as cancelled:  # noqa: BLE001 - the caller's own
            return cancelled
    return failure(job.status, item.plan.air, error)


def prove(program: Program, parameters: Parameters, *, control: Flags | None = None, path: str = "auto") -> bytes:
    """The bytes of a STARK proof (docs/protocol.md, section 8) of the program's statement.

    The same program and parameters give the same bytes on every machine and path. Blocks for as long as the proof
    takes; the GIL is released except while a program's own `trace` runs.

    Args:
        program: Makes the trace: in C if it has a `native_trace`, else by its `trace`.
        parameters: How to prove; see `aprover.security.choose`.
        control: Stops the proof and shows how far it is.
        path: One of `PATHS`.

    Raises:
        ProgramError: The AIR, an input or an output is wrong; or what `trace` raised, if it is an `AproverError`.
        ProveError: The trace breaks a constraint or holds a value that is not canonical, `trace` raised (its exception
            is the cause), the parameters do not fit, or there is not enough memory.
        Exception: What `control.check` raises, if `control` was cancelled.
    """
    (result,) = prove_prepared([prepare(program, parameters, control=control, path=path)])
    if isinstance(result, Exception):
        raise result
    return result


def _caused(error: ProveError, cause: BaseException) -> ProveError:
    error.__cause__ = cause
    return error


def failure(status: int, air: CompiledAir, error: Any) -> ProveError:
    """What an `aprover_status` and its `aprover_error *` mean, when a proof was to be made."""
    if status == lib.APROVER_ERROR_CONSTRAINTS:
        of = f" of table {air.tables[error.detail].name!r}" if len(air.tables) > 1 else ""
        return ProveError(f"the trace does not satisfy the constraints{of}; aprover.check(program) says where")
    if status == lib.APROVER_ERROR_LOOKUPS:
        return ProveError("what is put on the buses does not balance; aprover.check(program) says which tuples")
    if status == lib.APROVER_ERROR_TRACE:
        return _not_canonical(air, error)
    return ProveError(f"the C core failed with status {status}, index {int(error.index)}")


def _not_canonical(air: CompiledAir, error: Any) -> ProveError:
    table = air.tables[error.detail]
    column, row = divmod(int(error.index), table.height)
    of = f" of table {table.name!r}" if len(air.tables) > 1 else ""
    failure = ProveError(f"the trace's value in column {table.column_names[column]}{of}, row {row} is not below p")
    field = f"trace[{row}, {column}]" if len(air.tables) == 1 else f"trace[{table.name!r}][{row}, {column}]"
    return _caused(failure, ProgramError(field=field, allowed="0 to 2013265920"))


_REJECTIONS = {
    lib.APROVER_REJECT_PARAMETERS: "PARAMETERS",
    lib.APROVER_REJECT_TRUNCATED: "TRUNCATED",
    lib.APROVER_REJECT_NON_CANONICAL: "NON_CANONICAL",
    lib.APROVER_REJECT_QUOTIENT: "QUOTIENT",
    lib.APROVER_REJECT_GRINDING: "GRINDING",
    lib.APROVER_REJECT_TRAILING: "TRAILING",
    lib.APROVER_REJECT_TRACE_MERKLE: "TRACE_MERKLE",
    lib.APROVER_REJECT_QUOTIENT_MERKLE: "QUOTIENT_MERKLE",
    lib.APROVER_REJECT_FRI_MERKLE: "FRI_MERKLE",
    lib.APROVER_REJECT_DEEP: "DEEP",
    lib.APROVER_REJECT_FRI_FOLD: "FRI_FOLD",
    lib.APROVER_REJECT_FRI_FINAL: "FRI_FINAL",
    lib.APROVER_REJECT_LOOKUP_SUM: "LOOKUP_SUM",
    lib.APROVER_REJECT_PREPROCESSED_MERKLE: "PREPROCESSED_MERKLE",
    lib.APROVER_REJECT_LOOKUP_MERKLE: "LOOKUP_MERKLE",
}


def verify(
    air: CompiledAir, publics: Sequence[int] | NDArray[np.uint32], statement: bytes, body: bytes, *, path: str = "auto"
) -> Parameters:
    """Check a STARK proof by docs/protocol.md, section 9, and return the parameters that it was checked with.

    Whether these are strong enough is for the caller to judge. Never runs the computation: tens of microseconds for a
    small proof, about a millisecond for a million rows, in proportion to the proof's length. Only constraints with
    preprocessed columns take longer, the first time: the verifier commits to these columns itself, once for each
    blowup and cap that proofs come with, and not before the length and the parameters of the proof are checked.

    Args:
        air: The constraints, built by the verifier.
        publics: As `air.publics` gives them.
        statement: The statement's bytes.
        body: The proof's bytes, from anybody.
        path: One of `PATHS`.

    Raises:
        VerificationError: With the code of the check that failed.
    """
    loaded = load(air)
    values = np.array(publics, dtype=np.uint32)
    in_c = ffi.new("aprover_parameters *")
    error = ffi.new("aprover_error *")
    data = pointer("uint8_t *", body)
    status = lib.aprover_proof_head(loaded.pointer, data, len(body), in_c, error)
    if status == lib.APROVER_OK:
        caps = preprocessed_caps(air, Parameters.from_bytes(body[:8]))
        scratch = aligned(int(lib.aprover_verify_memory(loaded.pointer, in_c)))
        status = lib.aprover_verify(
            loaded.pointer,
            pointer("uint8_t *", caps) if caps else ffi.NULL,
            len(caps),
            pointer("uint32_t *", values),
            pointer("uint8_t *", statement),
            len(statement),
            data,
            len(body),
            ffi.from_buffer(scratch),
            len(scratch),
            PATHS[path],
            error,
        )
    if status != lib.APROVER_OK:
        if status in _REJECTIONS:
            raise rejection(_REJECTIONS[status], _where(_REJECTIONS[status], air, error))
        raise ProveError(f"the C core failed with status {status}, index {int(error.index)}")
    return Parameters.from_bytes(body[:8])


def _where(code: str, air: CompiledAir, error: Any) -> str:
    """What the C core knows beyond the code."""
    if code in ("TRUNCATED", "NON_CANONICAL", "TRAILING"):
        return f"byte {int(error.index)} of the proof"
    if code.startswith("FRI"):
        return f"FRI layer {int(error.detail)}"
    if code == "QUOTIENT" and len(air.tables) > 1:
        return f"table {air.tables[error.detail].name!r}"
    if code.endswith("MERKLE") and len(air.tables) > 1:
        return f"the tree of level {int(error.detail)}"
    return ""
