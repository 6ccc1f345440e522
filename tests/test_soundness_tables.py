"""A prover that lies about buses, lookups, preprocessed columns and heights is rejected, each lie at its own check.

Both verifiers are asked. The lies about one table are in test_soundness_lies.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator

import numpy as np
import pytest

from aprover.reference.air import decode as reference_decode
from tests.support import lies
from tests.support import lookup_lies as looked
from tests.support import toy_field as tf
from tests.support.lies import FixedOpening, NearestLayer
from tests.support.toy_air import MINUS, PLUS, Draft, decode
from tests.support.toy_field import P
from tests.support.toy_layout import Layout, Parameters
from tests.support.toy_lie import Both, Lie
from tests.support.toy_programs import Instance
from tests.support.toy_prover import prove
from tests.support.toy_tables import COUNT, ENTRY, LIMIT, LISTED, LOG, MAIN, RANGES, SELECTED, Sizes, V, X, ledger
from tests.support.verifiers import VERIFIERS, NativeError, load

SCENES = {
    "one level": (Sizes(3, 3, 3), Parameters(3, 8, 2, 1)),
    "two levels": (Sizes(5, 3, 7, batch=2), Parameters(2, 12, 2, 1, independent=True)),
    "three levels": (Sizes(8, 3, 7, batch=1), Parameters(1, 16, 2, 1)),
    "a high table of ranges": (Sizes(4, 8, 7, batch=2), Parameters(1, 16, 2, 2)),
}


@dataclasses.dataclass(frozen=True)
class Scene:
    """The ledger at some heights, with parameters."""

    name: str

    @property
    def instance(self) -> Instance:
        return _ledger(self.name)

    @property
    def parameters(self) -> Parameters:
        return SCENES[self.name][1]

    @property
    def layout(self) -> Layout:
        return Layout(decode(self.instance.air), self.parameters)

    def met(self, t: int) -> str:
        """The code met by a prover whose word D_t is not what its earlier messages say."""
        return "DEEP" if t == 0 else "FRI_FOLD" if t < self.layout.folds else "FRI_FINAL"

    def level(self, table: int) -> int:
        return self.layout.places[table].level


@functools.lru_cache(maxsize=8)
def _ledger(name: str) -> Instance:
    return ledger(SCENES[name][0])


def verdict(instance: Instance, parameters: Parameters, lie: Lie | None) -> str | None:
    """What all verifiers say of a proof with a lie; they have to agree."""
    claim = instance.air, instance.publics, instance.statement
    proof = prove(*claim, parameters.to_bytes(), instance.traces, lie)
    codes = {name: verify(*claim, proof) for name, verify in VERIFIERS.items()}
    assert len(set(codes.values())) == 1, codes
    return codes["reference"]


def unbalanced(scene: Scene) -> Iterator[tuple[str, Lie]]:
    """Traces that break no constraint of a table, and leave a bus out of balance."""
    main = scene.instance.traces[MAIN]
    unselected = int(np.flatnonzero(main[:, SELECTED] == 0)[0])
    yield "a count is one too many", lies.AlteredCell(0, COUNT, RANGES)
    yield "a value counts that nobody looks up", lies.AlteredCell(len(scene.instance.traces[RANGES]) - 1, COUNT, RANGES)
    yield "an entry of the log is another", lies.AlteredCell(0, ENTRY, LOG)
    yield "a row that put nothing on a bus says that it did", lies.AlteredCell(unselected, SELECTED, MAIN)


FITTED: list[tuple[str, Lie]] = [
    ("the last sum is made to fit", looked.FittedSum(LOG)),
    ("the first sum is made to fit", looked.FittedSum(MAIN)),
    ("the running sum goes round where it should not", looked.FittedTotal(LOG)),
    ("the running sum jumps in row 3", looked.ForgivenRow(LOG, 3)),
    ("the running sum jumps in the last row", looked.ForgivenRow(LOG, -1)),
]
"""Ways to get an unbalanced bus past the check of the sums."""


def told(scene: Scene) -> Iterator[tuple[str, Lie, str]]:
    """Everything that is told at a scene: its name, the lie, the code."""
    layout = scene.layout
    for name, lie in unbalanced(scene):
        yield name, lie, "LOOKUP_SUM"
        if scene.name != "one level" and name != "a count is one too many":
            continue
        for fit, cover in FITTED:
            yield f"{name}; {fit}", Both(lie, cover), "QUOTIENT"
        table = LOG
        covered = Both(lie, looked.FittedTotal(table), FixedOpening(0, table))
        yield f"{name}; the sum and the quotient's opening are made to fit", covered, "FRI_FINAL"
        t = max(1, scene.level(table))
        if t in layout.committed:
            full = Both(covered, NearestLayer(t, 1))
            yield f"{name}; likewise, and layer {t} is low-degree", full, scene.met(t)
    for table in (MAIN, RANGES, LOG):
        yield f"the sum of table {table} is false", looked.FalseSum(table, table), "LOOKUP_SUM"
        for component in (0, 4):
            lie = looked.AlteredLookup(table, -1, 2, onwards=True, component=component)
            yield f"the running sum of table {table} jumps in component {component}", lie, "QUOTIENT"
        yield f"the running sum of table {table} is false in one row", looked.AlteredLookup(table, -1, 5), "QUOTIENT"
        yield f"the quotient of table {table} is random", lies.RandomQuotient(table), "QUOTIENT"
        yield f"the quotient of table {table} is shifted", lies.ShiftedQuotient(table), "QUOTIENT"
        place = layout.places[table]
        first = layout.first_opening(table) + len(place.table.reads)
        for i in range(first, first + place.table.lookup_columns + 1):
            yield f"opening {i} of a lookup column is false", lies.FalseOpening(i, 1), "QUOTIENT"
        yield f"column 0 of table {table} is of high degree", lies.HighDegreeColumn(0, False, table), "FRI_FINAL"
        least = lies.HighDegreeColumn(0, True, table)
        yield f"column 0 of table {table} has the least degree that is too high", least, "FRI_FINAL"
    for a, b in ((MAIN, RANGES), (RANGES, LOG), (LOG, MAIN)):
        yield f"the sums of tables {a} and {b} are false by opposite amounts", looked.OppositeSums(a, b), "QUOTIENT"
    if layout.places[MAIN].table.lookup_columns > 1:
        yield "a lookup column is false in one row", looked.AlteredLookup(MAIN, 0, 4), "QUOTIENT"
    yield "the powers of alpha begin again with each table", looked.RestartedWeights(), "QUOTIENT"
    yield from preprocessed(scene)
    yield from heights(scene)
    yield from trees(scene)


def preprocessed(scene: Scene) -> Iterator[tuple[str, Lie, str]]:
    """Other values in a preprocessed column, about a true claim."""
    used = int(scene.instance.traces[RANGES][:LIMIT, COUNT].argmax())
    yield "a value that is looked up is another", looked.OtherPreprocessed(RANGES, 0, used, LIMIT + 5), "LOOKUP_SUM"
    quiet = looked.OtherPreprocessed(RANGES, 0, LIMIT - 1, LIMIT + 5)
    yield "a preprocessed value that is not looked up is another", quiet, "PREPROCESSED_MERKLE"
    yield "likewise, and its own cap is absorbed", dataclasses.replace(quiet, quiet=False), "QUOTIENT"


def heights(scene: Scene) -> Iterator[tuple[str, Lie, str]]:
    """Lies about how tables of different heights are put together."""
    layout = scene.layout
    for t in range(1, layout.folds + 1):
        if layout.tables_at(t):
            yield f"level {t} enters without a power of beta", looked.Unweighted(t), scene.met(t)
            yield f"level {t} does not enter", looked.LeftOut(t), scene.met(t)
            table = layout.tables_at(0)[0]
            cancelling = looked.CancelledBelow(layout.first_opening(table) + layout.places[table].openings - 1, t)
            covered = Both(cancelling, FixedOpening(0, table)) if layout.places[table].chunks > 1 else None
            if covered is not None:
                yield f"an error at level 0 is cancelled at level {t}", covered, scene.met(t)
    yield "level 0 does not enter", looked.LeftOut(0), "DEEP"
    for t in layout.committed:
        yield f"FRI layer {t} is a random polynomial", lies.RandomLayer(t), scene.met(t)
    yield f"FRI layer {layout.folds} is a random polynomial", lies.RandomLayer(layout.folds), "FRI_FINAL"


def trees(scene: Scene) -> Iterator[tuple[str, Lie, str]]:
    """Openings that are not what was committed, in every tree."""
    layout = scene.layout
    for phase in ("preprocessed", "trace", "lookup", "quotient"):
        for t in layout.trees(phase):
            name, code = f"{phase} {t}" if t else phase, f"{phase.upper()}_MERKLE"
            yield f"{name}: a word of an opened leaf is changed", lies.ChangedLeaf(name, 0, -1), code
            yield f"{name}: a digest is changed", lies.ChangedPath(name, -1), code
            yield f"{name}: two leaves change places", lies.SwappedLeaves(name), code
            if phase != "preprocessed":
                # what is computed from the leaves differs from what comes later
                met = scene.met(t)
                yield f"{name}: a word of every leaf is another than what is opened", lies.AlteredWord(name, 0), met


CASES = [
    pytest.param(Scene(name), lie, code, id=f"{name}: {what}")
    for name in SCENES
    for what, lie, code in told(Scene(name))
]


class TestLies:
    @pytest.mark.parametrize("name", SCENES)
    def test_the_true_claim_is_accepted(self, name: str) -> None:
        """The scenes are fair: without a lie all verifiers accept. They have one, two and three levels with tables."""
        scene = Scene(name)
        assert verdict(scene.instance, scene.parameters, None) is None
        assert not scene.layout.narrow

    @pytest.mark.parametrize(("scene", "lie", "code"), CASES)
    def test_a_lie_is_rejected_with_its_code(self, scene: Scene, lie: Lie, code: str) -> None:
        """Both verifiers reject what a consistent liar proves, each by the check that the lie must fail."""
        assert verdict(scene.instance, scene.parameters, lie) == code

    @pytest.mark.parametrize("quiet", [True, False], ids=["with the true cap", "with its own cap"])
    @pytest.mark.parametrize("name", SCENES)
    def test_a_value_out_of_range_in_a_table_that_lists_it(self, name: str, quiet: bool) -> None:
        """A forged value is looked up in preprocessed columns that the prover changed to have it: all sums and
        identities hold, and the openings do not lead to the verifier's cap."""
        scene, value = Scene(name), 50
        instance = ledger(SCENES[name][0], forged=value)
        columns = [looked.OtherPreprocessed(RANGES, c, LIMIT - 1, v, quiet) for c, v in enumerate((value, value**2))]
        code = "PREPROCESSED_MERKLE" if quiet else "QUOTIENT"
        assert verdict(instance, scene.parameters, Both(*columns)) == code
        assert verdict(instance, scene.parameters, Lie()) == "LOOKUP_SUM"

    def test_each_cell_of_each_table_counts(self) -> None:
        """One cell is altered, each in turn: a constraint or a bus notices, except where nothing depends on it."""
        scene = Scene("one level")
        free = 0
        for table, trace in enumerate(scene.instance.traces):
            for row, column in np.ndindex(trace.shape):
                code = verdict(scene.instance, scene.parameters, lies.AlteredCell(row, column, table))
                # an entry of the log that is not listed, and the last step's v unless it is selected
                if table == LOG and column == ENTRY and trace[row, LISTED] == 0:
                    assert code is None
                    free += 1
                elif (column == V and table == MAIN) or (table, column) in ((MAIN, X), (MAIN, SELECTED), (LOG, LISTED)):
                    assert code in ("QUOTIENT", "LOOKUP_SUM")
                else:
                    assert code == "LOOKUP_SUM"
        assert free == int((scene.instance.traces[LOG][:, LISTED] == 0).sum())


