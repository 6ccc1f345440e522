"""A prover that lies, and then runs Fiat-Shamir honestly, is rejected by both verifiers at the check that it must fail.

Every lie is told at 2^3, 2^5 and 2^10 rows in the narrow and the wide layout, as far as it exists there.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from tests.support import lies
from tests.support.lies import FixedOpening, NearestLayer
from tests.support.toy_air import Table, decode
from tests.support.toy_commit import K_LEAF, K_NODE
from tests.support.toy_field import P
from tests.support.toy_layout import Layout, Parameters
from tests.support.toy_lie import Both, Lie
from tests.support.toy_programs import ROUND_CONSTANTS, SELECTOR, Glitch, Instance, mixer
from tests.support.toy_prover import prove
from tests.support.verifiers import VERIFIERS

STOP = 64
HEIGHTS = (3, 5, 10)
COLUMNS = {"narrow": 3, "wide": 18}
LOG_BLOWUP = {3: 3, 5: 3, 10: 2}
QUERIES = {(3, "narrow"): 6, (5, "narrow"): 12, (10, "narrow"): 24, (3, "wide"): 8, (5, "wide"): 20, (10, "wide"): 20}


@dataclasses.dataclass(frozen=True)
class Scene:
    """A shape at which lies are told: the mixer program, 4 degrees, 3 chunks."""

    log_height: int
    layout: str

    @property
    def columns(self) -> int:
        return COLUMNS[self.layout]

    @property
    def last(self) -> int:
        """The last row."""
        return (1 << self.log_height) - 1

    @property
    def layers(self) -> list[int]:
        """Heights k_t of FRI layers 0, 1, .. up to the one whose polynomial is sent."""
        heights = [1 << self.log_height, 1 << self.log_height >> 3]
        while heights[-1] > STOP:
            heights.append(heights[-1] >> 3)
        return heights

    @property
    def committed(self) -> list[int]:
        return [t for t, k in enumerate(self.layers) if (self.layout == "wide" if t == 0 else k > STOP)]

    def met(self, t: int) -> str:
        """The code met by a prover whose word D_t is not what its earlier messages say."""
        first = next((s for s in self.committed if s >= t), None)
        return "FRI_FINAL" if first is None else "FRI_FOLD" if first else "DEEP"

    def parameters(self, grinding_bits: int = 2) -> bytes:
        independent = self.log_height == 5
        queries = QUERIES[self.log_height, self.layout]
        return Parameters(LOG_BLOWUP[self.log_height], queries, grinding_bits, 1, independent).to_bytes()

    def instance(self, *glitches: Glitch) -> Instance:
        """The true claim, or one that is false by wrong steps only: its public output is what its trace says."""
        return _mixer(self.log_height, self.columns, glitches)

    @property
    def air(self) -> Table:
        """Its only table."""
        return _decode(self.instance().air).tables[0]

    @property
    def shape(self) -> Layout:
        return Layout(_decode(self.instance().air), Parameters.from_bytes(self.parameters()))


@functools.lru_cache(maxsize=64)
def _mixer(log_height: int, columns: int, glitches: tuple[Glitch, ...]) -> Instance:
    return mixer(log_height, columns, *glitches)


_decode = functools.lru_cache(maxsize=16)(decode)

COVERED_EVERYWHERE = ("one cell of row 0 is altered", "the public output is false")

SCENES = [Scene(h, layout) for h in HEIGHTS for layout in COLUMNS]


Make = Callable[[Scene], tuple[Instance, Lie]]


@dataclasses.dataclass(frozen=True)
class Told:
    """A claim with a lie about it, what the lie is covered with, and the code that must fire."""

    make: Make
    cover: Lie
    code: str
    grinding_bits: int = 2


def steps(*glitches: Glitch, lie: Lie | None = None) -> Make:
    """The steps are wrong, the rest of the trace follows from them, and the public output is what it ends with."""
    return lambda scene: (scene.instance(*glitches), lie or Lie())


def output(change_lie: Callable[[Table], Lie] = lambda _: Lie()) -> Make:
    """The trace is true and the public output is not."""

    def make(scene: Scene) -> tuple[Instance, Lie]:
        first, last = scene.instance().publics
        return scene.instance().replace(publics=[first, (last + 1) % P]), change_lie(scene.air)

    return make


def other_periodics(scene: Scene) -> tuple[Instance, Lie]:
    others = (*ROUND_CONSTANTS[:-1], 9)
    instance = mixer(scene.log_height, scene.columns, constants=others)
    return instance, lies.OtherPeriodics((SELECTOR, others))


def shared_boundaries(scene: Scene) -> tuple[Instance, Lie]:
    first = len(scene.air.asserted)
    return scene.instance(Glitch(0, 0, 1), Glitch(0, 1, P - 1)), lies.SharedCoefficient(first, first + 1)


def false_opening(index: int, component: int = 0) -> Make:
    return lambda scene: (scene.instance(), lies.FalseOpening(range(scene.shape.openings)[index], component))


def falsehoods(scene: Scene) -> Iterator[tuple[str, Make]]:
    """Ways to make the claim false, each caught by the identity at z unless it is covered."""
    middle, end, right = scene.last // 2, scene.last, scene.columns - 1
    for row in (1, middle, end - 1, end):
        for column in (0, right) if scene.log_height < 10 else (right,):
            yield f"the step into row {row} of column {column} is wrong", steps(Glitch(row, column))
    for row in (0, 1, middle, end - 1, end):
        yield f"one cell of row {row} is altered", steps(lie=lies.AlteredCell(row, right))
    yield "the first value is not the public one", steps(Glitch(0, 0))
    yield "the public output is false", output()
    omitted: Callable[[Table], Lie] = lambda air: lies.Omitted(air.constraints - 1)  # noqa: E731
    yield "the public output is false and its boundary omitted", output(omitted)
    yield "a step is wrong and its constraint omitted", steps(Glitch(middle, 1), lie=lies.Omitted(1))
    yield "the trace and the quotient use other periodic values", other_periodics
    yield (
        "two steps of one row are wrong by opposite amounts, and their constraints share a coefficient",
        steps(Glitch(middle, 0, 1), Glitch(middle, 2, P - 1), lie=lies.SharedCoefficient(0, 2)),
    )
    yield (
        "two boundary values of one row are wrong by opposite amounts, and their constraints share a coefficient",
        shared_boundaries,
    )
    yield "the quotient is random", steps(lie=lies.RandomQuotient())
    yield "the quotient is shifted", steps(lie=lies.ShiftedQuotient())
    yield "the first out-of-domain value is false", false_opening(0)
    yield "a next-row out-of-domain value is false", false_opening(-4)


def covers(scene: Scene) -> Iterator[tuple[str, str, list[Lie]]]:
    """Ways to get a falsehood past the identity at z, with the code of the check that they must fail."""
    at_z: list[tuple[str, list[Lie]]] = [
        ("Q_0(z) made to fit", [FixedOpening(0)]),
        ("the last chunk's opening made to fit", [FixedOpening(-1)]),
        ("a quotient that is right at every point of the LDE domain", [lies.PointwiseQuotient(), FixedOpening(0)]),
    ]
    for name, parts in at_z:
        yield name, "FRI_FINAL", parts
        for t in scene.committed:
            for coset in (0, 7) if scene.log_height < 10 else (3,):
                yield f"{name}, FRI layer {t} through coset {coset}", scene.met(t), [*parts, NearestLayer(t, coset)]


def false_fri(scene: Scene) -> Iterator[tuple[str, str, Lie]]:
    """Lies from the DEEP word on, about a true claim."""
    for name, column in (("first", 0), ("last", scene.columns - 1))[scene.log_height == 10 :]:
        for least in (True, False):
            lie: Lie = lies.HighDegreeColumn(column, least)
            degree = "k + 1" if least else "n - 1"
            yield f"the {name} column has degree {degree}", "FRI_FINAL", lie
            for t in scene.committed:
                full = f"the {name} column has degree {degree}, FRI layer {t} through a coset"
                yield full, scene.met(t), Both(lie, NearestLayer(t))
    yield "two chunk openings cancel in the identity", "FRI_FINAL", lies.CancellingChunkOpenings()
    yield "three openings cancel under one batching coefficient", scene.met(0), lies.SharedLambda()
    for t in range(len(scene.layers)):
        yield f"FRI layer {t} is a random polynomial", scene.met(t), lies.RandomLayer(t)
        for step in (2, 5) if scene.log_height < 10 else (5,):
            yield f"FRI layer {t} is altered at every position {step}i", scene.met(t), lies.AlteredLayer(t, step)
        for component in range(1, 5) if t in scene.committed else ():
            name = f"FRI layer {t} is altered in component {component}"
            yield name, scene.met(t), lies.AlteredLayer(t, 2, component)
    for component in range(1, 5):
        name = f"the final polynomial is altered in component {component}"
        yield name, "FRI_FINAL", lies.AlteredFinal(0, component)
    for i in {0, -1}:
        yield f"coefficient {i} of the final polynomial is altered", "FRI_FINAL", lies.AlteredFinal(i)
        if scene.layers[-1] > 1:
            lie = lies.FinalThroughOneQuery(i)
            yield f"the final polynomial is false and passes query {i}", "FRI_FINAL", lie


def false_trees(scene: Scene) -> Iterator[tuple[str, str, Lie]]:
    """Openings that are not what was committed, and trees hashed in other ways, about a true claim."""
    trees = [("trace", "TRACE_MERKLE"), ("quotient", "QUOTIENT_MERKLE")]
    trees += [(f"fri {t}", "FRI_MERKLE") for t in scene.committed]
    for tree, code in trees:
        for leaf, word in itertools.product((0, 1, -1), (0, 1, -1)) if scene.log_height == 3 else ((1, -1),):
            yield f"{tree}: word {word} of opened leaf {leaf} is changed", code, lies.ChangedLeaf(tree, leaf, word)
        yield f"{tree}: leaves are hashed as nodes", code, lies.ConfusedHashes(tree, K_NODE)
        yield f"{tree}: the last digest is changed", code, lies.ChangedPath(tree, -1)
        for byte in (0, 7, 31) if scene.log_height == 3 else ():
            yield f"{tree}: byte {byte} of the cap's digests is changed", code, lies.ChangedCap(tree, byte)
        if scene.log_height < 10:
            yield f"{tree}: nodes are hashed as leaves", code, lies.ConfusedHashes(tree, K_LEAF)
            yield f"{tree}: the first digest is changed", code, lies.ChangedPath(tree, 0)
            yield f"{tree}: the boundary between leaves is moved", code, lies.MovedBoundary(tree)
            yield f"{tree}: two leaves change places", code, lies.SwappedLeaves(tree)


def told(scene: Scene) -> Iterator[tuple[str, Told]]:
    """Everything that is told at a scene; above 2^3 rows, each cover goes with two falsehoods instead of all."""
    for name, make in falsehoods(scene):
        yield name, Told(make, Lie(), "QUOTIENT")
        for cover, code, parts in covers(scene):
            if scene.log_height == 3 or name in COVERED_EVERYWHERE:
                yield f"{name}; {cover}", Told(make, Both(*parts), code)
    for component in range(5):
        for name, index in (("first", -3), ("last", -1)):
            full = f"the {name} chunk's out-of-domain value is false in component {component}"
            yield full, Told(false_opening(index, component), Lie(), "QUOTIENT")
    for name, code, lie in (*false_fri(scene), *false_trees(scene)):
        yield name, Told(steps(lie=lie), Lie(), code)
    for bits in (0, 3):
        yield f"the nonce is wrong, {bits} bits", Told(steps(lie=lies.WrongNonce()), Lie(), "GRINDING", bits)


def verdicts(told_here: Told, scene: Scene) -> dict[str, str | None]:
    """What each verifier says of the lying prover's proof."""
    instance, lie = told_here.make(scene)
    claim = instance.air, instance.publics, instance.statement
    proof = prove(*claim, scene.parameters(told_here.grinding_bits), instance.traces, Both(lie, told_here.cover))
    return {name: verify(*claim, proof) for name, verify in VERIFIERS.items()}


