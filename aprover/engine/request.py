"""What the engine is asked for: one proof, or one verification. Checked at the door; the work is in `making`."""

from __future__ import annotations

import functools
import math
import os
import sys
import threading
from typing import Any

from .. import prover
from ..aggregate import AggregateProof
from ..air import CompiledAir, Program, names_of
from ..air.check import check as check_trace
from ..backends import (
    Control,
    Plan,
    Prefer,
    Prepared,
    backend_named,
    check_memory_limit,
    check_prefer,
    check_security,
    keep_commitment,
    plan_for,
    prepare_proof,
)
from ..errors import AproverError, ProgramError, ProveError
from ..proof import BackendName, Proof, shape_of
from ..security import Parameters
from ..statement import Statement
from ..verifier import verify
from .cost import Work, commitment_work, work_of

__all__ = [
    "OwnPrograms",
    "Request",
    "VerifyRequest",
    "as_prove_error",
    "check_options",
    "check_program",
    "check_settings",
]


OwnPrograms = type[Program] | Program | tuple[type[Program], ...] | None
"""The `program` of a verification."""


def check_settings(
    *, security: object, backend: str, prefer: object, check: object = False, zk: object = False
) -> None:
    """Raises ProgramError for a setting that is not what it may be."""
    check_security(security)
    if type(check) is not bool:
        raise ProgramError(field="check", value=check, allowed="True or False")
    backend_named(backend)
    check_prefer(prefer)
    if type(zk) is not bool or (zk and backend != "stark"):
        raise ProgramError(field="zk", value=zk, allowed="True or False, and False with the trace backend")


def check_options(priority: object, deadline: object, cache: object) -> None:
    """Raises ProgramError for an option that is not what it may be."""
    if type(priority) is not int:
        raise ProgramError(field="priority", value=priority, allowed="an int; larger goes first")
    if deadline is not None and (not isinstance(deadline, float | int) or math.isnan(deadline)):
        raise ProgramError(field="deadline", value=deadline, allowed="None, or seconds on the loop's own clock")
    if type(cache) is not bool:
        raise ProgramError(field="cache", value=cache, allowed="True or False")


def check_program(program: object) -> None:
    """Raises ProgramError if this is no program."""
    if not isinstance(program, Program):
        raise ProgramError(field="program", value=program, allowed="an instance of a Program")


def as_prove_error(program: Program, error: BaseException) -> ProveError:
    """What a waiter is told when a user's air(), trace() or public_outputs(), or a lack of memory, raised `error`."""
    wrapped = ProveError(f"proving {type(program).__qualname__} raised {type(error).__name__}")
    wrapped.__cause__ = error
    return wrapped


Settings = tuple[int, BackendName, Prefer, bool, bool]
"""security, backend, prefer, check, zk"""
USUAL: Settings = (100, "stark", "time", False, False)

_Shape = tuple[type[Program], object, Settings]
"""What the constraints and the parameters of a proof depend on."""


class Key(tuple[int, type[Program], tuple[object, ...], Settings]):
    """Every input of a proof, behind its hash. Comparing and hashing run no code of a user, and mostly see hashes."""

    __slots__ = ()

    def __hash__(self) -> int:
        return self[0]


def _size_of(items: tuple[Any, ...]) -> int:
    size = 0
    for item in items:
        kind = type(item)
        if kind is int:  # within a word of sys.getsizeof(), which takes longer
            size += 28 + item.bit_length() // 8
        elif kind is bytes:
            size += 33 + len(item)
        elif kind is tuple:
            size += 40 + 8 * len(item) + _size_of(item)
        elif not isinstance(item, type):  # a class is there anyway
            size += sys.getsizeof(item)
    return size


# What is known of shapes. A program's own air() may take any time, and the choice of parameters takes milliseconds; so
# a loop only looks up, and what is not here yet is worked out by `Request.work` on a worker.

_Known = tuple[Work, Plan | None]
"""What it takes, and how to prepare it if it is `batched`."""
SHAPES_KEPT = 256
"""Fewer than compiled AIRs are kept, so that the AIR of a known shape is still there."""
_shapes: dict[_Shape, _Known] = {}
_shapes_lock = threading.Lock()


def _keep_shape(shape: _Shape, known: _Known) -> None:
    with _shapes_lock:
        while len(_shapes) >= SHAPES_KEPT and shape not in _shapes:
            del _shapes[next(iter(_shapes))]
        _shapes[shape] = known


def _forget_lock() -> None:
    global _shapes_lock
    _shapes_lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_lock)


@functools.lru_cache(maxsize=512)
def _stark_work(air: CompiledAir, parameters: Parameters, trace: str | None) -> Work:
    instructions = tuple(table.cost for table in air.tables)
    memory = prover.memory(air, parameters)
    return work_of(
        shape_of(air),
        parameters,
        instructions=instructions,
        filled=air.filling.steps,
        memory=memory,
        trace=trace,
    )