def two_tables(
    sent: tuple[int, list[int]],
    received: tuple[int, list[int]],
    *,
    widths: list[int],
    free: bool = False,
    zero: bool = False,
) -> Instance:
    """Two tables of 8 rows: each row of the first sends its value on a bus, each of the second receives its own.

    A side is (bus, the places of the value in the tuple: 1 for the value, 0 for a zero).
    """
    draft = Draft(2, 3, buses=widths)
    other = draft.table(2, 3)
    for table, sign, (bus, places) in ((draft, PLUS, sent), (other, MINUS, received)):
        value = table.read(0)
        count = table.read(1) if free else table.constant(1)
        if not free:
            table.check(table.sub(table.read(1), table.constant(0)))
        table.put(bus, sign, count, [value if place else table.constant(0) for place in places])
    values = [0] * 8 if zero else list(range(1, 9))
    trace = tf.array([[value, 0] for value in values])
    return Instance(draft.encode(), [], b"", (trace, trace))


class TestTuples:
    """Tuples meet only if they are equal, on one bus."""

    PARAMETERS = Parameters(3, 6)

    def test_equal_tuples_meet(self) -> None:
        """The instances are fair: the same places on one bus balance."""
        for places in ([1], [0, 1], [1, 0], [1, 1]):
            instance = two_tables((0, places), (0, places), widths=[len(places)])
            assert verdict(instance, self.PARAMETERS, None) is None

    @pytest.mark.parametrize("zero", [False, True], ids=["values", "zeros"])
    @pytest.mark.parametrize(("sent", "received"), [([1], [0, 1]), ([1], [1, 0]), ([0, 1], [1]), ([1, 0], [1, 0, 0])])
    def test_of_another_width(self, sent: list[int], received: list[int], zero: bool) -> None:
        """[x] does not meet [0, x] or [x, 0], not even for x = 0: a bus has one width, and they are on two buses."""
        instance = two_tables((0, sent), (1, received), widths=[len(sent), len(received)], zero=zero)
        assert verdict(instance, self.PARAMETERS, Lie()) == "LOOKUP_SUM"

    def test_of_another_bus(self) -> None:
        """The same tuple on two buses of one width does not meet."""
        instance = two_tables((0, [1]), (1, [1]), widths=[1, 1])
        assert verdict(instance, self.PARAMETERS, Lie()) == "LOOKUP_SUM"

    def test_in_another_order(self) -> None:
        """(x, 0) and (0, x) on one bus do not meet."""
        instance = two_tables((0, [1, 0]), (0, [0, 1]), widths=[2])
        assert verdict(instance, self.PARAMETERS, Lie()) == "LOOKUP_SUM"

    def test_nor_can_a_bus_be_left_to_another(self) -> None:
        """What is too much on one bus is not made good on another: the sum is of fingerprints with their buses."""
        draft = Draft(1, 3, buses=[1, 1])
        x = draft.read(0)
        draft.put(0, PLUS, draft.constant(1), [x])
        draft.put(1, MINUS, draft.constant(1), [x])
        instance = Instance(draft.encode(), [], b"", (tf.array([[5]] * 8),))
        assert verdict(instance, self.PARAMETERS, Lie()) == "LOOKUP_SUM"

    def test_multiplicities_that_nothing_binds_prove_nothing(self) -> None:
        """The proof system cannot notice it: if both sides may count as they like, they count zero times. So one side's
        multiplicities must be constants or constrained to 0 and 1, which the builder sees to."""
        instance = two_tables((0, [1]), (0, [1]), widths=[1], free=True)
        other = instance.traces[1].copy()
        other[:, 0] = 999
        assert verdict(instance.replace(traces=(instance.traces[0], other)), self.PARAMETERS, None) is None


