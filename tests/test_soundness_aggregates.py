"""A prover that lies about one of many statements, and then runs Fiat-Shamir honestly, is rejected by both verifiers.

The statements are stacked in runs of rows and stand side by side; each lie is told at several such layouts.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from aprover import Fibonacci
from aprover.air import Program
from aprover.air.grouping import group, publics_of
from aprover.air.stacking import Stack, copies, stack
from aprover.reference.aggregate import stacked
from tests.programs_for_tests import Tribonacci
from tests.support import lies
from tests.support.lies import FixedOpening
from tests.support.toy_air import decode
from tests.support.toy_field import Array, P
from tests.support.toy_layout import Parameters
from tests.support.toy_lie import Both, Lie
from tests.support.toy_programs import Instance
from tests.support.toy_prover import Run, prove
from tests.support.verifiers import VERIFIERS, NativeError, load, native_prove

PARAMETERS = Parameters(3, 8, 2, 1)
ROWS = 8
"""Of a statement."""
COUNT = 7
"""Statements: one fewer than there is room for in several runs."""
CLAIMS = b"claims"


def members() -> list[Program]:
    return [Fibonacci(ROWS, 5 * i, i + 1) for i in range(COUNT)]


@dataclasses.dataclass(frozen=True)
class Scene:
    """Statements in one table at 2**log_slots runs."""

    log_slots: int

    @property
    def runs(self) -> int:
        return 1 << self.log_slots

    @property
    def copies(self) -> int:
        return copies(COUNT, self.log_slots)

    def place(self, statement: int) -> tuple[int, int]:
        """The first row and the first column of a statement (or of a slot that has none)."""
        return statement % self.runs * ROWS, statement // self.runs * 2

    @property
    def instance(self) -> Instance:
        return _instance(self.log_slots)


@functools.lru_cache(maxsize=8)
def _instance(log_slots: int) -> Instance:
    (found,), _ = group(members())
    scene = Scene(log_slots)
    trace = np.zeros((ROWS * scene.runs, 2 * scene.copies), dtype=np.uint64)
    for slot in range(scene.runs * scene.copies):
        row, column = scene.place(slot)
        own = np.zeros((ROWS, 2), dtype=np.uint32)
        found.members[min(slot, COUNT - 1)].trace(own)
        trace[row : row + ROWS, column : column + 2] = own
    air = stack((Stack(found.air, COUNT, log_slots),)).data
    return Instance(air, publics_of(found, False).ravel().tolist(), CLAIMS, (trace,))


def verdict(instance: Instance, lie: Lie | None = None) -> str | None:
    """What all verifiers say of a proof with a lie; they have to agree."""
    claim = instance.air, instance.publics, instance.statement
    proof = prove(*claim, PARAMETERS.to_bytes(), instance.traces, lie or Lie())
    codes = {name: verify(*claim, proof) for name, verify in VERIFIERS.items()}
    assert len(set(codes.values())) == 1, codes
    return codes["reference"]


@dataclasses.dataclass(frozen=True)
class OtherRows(Lie):
    """Other values from a row of a column on, in one run of rows."""

    row: int
    column: int
    values: Sequence[int]

    def trace(self, run: Run, table: int, trace: Array) -> Array:  # noqa: ARG002
        altered = trace.copy()
        altered[self.row : self.row + len(self.values), self.column] = self.values
        return altered


def false_output(scene: Scene, statement: int, by: int = 1) -> Instance:
    """The output of one statement is claimed to be another."""
    publics = list(scene.instance.publics)
    publics[3 * statement + 2] = (publics[3 * statement + 2] + by) % P
    return scene.instance.replace(publics=publics)


def swapped(scene: Scene, a: int, b: int) -> Instance:
    """The public values of two statements are claimed in each other's place."""
    rows = [list(scene.instance.publics[3 * i : 3 * i + 3]) for i in range(COUNT)]
    rows[a], rows[b] = rows[b], rows[a]
    return scene.instance.replace(publics=list(itertools.chain(*rows)))


