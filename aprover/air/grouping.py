"""Programs that share their constraints, found quickly among many."""

from __future__ import annotations

import functools
import itertools
import operator
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, cast

import attrs
import numpy as np
from numpy.typing import NDArray

from ..statement import Value
from .compiled import CompiledAir
from .program import Program, exact_form, names_of
from .stacking import outputs_in_cells

__all__ = ["FROM_TRACE", "Group", "exact_inputs", "group", "native_arguments", "publics_of"]

FROM_TRACE = 2**32 - 1
"""Stands for a public value that the C core takes from the trace."""


@attrs.define(eq=False)
class Group:
    """Programs of one class with the same parameters, in order."""

    number: int
    program: type[Program]
    air: CompiledAir
    members: list[Program] = attrs.field(factory=list)

    @property
    def parameters(self) -> tuple[tuple[str, Value], ...]:
        """As in the members' statements."""
        return tuple([(name, getattr(self.members[0], name)) for name in names_of(self.program).parameters])


_ONLY_INTS = {int}


class _Kind(NamedTuple):
    parameters: Callable[[Program], object]
    public_inputs: Callable[[Program], tuple[Any, ...]]
    makes_outputs: bool
    """Whether the generator in C belongs to the same class as `public_outputs`, so that both say the same."""


@functools.lru_cache(maxsize=512)
def _kind(program: Any) -> _Kind:
    names, inputs = names_of(program).parameters, names_of(program).inputs
    generator = next(cls for cls in program.__mro__ if "native_trace" in cls.__dict__)
    outputs = next(cls for cls in program.__mro__ if "public_outputs" in cls.__dict__)
    return _Kind(
        operator.attrgetter(*names) if names else _nothing,
        _as_tuple(inputs),
        generator is outputs,
    )


def _nothing(_: object) -> None:
    return None


def _as_tuple(names: tuple[str, ...]) -> Callable[[Program], tuple[Any, ...]]:
    if len(names) > 1:
        return cast("Callable[[Program], tuple[Any, ...]]", operator.attrgetter(*names))
    return lambda program: tuple([getattr(program, name) for name in names])


def group(programs: Iterable[Program]) -> tuple[list[Group], list[int]]:
    """The groups in the order of their first members, and for each program the number of its group.

    Takes half a microsecond a program.

    Raises:
        ProgramError: An AIR is wrong.
    """
    groups: dict[object, Group] = {}
    order: list[int] = []
    kinds: dict[type, _Kind] = {}
    for program in programs:
        cls = type(program)
        kind = kinds.get(cls)
        if kind is None:
            kind = kinds[cls] = _kind(cast(Any, cls))
        value = kind.parameters(program)
        key = (cls, value if type(value) is int else exact_form(value))
        found = groups.get(key)
        if found is None:
            found = groups[key] = Group(len(groups), cls, program.compiled())
        found.members.append(program)
        order.append(found.number)
    return list(groups.values()), order


def exact_inputs(programs: Iterable[Program]) -> list[object]:
    """Of each program its class and all its fields, such that only the same ones are equal. Runs no code of a user.

    Many programs of one class whose fields are ints take less than others: a third of a microsecond each.
    """
    programs = tuple(programs)
    classes = set(map(type, programs))
    if len(classes) == 1:
        (cls,) = classes
        values = list(map(_as_tuple(names_of(cls).all), programs))
        if set(map(type, itertools.chain.from_iterable(values))) == _ONLY_INTS:
            return [cls, *values]
    found: list[object] = []
    readers: dict[type, Callable[[Program], tuple[Any, ...]]] = {}
    for program in programs:
        cls = type(program)
        reader = readers.get(cls)
        if reader is None:
            reader = readers[cls] = _as_tuple(names_of(cls).all)
        found.append((cls, exact_form(reader(program))))
    return found


def native_arguments(one: Group) -> tuple[int, list[tuple[int, ...]]] | None:
    """The trace generator in C of all members, and each one's arguments; None if there is none."""
    if not one.air.filling.is_empty:
        return None
    found = [member.native_trace() for member in one.members]
    if found[0] is None or None in found:
        return None
    native = cast("list[tuple[int, tuple[int, ...]]]", found)
    generator = native[0][0]
    if any(number != generator for number, _ in native):
        return None
    return generator, [arguments for _, arguments in native]


def publics_of(one: Group, outputs_from_trace: bool) -> NDArray[np.uint32]:
    """The public values of each member, a row each.

    Args:
        one: The members.
        outputs_from_trace: Whether the C core makes the traces. Outputs that have a cell in the trace are then
            `FROM_TRACE`, which spares the members' `public_outputs`.

    Raises:
        ProgramError: An output is wrong.
        VerificationError: Code ``STATEMENT``: an input does not fit the AIR.
    """
    kind = _kind(cast(Any, one.program))
    air = one.air
    if not outputs_from_trace or not kind.makes_outputs or not outputs_in_cells(air):
        rows = [air.publics(member.statement()) for member in one.members]
        return np.array(rows, dtype=np.uint32).reshape(len(rows), -1)
    count, width = len(one.members), len(air.public_spec) - air.outputs
    inputs: Iterable[Iterable[Any]] = map(kind.public_inputs, one.members)
    if any(length is not None for _, length in air.inputs):
        inputs = map(air.input_values, cast("Iterable[tuple[Any, ...]]", inputs))
    flat = itertools.chain.from_iterable(inputs)
    values = np.full((count, width + air.outputs), FROM_TRACE, dtype=np.uint32)
    values[:, :width] = np.fromiter(flat, dtype=np.uint32, count=count * width).reshape(count, width)
    return values