class TestCounts:
    """Multiplicities are in Fp, where p times one is nothing."""

    def test_a_count_is_a_residue(self) -> None:
        """A value sent twice is received with a count of 2, and not with one of 2 less or more."""
        draft = Draft(1, 3, buses=[1])
        draft.put(0, PLUS, draft.constant(1), [draft.read(0)])
        table = draft.table(1, 3, [list(range(8))])
        table.put(0, MINUS, table.read(0), [table.read(1)])
        sent = tf.array([[3]] * 2 + [[1]] * 6)
        for threes, ones, code in ((2, 6, None), (0, 6, "LOOKUP_SUM"), (2, P - 2, "LOOKUP_SUM"), (8, 0, "LOOKUP_SUM")):
            counts = tf.array([[0], [ones], [0], [threes], [0], [0], [0], [0]])
            instance = Instance(draft.encode(), [], b"", (sent, counts))
            assert verdict(instance, Parameters(3, 6), Lie()) == code

    @pytest.mark.parametrize(("count", "allowed"), [(120, True), (121, False)])
    def test_no_bus_takes_as_many_tuples_as_the_field_has_elements(self, count: int, allowed: bool) -> None:
        """120 tuples in each of 2^24 rows are p - 1. One more, and an AIR is refused by all when it is loaded: p
        selected rows would count as none."""
        draft = Draft(1, 24, buses=[1], batch=4)
        for _ in range(count):
            draft.put(0, PLUS, draft.constant(1), [draft.read(0)])
        if allowed:
            load(draft.encode())
            reference_decode(draft.encode())
        else:
            with pytest.raises(NativeError):
                load(draft.encode())
            with pytest.raises(ValueError, match="as many as the field has elements"):
                reference_decode(draft.encode())