def told(scene: Scene) -> Iterator[tuple[str, Instance, Lie]]:
    """Everything that is told at a scene."""
    true = scene.instance
    yield "two statements are swapped", swapped(scene, 1, 2), Lie()
    yield "the first and the last statement are swapped", swapped(scene, 0, COUNT - 1), Lie()
    for statement in (0, 3, COUNT - 1):
        yield f"the output of statement {statement} is false", false_output(scene, statement), Lie()
        row, column = scene.place(statement)
        for offset, what in ((0, "first"), (1, "second"), (ROWS - 2, "last but one"), (ROWS - 1, "last")):
            yield f"the {what} row of statement {statement} is false", true, lies.AlteredCell(row + offset, column)
        # What follows a false step is right again, and the outputs are claimed to be what the trace says.
        own = [int(value) for value in true.trace[row : row + ROWS, column]]
        own[-1] = (own[-1] + 1) % P
        yield f"a run is false in its last row {statement}", true, OtherRows(row, column, own)
    publics = list(true.publics)
    publics[3:6] = publics[0:3]
    yield "the boundary of one statement is used for another", true.replace(publics=publics), Lie()
    both = false_output(scene, 1)
    opposite = list(both.publics)
    opposite[3 * 2 + 2] = (opposite[3 * 2 + 2] - 1) % P
    yield "two outputs are false by opposite amounts", both.replace(publics=opposite), Lie()
    far = list(both.publics)
    far[3 * (COUNT - 1) + 2] = (far[3 * (COUNT - 1) + 2] - 1) % P
    yield "two distant outputs are false by opposite amounts", both.replace(publics=far), Lie()
    empty = scene.runs * scene.copies - COUNT
    if empty:
        row, column = scene.place(COUNT)
        yield "a transition is false where no statement is", true, lies.AlteredCell(row + 3, column)


SCENES = [Scene(log_slots) for log_slots in (0, 1, 2, 3)]


class TestLies:
    @pytest.mark.parametrize("scene", SCENES, ids=lambda scene: f"{scene.copies} copies of {scene.runs} runs")
    def test_the_honest_proof_is_accepted_and_is_the_provers(self, scene: Scene) -> None:
        """By both verifiers; and the C prover makes the same bytes."""
        instance = scene.instance
        assert verdict(instance) is None
        claim = instance.air, instance.publics, instance.statement
        honest = prove(*claim, PARAMETERS.to_bytes(), instance.traces)
        assert native_prove(instance, PARAMETERS.to_bytes()) == honest

    @pytest.mark.parametrize("scene", SCENES, ids=lambda scene: f"{scene.copies} copies of {scene.runs} runs")
    def test_every_lie_about_a_statement_meets_the_quotient(self, scene: Scene) -> None:
        """And if the quotient's opening is made to fit, the low-degree test."""
        for name, instance, lie in told(scene):
            assert verdict(instance, lie) == "QUOTIENT", name
            assert verdict(instance, Both(lie, FixedOpening(0))) in ("FRI_FINAL", "FRI_FOLD", "DEEP"), name

    @pytest.mark.parametrize("scene", SCENES[1:], ids=lambda scene: f"{scene.copies} copies of {scene.runs} runs")
    def test_a_run_begins_where_it_wants(self, scene: Scene) -> None:
        """No constraint ties the last row of a run to the first one of the next, nor the last run to the first."""
        instance = scene.instance
        trace = instance.trace
        ends = [ROWS * (j + 1) - 1 for j in range(scene.runs)]
        assert any(trace[end, 1] != trace[(end + 1) % len(trace), 0] for end in ends)
        assert verdict(instance) is None

    def test_the_weights_of_the_copies_are_different(self) -> None:
        """A prover that takes those of the first copy for all is rejected."""

        class FirstCopy(Lie):
            def weights(self, run: Run, table: int, weights: Array) -> Array:  # noqa: ARG002
                altered = weights.copy()
                altered[2:4] = weights[0:2]
                return altered

        assert verdict(Scene(1).instance, FirstCopy()) == "QUOTIENT"


