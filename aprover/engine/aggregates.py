"""What the engine is asked for when many statements are to share one proof."""

from __future__ import annotations

from collections.abc import Iterable

from ..aggregate import AggregateProof
from ..air import Program
from ..air.check import check as check_trace
from ..air.grouping import exact_inputs
from ..backends import Control, Prefer, PreparedAggregate, check_memory_limit, prepare_aggregate
from ..errors import AproverError, ProgramError
from ..proof import BackendName
from .cost import Work, commitment_work
from .request import Request, VerifyRequest, as_prove_error, check_program, check_settings

__all__ = ["AggregateRequest", "AnyRequest", "check_aggregate"]


def check_aggregate(aggregate: bool, backend: BackendName, return_exceptions: bool) -> None:
    """Raises ProgramError if `aggregate` is no bool, or for a setting that an aggregate does not have."""
    if not isinstance(aggregate, bool):
        raise ProgramError(field="aggregate", value=aggregate, allowed="True or False")
    if not aggregate:
        return
    if backend != "stark":
        raise ProgramError(field="backend", value=backend, allowed="'stark', with aggregate=True")
    if return_exceptions is not False:
        allowed = "False, with aggregate=True: there is one proof, or one failure"
        raise ProgramError(field="return_exceptions", value=return_exceptions, allowed=allowed)


class _Key:
    """The programs in order with all their inputs, and the settings. Comparing and hashing run no code of a user."""

    __slots__ = ("_hash", "_parts")

    def __init__(self, programs: tuple[Program, ...], *settings: object) -> None:
        self._parts = (settings, *exact_inputs(programs))
        self._hash = hash(self._parts)

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return type(other) is _Key and self._parts == other._parts


class AggregateRequest:
    """Programs whose statements are to share one proof.

    Raises:
        ProgramError: When it is built: one of them is no program, or a setting is wrong.
    """

    __slots__ = ("_check", "_prefer", "_prepared", "_programs", "_security", "_zk", "key", "memory_limit")

    proves = True
    batched = False
    label = "aggregate"

    def __init__(
        self,
        programs: Iterable[Program],
        security: int,
        prefer: Prefer,
        check: bool,
        zk: bool,
        memory_limit: int | None = None,
    ) -> None:
        check_memory_limit(memory_limit)
        self.memory_limit = memory_limit
        check_settings(security=security, backend="stark", prefer=prefer, check=check, zk=zk)
        self._programs = tuple(programs)
        for program in self._programs:
            if not isinstance(program, Program):
                check_program(program)
        self._security = security
        self._prefer: Prefer = prefer
        self._check = check
        self._zk = zk
        self._prepared: PreparedAggregate | None = None
        self.key = _Key(self._programs, security, prefer, check, zk)

    @property
    def key_bytes(self) -> int:
        """What keeping the key takes, about; large private inputs are not looked at."""
        return 200 + 200 * len(self._programs)

    def known_work(self) -> None:
        """Nothing: a worker prepares it, which may run a user's air()."""
        return

    def work(self) -> Work:
        """What the cost model has to know.

        Raises:
            ProgramError, SecurityError, ProveError: As `prepare_aggregate`, or a user's code raised.
        """
        shape = self._prepare().layout.shape
        cells = sum(table.columns << table.log_height for table in shape.tables)
        return commitment_work(1, cells, trace=self.label)

    def _prepare(self) -> PreparedAggregate:
        if self._prepared is None:
            try:
                self._prepared = prepare_aggregate(
                    self._programs, security=self._security, prefer=self._prefer, zk=self._zk
                )
            except AproverError:
                raise
            except Exception as error:
                raise self.failure(error) from error
        return self._prepared

    def make(self, control: Control) -> AggregateProof:
        """The proof."""
        prepared = self._prepare()
        control.check()
        if self._check:
            control.phase = "trace"
            for program in self._programs:
                check_trace(program)
                control.check()
        return prepared.prove(control)

    def failure(self, error: BaseException) -> BaseException:
        """What the waiters are told of `error`."""
        return as_prove_error(self._programs[0], error)


AnyRequest = Request | VerifyRequest | AggregateRequest