class TestOtherAirs:
    """A proof verifies for its own tables, and for no others."""

    def test_each_word_of_the_air_is_bound(self) -> None:
        """One word is changed at a time: preprocessed values, buses, signs, multiplicities, heights, batches."""
        scene = Scene("one level")
        instance, parameters = scene.instance, scene.parameters
        claim = instance.air, instance.publics, instance.statement
        proof = prove(*claim, parameters.to_bytes(), instance.traces)
        words = np.frombuffer(instance.air, dtype="<u4")
        tried = 0
        for i in range(len(words)):
            changed = words.copy()
            changed[i] ^= 1
            air = changed.tobytes()
            try:
                load(air)
            except NativeError:
                continue
            if decode(air).publics != len(instance.publics):
                continue
            tried += 1
            codes = {verify(air, *claim[1:], proof) for verify in VERIFIERS.values()}
            assert len(codes) == 1
            assert codes != {None}, i
        assert tried > 30

    def test_tables_in_another_order(self) -> None:
        """A proof is none for the same tables in another order."""
        sizes = Sizes(5, 5, 5)
        instance = ledger(sizes)
        claim = instance.air, instance.publics, instance.statement
        proof = prove(*claim, Parameters(2, 8).to_bytes(), instance.traces)
        words = np.frombuffer(instance.air, dtype="<u4").tolist()
        first = 4 + 2
        lengths = table_lengths(instance)
        starts = [first, first + lengths[0], first + lengths[0] + lengths[1]]
        parts = [words[start : start + length] for start, length in zip(starts, lengths, strict=True)]
        other = np.array(words[:first] + parts[0] + parts[2] + parts[1], dtype="<u4").tobytes()
        load(other)
        for verify in VERIFIERS.values():
            assert verify(*claim, proof) is None
            assert verify(other, *claim[1:], proof) is not None


def table_lengths(instance: Instance) -> list[int]:
    """Words of each table's encoding."""
    lengths = []
    air = decode(instance.air)
    for table in air.tables:
        words = 12 + len(table.reads) + sum(1 + len(p) for p in table.periodics) + len(table.constants)
        words += 2 * len(table.instructions) + 3 * len(table.boundaries) + sum(len(p) for p in table.preprocessed)
        lengths.append(words + sum(3 + len(one.values) for one in table.interactions))
    assert 4 + len(air.buses) + sum(lengths) == len(instance.air) // 4
    return lengths