class TestGroups:
    def test_no_lie_passes_from_group_to_group(self) -> None:
        """Two heights: one output is false, two are by opposite amounts, or each stands in the other's place."""
        groups, _ = group([Fibonacci(8, i) for i in range(3)] + [Fibonacci(30, i) for i in range(2)])
        stacks = tuple(Stack(one.air, len(one.members), 0) for one in groups)
        publics = [value for one in groups for value in publics_of(one, False).ravel().tolist()]
        traces = []
        for one in groups:
            height = one.air.tables[0].height
            own = np.zeros((len(one.members), height, 2), dtype=np.uint32)
            for member, trace in zip(one.members, own, strict=True):
                member.trace(trace)
            traces.append(np.concatenate(list(own), axis=1).astype(np.uint64))
        true = Instance(stack(stacks).data, publics, CLAIMS, tuple(traces))
        assert verdict(true) is None
        for changes in ({2: 1}, {11: 1}, {2: 1, 11: -1}, {2: 1, 5: -1}, {11: 1, 14: -1}):
            altered = list(publics)
            for place, by in changes.items():
                altered[place] = (altered[place] + by) % P
            assert verdict(true.replace(publics=altered)) == "QUOTIENT", changes
        swapped_groups = publics[9:12] + publics[3:9] + publics[0:3] + publics[12:]
        assert verdict(true.replace(publics=swapped_groups)) == "QUOTIENT"


class TestCounts:
    def test_a_proof_of_other_statements_is_rejected(self) -> None:
        """One fewer, one more, or the same in other runs: each is another AIR, and that is absorbed first."""
        scene = Scene(1)
        (found,), _ = group(members())
        instance = scene.instance
        claim = instance.air, instance.publics, instance.statement
        proof = prove(*claim, PARAMETERS.to_bytes(), instance.traces)
        for count, log_slots in ((COUNT - 1, 1), (COUNT + 1, 1), (COUNT, 2)):
            air = stack((Stack(found.air, count, log_slots),)).data
            publics = (instance.publics + instance.publics[-3:])[: 3 * count]
            for name, verify in VERIFIERS.items():
                assert verify(air, publics, CLAIMS, proof) is not None, (name, count, log_slots)
        for name, verify in VERIFIERS.items():
            assert verify(instance.air, instance.publics, CLAIMS + b"\0", proof) == "QUOTIENT", name


class TestDerivation:
    @pytest.mark.parametrize(
        "member", [Fibonacci(20), Fibonacci(1), Tribonacci(20), Tribonacci(2)], ids=lambda member: repr(member)
    )
    def test_both_derivations_of_the_air_agree(self, member: Program) -> None:
        """Word for word, for any number of statements in any number of runs; and the C core finds no fault."""
        air = member.compiled()
        for count in (1, 2, 3, 5, 8, 9):
            for log_slots in range((count - 1).bit_length() + 1):
                other = Fibonacci(30).compiled()
                stacks = [(air, count, log_slots), (other, 3, 1)]
                made = stack(tuple(Stack(*one) for one in stacks))
                assert made.data == stacked([(one.data, n, log) for one, n, log in stacks])
                load(made.data)
                for table, compiled in zip(decode(made.data).tables, made.tables, strict=True):
                    assert (table.columns, table.log_height, table.log_slots) == (
                        compiled.columns, compiled.log_height, compiled.log_slots,
                    )  # fmt: skip
                    assert table.constraints == compiled.constraints
                    assert tuple(table.reads) == compiled.reads

    def test_the_c_prover_refuses_a_false_statement(self) -> None:
        """It checks the quotient at z before it says anything."""
        scene = Scene(1)
        with pytest.raises(NativeError):
            native_prove(false_output(scene, 3), PARAMETERS.to_bytes())