CASES = [
    pytest.param(scene, told_here, id=f"2^{scene.log_height} {scene.layout}: {name}")
    for scene in SCENES
    for name, told_here in told(scene)
]


class TestLies:
    @pytest.mark.parametrize("scene", SCENES, ids=lambda s: f"2^{s.log_height} {s.layout}")
    def test_the_true_claim_is_accepted(self, scene: Scene) -> None:
        """The scenes are fair: without a lie, both verifiers accept, and the layout is what the scene says."""
        assert scene.shape.narrow == (scene.layout == "narrow")
        assert [place.chunks for place in scene.shape.places] == [3]
        assert set(verdicts(Told(steps(), Lie(), ""), scene).values()) == {None}

    @pytest.mark.parametrize(("scene", "told_here"), CASES)
    def test_a_lie_is_rejected_with_its_code(self, scene: Scene, told_here: Told) -> None:
        """Both verifiers reject what a consistent liar proves, each by the check that the lie must fail."""
        assert verdicts(told_here, scene) == dict.fromkeys(VERIFIERS, told_here.code)

    def test_falsehoods_really_break_constraints(self) -> None:
        """A wrong step breaks one transition only: the trace before and after it keeps the constraints."""
        scene = Scene(3, "narrow")
        true, false = scene.instance().trace, scene.instance(Glitch(4, 1)).trace
        assert np.array_equal(true[:4], false[:4])
        assert not np.array_equal(true[4:], false[4:])