class Request:
    """A program and how it is to be proved.

    Raises:
        ProgramError: When it is built, for a wrong argument.
    """

    __slots__ = ("_plan", "batched", "key", "memory_limit", "program", "settings")

    proves = True

    def __init__(
        self,
        program: Program,
        security: int,
        backend: BackendName,
        prefer: Prefer,
        check: bool,
        zk: bool = False,
        memory_limit: int | None = None,
    ) -> None:
        if not isinstance(program, Program):
            check_program(program)
        # The usual settings need no further look, and a hit in the cache is to take a microsecond or two.
        usual = type(security) is int and security == 100 and backend == "stark" and prefer == "time"
        if usual and check is False and zk is False:
            settings = USUAL
        else:
            check_settings(security=security, backend=backend, prefer=prefer, check=check, zk=zk)
            settings = (security, backend, prefer, check, zk)
        if memory_limit is not None:
            check_memory_limit(memory_limit)
        self.memory_limit = memory_limit
        """Bytes. Not in the key: the proof is the same, and whoever finds it made need not care how."""
        self.program = program
        self.settings = settings
        # Not the program itself, and not by its own methods, which a user may have overridden.
        cls, values = type(program), Program._key(program)
        hashed = hash((cls, values)) if settings is USUAL else hash((cls, values, settings))
        self.key = Key((hashed, cls, values, settings))
        self.batched = settings[1] == "stark" and not settings[3]
        """Whether it is prepared first and then proved, perhaps together with others, in one C call."""
        self._plan: Plan | None = None

    @property
    def key_bytes(self) -> int:
        """What keeping the key takes, about. The settings' names are there anyway."""
        return 200 + _size_of(self.key[2])

    @property
    def label(self) -> str:
        """For messages and logs: the program's id, and nothing of its inputs."""
        return self.program.id

    @property
    def _shape(self) -> _Shape:
        _, program, values, settings = self.key
        return program, names_of(program).pick(values), settings

    def known_work(self) -> Work | None:
        """What the cost model has to know, if `work` was called for this shape before; takes a microsecond."""
        known = _shapes.get(self._shape)
        if known is None:
            return None
        work, self._plan = known
        return work

    def work(self) -> Work:
        """What the cost model has to know. Builds the AIR if it is not cached, which may run a user's air().

        Raises:
            SecurityError: The program's shape cannot reach the bits.
            ProgramError, ProveError: The AIR is wrong, or a user's air() raised.
        """
        known = work, self._plan = self._find_out()
        _keep_shape(self._shape, known)
        return work

    def _find_out(self) -> _Known:
        program = self.program
        security, backend, prefer, check, zk = self.settings
        try:
            plan = None
            air = program.compiled(zk=zk)
            if backend == "stark":
                plan = plan_for(program, security=security, prefer=prefer, zk=zk)
            if plan is not None and self.batched:
                # Which takes as long as a proof, once: now, and not later on a loop.
                keep_commitment(air, plan.parameters)
                trace = None if air.filling.is_empty and program.native_trace() is not None else program.id
                return _stark_work(air, plan.parameters, trace), plan
        except AproverError:
            raise
        except Exception as error:
            raise as_prove_error(program, error) from error
        # Its whole time is learned under this name.
        name = f"{'check' if check else backend}:{program.id}"
        return commitment_work(air.height, air.columns, trace=name), None

    def prepare(self, control: Control, traced: Any = None) -> Prepared:
        """Everything but the work, for a `batched` request. `traced` is called with the seconds that trace() took."""
        control.check()
        if self._plan is None and self.known_work() is None:
            self.work()
        assert self._plan is not None
        return prepare_proof(self._plan, self.program, control=control, traced=traced)

    def make(self, control: Control) -> Proof:
        """The proof of a request that is not `batched`."""
        control.check()
        security, backend, prefer, check, zk = self.settings
        if check:
            control.phase = "trace"
            check_trace(self.program)
            control.check()
        return backend_named(backend).prove(self.program, security=security, prefer=prefer, zk=zk, control=control)

    def failure(self, error: BaseException) -> BaseException:
        """What the waiters are told of `error`."""
        return as_prove_error(self.program, error)


_VERIFY_WORK = commitment_work(1, 1, trace="verify")


class VerifyRequest:
    """One proof that is to be verified. It goes the way of a proof, but is never joined and never cached."""

    __slots__ = ("_key", "_min_security", "_program", "_proof")

    proves = False
    batched = False
    key_bytes = 0
    memory_limit = None
    label = "verify"

    def __init__(self, proof: Proof | AggregateProof | bytes, min_security: int, program: OwnPrograms) -> None:
        self._proof = proof
        self._min_security = min_security
        self._program = program
        self._key = object()

    @property
    def key(self) -> object:
        """Its own."""
        return self._key

    def known_work(self) -> Work:
        """A user's trace() may run, if it is a ``trace`` commitment: so never on a loop."""
        return _VERIFY_WORK

    work = known_work

    def make(self, control: Control) -> Statement | tuple[Statement, ...]:
        """Verifies."""
        control.check()
        return verify(self._proof, min_security=self._min_security, program=self._program)

    def failure(self, error: BaseException) -> BaseException:
        """A rejection is an AproverError, and anything else is as it is."""
        return error
