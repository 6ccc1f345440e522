"""Aggregates of the `stark` backend: one proof of many statements (docs/protocol.md, section 14)."""

from __future__ import annotations

import functools
import itertools
import math
import secrets
from collections.abc import Iterator, Sequence
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

from .. import prover
from ..aggregate import MAX_GROUPS, MAX_STATEMENTS, AggregateProof, ClaimGroup, Programs, encode_claims
from ..air import CompiledAir, Program
from ..air.grouping import Group, group, native_arguments, publics_of
from ..air.stacking import Stack, copies, fits, most_runs, public_count, refusal, stack
from ..arenas import arena
from ..errors import ProgramError, ProveError, SecurityError
from ..loading import c_parameters, ffi, lib, load
from ..proof import shape_of
from ..security import Parameters, Shape, TableShape, candidates, predicted_time, proof_size, security_report
from .base import Control, Prefer

__all__ = [
    "Layout",
    "PreparedAggregate",
    "aggregate_layout",
    "check_aggregatable",
    "prepare_aggregate",
    "verify_aggregate",
]

BYTES_OF_A_GROUP = 100
"""What the claims about a program and its parameters take, about."""
BYTES = 0.99 * 2**16
"""With prefer="time", an aggregate is the fastest one of so many expected bytes at most (hardly any choice of queries
makes that more than 64 KiB), .."""
BYTES_OF_A_STATEMENT = 128
""".. or so many for each statement, .."""
TIMES_THE_LEAST = 1.5
""".. or so many times the least that there is, whichever is most. Without the last two a few thousand statements, or
wide tables, would be proved at a blowup of 64, at ten times the cost."""
SLACK = 1.1
"""With prefer="size", it is the fastest one within this factor of the smallest."""


@attrs.frozen(eq=False)
class Layout:
    """How so many statements of such shapes are proved together."""

    stacks: tuple[Stack, ...]
    parameters: Parameters
    shape: Shape
    time: float
    """As `predicted_time`."""

    @property
    def instructions(self) -> tuple[int, ...]:
        """Of each table's constraints."""
        return tuple([one.air.cost * copies(one.count, one.log_slots) for one in self.stacks])


def check_aggregatable(program: Program) -> None:
    """Raises ProgramError if statements of this program cannot be part of an aggregate."""
    reason = refusal(program.compiled())
    if reason is not None:
        raise ProgramError(f"{program.id} has {reason}; an aggregate is of programs with one table and no buses")


@functools.lru_cache(maxsize=256)
def aggregate_layout(members: tuple[tuple[CompiledAir, int], ...], security: int, prefer: Prefer, zk: bool) -> Layout:
    """The layout that proves them best: all tables about as high, as high as is best. Cached.

    Args:
        members: Different AIRs, and how many statements each has.
        security: Proven bits.
        prefer: See `BYTES` and `SLACK`.
        zk: Whether the proof hides private inputs.

    Raises:
        SecurityError: None reaches `security` bits.
        ProgramError: So many statements are larger than the protocol allows.
    """
    claimed = sum(BYTES_OF_A_GROUP + (4 * public_count(air) + (len(members) > 1)) * count for air, count in members)
    found = [
        (predicted_time(shape, parameters), claimed + proof_size(shape, parameters), stacks, shape, parameters)
        for stacks, shape in _layouts(members)
        for parameters in candidates(shape, security, prefer, zk)
    ]
    if not found:
        stacks, shape = next(_layouts(members))
        raise SecurityError(f"no aggregate of these statements has {security} proven bits", reachable=0.0)
    least = min(size for _, size, *_ in found)
    count = sum(count for _, count in members)
    usual = max(BYTES, BYTES_OF_A_STATEMENT * count, TIMES_THE_LEAST * least)
    most = {"time": usual, "size": SLACK * least, "fastest": math.inf}[prefer]
    time, _, stacks, shape, parameters = min((one for one in found if one[1] <= most), key=lambda one: (one[0], one[1]))
    return Layout(stacks, parameters, shape, time)


def _layouts(members: tuple[tuple[CompiledAir, int], ...]) -> Iterator[tuple[tuple[Stack, ...], Shape]]:
    lowest = min(air.tables[0].log_height for air, _ in members)
    highest = max(air.tables[0].log_height + most_runs(air, count) for air, count in members)
    any_fits = False
    for log_height in range(lowest, highest + 1):
        stacks = tuple(
            [
                Stack(air, count, min(max(log_height - air.tables[0].log_height, 0), most_runs(air, count)))
                for air, count in members
            ]
        )
        if fits(stacks):
            any_fits = True
            yield stacks, Shape(tuple([_table_shape(one) for one in stacks]))
    if not any_fits:
        total = sum(count for _, count in members)
        raise ProgramError(f"{total} statements of these programs are more than an aggregate can have")


def _table_shape(one: Stack) -> TableShape:
    member = shape_of(one.air).tables[0]
    width = copies(one.count, one.log_slots)
    return attrs.evolve(
        member,
        log_height=member.log_height + one.log_slots,
        log_slots=one.log_slots,
        columns=member.columns * width,
        constraints=member.constraints * width,
        openings=member.openings * width,
    )


@functools.lru_cache(maxsize=256)
def _job(air: CompiledAir, parameters: Parameters) -> tuple[Any, int]:
    """An `aprover_job` with these filled in, and the bound of the proof's length."""
    loaded, in_c = load(air), c_parameters(parameters)
    job = ffi.new("aprover_job *")
    job.air, job.parameters = loaded.pointer, in_c[0]
    return job, int(lib.aprover_proof_bound(loaded.pointer, in_c))


@attrs.frozen(eq=False)
class PreparedAggregate:
    """Statements that are ready to be proved together."""

    layout: Layout
    _groups: Sequence[Group]
    _order: Sequence[int]

    def prove(self, control: Control) -> AggregateProof:
        """One proof of all. Traces that C makes are made in the one C call; others one after the other before it.

        Blocks for as long as that takes, the GIL released while C works.

        Raises:
            ProgramError: An output is wrong, or what a program's own code raised.
            ProveError: Proving failed, of one of the statements.
            ProvingCancelled: `control` was cancelled.
        """
        return _prove(self._groups, self._order, self.layout, control)


def prepare_aggregate(
    programs: Sequence[Program], *, security: int, prefer: Prefer, zk: bool = False
) -> PreparedAggregate:
    """Groups the programs and chooses how their statements stand together. Half a microsecond a program, if the layout
    for so many of such programs is known, and tens of milliseconds if it is not.

    Args:
        programs: At least one.
        security: Proven bits of each statement.
        prefer: Whether the proof is to be quick to make, or small.
        zk: Hide the private inputs.

    Raises:
        ProgramError: A program cannot be aggregated, there are too many, or none.
        SecurityError: `security` bits cannot be reached.
    """
    if not 1 <= len(programs) <= MAX_STATEMENTS:
        raise ProgramError(field="programs", value=len(programs), allowed=f"1 to {MAX_STATEMENTS} of them")
    groups, order = group(programs)
    if len(groups) > MAX_GROUPS:
        raise ProgramError(
            f"{len(groups)} different programs or parameters; an aggregate is of at most {MAX_GROUPS}, with any inputs"
        )
    for one in groups:
        check_aggregatable(one.members[0])
    chosen = aggregate_layout(tuple([(one.air, len(one.members)) for one in groups]), security, prefer, zk)
    return PreparedAggregate(chosen, groups, order)


def _prove(groups: Sequence[Group], order: Sequence[int], chosen: Layout, control: Control) -> AggregateProof:
    control.check()
    air = stack(chosen.stacks)
    natives = [native_arguments(one) for one in groups]
    publics = np.concatenate(
        [publics_of(one, native is not None).ravel() for one, native in zip(groups, natives, strict=True)]
    )
    claims = encode_claims([_claim(one, at) for one, at in zip(groups, chosen.stacks, strict=True)], order)
    template, bound = _job(air, chosen.parameters)
    memory = prover.memory(air, chosen.parameters, control.memory_limit)
    try:
        proof = np.empty(bound, dtype=np.uint8)
        begin, size = arena(memory, control.memory_limit)
    except MemoryError as cause:
        raise ProveError("not enough memory for the proof") from cause
    job = ffi.new("aprover_job *", template[0])
    held: list[object] = []
    job.publics = job.found = values = ffi.from_buffer("uint32_t[]", publics)
    job.statement, job.statement_length = statement, _ = ffi.from_buffer("uint8_t[]", claims), len(claims)
    job.proof, job.proof_capacity = output, _ = ffi.from_buffer("uint8_t[]", proof), bound
    job.arena, job.arena_bytes = begin, size if control.memory_limit is None else memory
    job.cancel = cancel = ffi.from_buffer("int32_t[]", control.cancel_flag)
    job.progress = progress = ffi.from_buffer("uint32_t[]", control.progress_value)
    held += [values, statement, output, cancel, progress]
    if chosen.parameters.zk:
        job.entropy = masks = ffi.new("uint8_t[]", secrets.token_bytes(prover.ENTROPY_BYTES))
        held.append(masks)
    runs: list[tuple[Any, ...]] = []
    for one, at, native in zip(groups, chosen.stacks, natives, strict=True):
        if native is None:
            _write_traces(one, at, job, control)
        else:
            runs += _runs(one, at, *native, held)
    if runs:
        job.members, job.members_count = members, _ = ffi.new("aprover_members[]", runs), len(runs)
        held.append(members)
    control.phase = "prove"
    error = ffi.new("aprover_error *")
    status = lib.aprover_prove(job, error)
    if status == lib.APROVER_CANCELLED:
        control.check()
    if status != lib.APROVER_OK:
        raise prover.failure(status, air, error)
    return AggregateProof(claims, publics.tobytes(), proof[: job.proof_length].tobytes(), chosen.shape)


def _claim(one: Group, at: Stack) -> ClaimGroup:
    return ClaimGroup(
        program=one.program.id,
        parameters=one.parameters,
        inputs=tuple([length for _, length in one.air.inputs]),
        outputs=one.air.outputs,
        count=len(one.members),
        log_slots=at.log_slots,
    )


def _runs(
    one: Group, at: Stack, generator: int, arguments: list[tuple[int, ...]], held: list[object]
) -> Iterator[tuple[Any, ...]]:
    """The `aprover_members` of a group: one for each stretch of arguments that are equally many.

    Slots that are left over repeat the last statement; no boundary binds them.
    """
    slots = copies(at.count, at.log_slots) << at.log_slots
    arguments = arguments + arguments[-1:] * (slots - at.count)
    columns, first = one.air.tables[0].columns, 0
    for size, equally_long in itertools.groupby(arguments, len):
        some = list(equally_long)
        words = np.fromiter(itertools.chain.from_iterable(some), dtype=np.uint32, count=size * len(some))
        in_c = ffi.from_buffer("uint32_t[]", words)
        held += [words, in_c]
        yield one.number, generator, columns, first, len(some), size, in_c
        first += len(some)


def _write_traces(one: Group, at: Stack, job: Any, control: Control) -> None:
    """The traces of a group that Python makes, each written into its slot."""
    table = one.air.tables[0]
    runs, width = 1 << at.log_slots, copies(at.count, at.log_slots)
    height = table.height * runs
    into = lib.aprover_prove_trace(job, one.number)
    flat = np.frombuffer(ffi.buffer(into, 4 * table.columns * width * height), dtype=np.uint32)
    slots = flat.reshape(width, table.columns, runs, table.height)
    control.phase = "trace"
    own: NDArray[np.uint32] = np.zeros((table.columns, table.height), dtype=np.uint32)
    for i in range(width * runs):
        if i < at.count:
            control.check()
            own[:] = 0
            prover.write_trace(one.members[i], one.air, [own], control)
        slots[i >> at.log_slots, :, i % runs] = own


def verify_aggregate(proof: AggregateProof, *, program: Programs, min_security: int) -> None:
    """Checks an aggregate against its own claims. Takes milliseconds.

    Raises:
        VerificationError: With the code of the check that failed.
    """
    air = proof.air(program)
    parameters = prover.verify(air, proof.public_values, proof.claims, proof.body)
    reached = security_report(shape_of(air), parameters).proven_bits
    if reached < min_security:
        raise SecurityError(f"{reached:.1f} proven bits, fewer than {min_security}", reachable=reached)
