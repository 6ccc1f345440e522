"""The cost model: fitting, predicting, learning on, forgetting, and its text; and what threads are worth."""

from __future__ import annotations

import json
import math
import random
import statistics
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aprover.engine.cost import (
    CLASSES_KEPT,
    FEATURES,
    LONGEST_STEP,
    PRIOR_TRACE_SECONDS,
    PRIOR_WEIGHTS,
    CostModel,
    Scaling,
    Work,
    commitment_work,
    work_of,
)
from aprover.security import Parameters, Shape, TableShape, choose
from tests.support.engine_core import work


def one_table(log_height: int, columns: int, constraints: int, degree: int) -> Shape:
    """Whose columns are all read in two rows."""
    return Shape(
        (
            TableShape(
                log_height=log_height,
                columns=columns,
                rows_read=2,
                constraints=constraints,
                openings=2 * columns,
                terms=((degree, 1),),
            ),
        )
    )


def shapes() -> list[Work]:
    """Narrow and wide traces of 2^3 to 2^20 rows, at two levels of security."""
    works = []
    for log_height in range(3, 21):
        for columns, constraints, degree in ((2, 4, 1), (8, 20, 3), (40, 60, 2), (200, 200, 7)):
            if columns << log_height > 2**26:
                continue
            shape = one_table(log_height, columns, constraints, degree)
            works += [work_of(shape, choose(shape, bits), instructions=(constraints * degree,)) for bits in (80, 100)]
    return works


def true_times(works: list[Work], seed: int, *, noise: float = 0.03) -> list[float]:
    """On a machine of its own proportions, with noise that is mostly small, and sometimes a disturbance."""
    chance = random.Random(seed)
    weights = [weight * math.exp(chance.gauss(0, 0.35)) * 1.7 for weight in PRIOR_WEIGHTS]
    return [
        sum(map(float.__mul__, weights, item.features))
        * math.exp(chance.gauss(0, noise))
        * (2.0 if noise and chance.random() < 0.05 else 1.0)
        for item in works
    ]


def errors(model: CostModel, works: list[Work], times: list[float]) -> list[float]:
    return sorted(abs(model.predict_proof(item) / seconds - 1) for item, seconds in zip(works, times, strict=True))


class TestFit:
    @pytest.mark.parametrize("seed", range(5))
    def test_a_few_points_predict_all_shapes(self, seed: int) -> None:
        """Median error under 10 %, 95th percentile under 30 %, from a tenth of the shapes, some of them disturbed."""
        works = shapes()
        noisy, exact = true_times(works, seed), true_times(works, seed, noise=0.0)
        model = CostModel()
        model.fit(list(zip(works, noisy, strict=True))[seed::10])
        found = errors(model, works, exact)
        assert found[len(found) // 2] < 0.10
        assert found[int(len(found) * 0.95)] < 0.30

    def test_it_says_how_well_it_fits(self) -> None:
        """The median error over its points; nothing is fitted to nothing."""
        works = shapes()
        model = CostModel()
        error = model.fit(list(zip(works, true_times(works, 1, noise=0.0), strict=True)))
        assert error < 0.03
        assert CostModel().fit([]) == 0.0

    def test_a_disturbed_point_bends_it_little(self) -> None:
        """One that took a hundred times as long."""
        works = shapes()
        times = true_times(works, 2, noise=0.0)
        straight, bent = CostModel(), CostModel()
        straight.fit(list(zip(works, times, strict=True))[::5])
        times[5] *= 100
        bent.fit(list(zip(works, times, strict=True))[::5])
        ratios = [bent.predict(item) / straight.predict(item) for item in works]
        assert 0.8 < statistics.median(ratios) < 1.25

    def test_two_points_shift_the_whole(self) -> None:
        """A machine that is three times as slow in all is seen at once, whatever the points do not tell apart."""
        works = shapes()
        priors, model = CostModel(), CostModel()
        model.fit([(item, 3 * priors.predict(item)) for item in (works[0], works[-1])])
        assert all(2.5 < model.predict(item) / priors.predict(item) < 3.5 for item in works)

    @given(st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=4))
    def test_weights_stay_positive_whatever_the_points(self, times: list[float]) -> None:
        """Also for absurd times, which are left out if no proof can take them."""
        works = shapes()[:4]
        model = CostModel()
        model.fit(list(zip(works, times, strict=False)))
        assert all(0 < weight < math.inf for weight in model.weights)

    @pytest.mark.parametrize("weights", [(), (1.0,), (0.0,) * len(FEATURES), (-1.0,) * len(FEATURES)])
    def test_weights_that_are_none_are_refused(self, weights: tuple[float, ...]) -> None:
        """One positive number for each feature."""
        with pytest.raises(ValueError, match="positive"):
            CostModel(weights)


class TestFeatures:
    def test_more_of_anything_costs_more(self) -> None:
        """Rows, columns, instructions, bits."""
        shape = one_table(10, 8, 20, 3)
        taller = one_table(11, 8, 20, 3)
        wider = one_table(10, 40, 20, 3)
        model = CostModel()

        def cost(shape: Shape, bits: int = 60, instructions: int = 50) -> float:
            return model.predict(work_of(shape, choose(shape, bits), instructions=(instructions,)))

        assert cost(shape) < min(cost(taller), cost(wider), cost(shape, instructions=5000))
        assert cost(shape) < cost(shape, 100)

    def test_a_commitment_costs_less_than_a_proof(self) -> None:
        """A trace and one hash of it; it shares no C call, and cannot be split."""
        shape = one_table(10, 8, 20, 3)
        proof = work_of(shape, choose(shape, 100), instructions=(50,))
        commitment = commitment_work(1024, 8, trace="mine")
        model = CostModel()
        assert model.predict_proof(commitment) < model.predict_proof(proof)
        assert proof.native
        assert not commitment.native
        assert not commitment.splittable

    def test_a_trace_in_python_is_not_native(self) -> None:
        """It may not run on a loop's thread."""
        shape = one_table(10, 8, 20, 3)
        parameters = choose(shape, 100)
        assert work_of(shape, parameters, instructions=(5,)).native
        assert not work_of(shape, parameters, instructions=(5,), trace="mine").native

    def test_what_hides_or_is_filled_in_or_leaves_the_cache_costs_more(self) -> None:
        """Masks and salts are drawn; Python fills columns; memory is slow."""
        shape = one_table(10, 8, 20, 3)
        model = CostModel()

        def cost(zk: bool = False, **settings: Any) -> float:
            return model.predict_proof(work_of(shape, choose(shape, 100, zk=zk), instructions=(50,), **settings))

        assert cost() < cost(trace="mine") < cost(trace="mine", filled=4)
        assert cost() < cost(memory=2**24)
        hidden = work_of(shape, choose(shape, 100, zk=True), instructions=(50,))
        assert hidden.features[FEATURES.index("random words")] > 4 * 1024
        assert cost() < cost(zk=True)

    def test_the_parameters_are_those_of_the_proof(self) -> None:
        """Whichever they are: of twice the blowup, and half of the queries, say."""
        shape = one_table(12, 8, 20, 3)
        low, high = Parameters(1, 200, 0), Parameters(2, 100, 0)
        counts = [
            dict(zip(FEATURES, work_of(shape, parameters, instructions=(50,)).features, strict=True))
            for parameters in (low, high)
        ]
        assert counts[1]["lane compressions"] == pytest.approx(2 * counts[0]["lane compressions"], rel=0.01)
        assert counts[0]["butterflies"] < counts[1]["butterflies"] < 2 * counts[0]["butterflies"]
        assert counts[1]["gathers"] < counts[0]["gathers"]
        assert counts[1]["instructions"] == counts[0]["instructions"]


class TestLearning:
    @pytest.mark.parametrize("factor", [0.3, 3.0])
    @pytest.mark.parametrize("measured", [False, True])
    def test_predictions_follow_what_is_measured(self, factor: float, measured: bool) -> None:
        """A class of shapes that takes other than predicted; quickly if nothing was measured before."""
        item = work(1e-3)
        model = CostModel(measured=measured)
        for _ in range(100 if measured else 20):
            model.observe([item], factor * 1e-3)
        assert model.predict(item) == pytest.approx(factor * 1e-3, rel=0.15)

    @given(st.floats(min_value=1e-9, max_value=1e9), st.integers(0, 30))
    def test_one_observation_moves_a_prediction_by_a_bounded_step(self, seconds: float, before: int) -> None:
        """However absurd."""
        item = work(1e-3)
        model = CostModel()
        for _ in range(before):
            model.observe([item], 1e-3)
        was = model.predict(item)
        model.observe([item], seconds)
        assert abs(math.log(model.predict(item) / was)) <= LONGEST_STEP + 1e-9

    def test_an_outlier_is_soon_forgotten(self) -> None:
        """A hundred times as long, once in a while."""
        item = work(1e-3)
        model = CostModel()
        for i in range(200):
            model.observe([item], 0.1 if i % 20 == 10 else 1e-3)
        assert model.predict(item) == pytest.approx(1e-3, rel=0.1)

    @pytest.mark.parametrize("seconds", [0.0, -1.0, math.nan, math.inf])
    def test_what_is_no_time_teaches_nothing(self, seconds: float) -> None:
        """Nor does an empty batch."""
        item, traced = work(1e-3), work(1e-3, trace="mine")
        model = CostModel()
        model.observe([item], seconds)
        model.observe([], 1.0)
        model.observe_trace(traced, seconds)
        assert model.predict(item) == pytest.approx(1e-3)
        assert model.predict_trace(traced) == pytest.approx(8 * PRIOR_TRACE_SECONDS)

    def test_what_ran_beside_others_does_not_make_it_pessimistic(self) -> None:
        """Known work is only ever thought shorter after it, and that only if it was short as it stands."""
        item = work(1e-3)
        model = CostModel(measured=True)
        for _ in range(100):
            model.observe([item], 2.5e-3, slowdown=1.3)
        assert model.predict(item) == pytest.approx(1e-3)
        for _ in range(100):
            model.observe([item], 0.5e-3, slowdown=1.3)
        assert model.predict(item) == pytest.approx(0.5e-3, rel=0.1)

    def test_unknown_work_is_learned_even_beside_others(self) -> None:
        """Less what they are believed to have made of it."""
        item = work(1e-3)
        model = CostModel()
        for _ in range(5):
            model.observe([item], 4e-3, slowdown=2.0)
        assert 1.2e-3 < model.predict(item) < 2.2e-3

    def test_a_slow_machine_is_seen_in_shapes_that_were_never_made(self) -> None:
        """New classes start from the speed of the others."""
        model = CostModel()
        for _ in range(50):
            model.observe([work(1e-3)], 2e-3)
        assert model.predict(work(0.1, rows=512)) == pytest.approx(0.2, rel=0.2)

    def test_a_mixed_batch_is_blamed_by_share(self) -> None:
        """A large part learns most."""
        large, little = work(1e-3), work(1e-5)
        model = CostModel()
        model.observe([large, little], 1.5e-3)
        assert math.log(model.predict(large) / 1e-3) > 10 * abs(math.log(model.predict(little) / 1e-5))

    def test_a_trace_in_python_is_learned_apart(self) -> None:
        """By program and row; the proof's own time is not touched."""
        short, long = work(1e-3, trace="mine", rows=8), work(1e-3, trace="mine", rows=800)
        model = CostModel()
        model.observe_trace(short, 8 * 1e-3)
        assert model.predict_trace(long) == pytest.approx(0.8)
        assert model.predict(long) == pytest.approx(0.801)
        assert model.predict_trace(work(1e-3, trace="other")) == pytest.approx(8 * PRIOR_TRACE_SECONDS)
        for _ in range(60):
            model.observe_trace(short, 8 * 0.5e-3)
        assert model.predict_trace(long) == pytest.approx(0.4, rel=0.1)

    def test_memory_is_bounded(self) -> None:
        """Whatever number of programs and shapes comes by."""
        model = CostModel()
        for rows in range(CLASSES_KEPT + 50):
            item = work(1e-3, trace=f"program {rows}", rows=rows + 1)
            model.observe([item], 1e-3)
            model.observe_trace(item, 1e-3)
        assert len(model._corrections) <= CLASSES_KEPT
        assert len(model._traces) <= CLASSES_KEPT
        assert len(model._base) <= CLASSES_KEPT


class TestText:
    def test_what_was_learned_comes_back(self) -> None:
        """Weights, corrections, traces, and whether it was measured."""
        works = shapes()
        model = CostModel()
        model.fit(list(zip(works, true_times(works, 3), strict=True)))
        mine = work(1e-3, trace="mine")
        model.observe([works[7]], 3 * model.predict(works[7]))
        model.observe_trace(mine, 0.1)
        again = CostModel.loads(model.dumps())
        assert [again.predict(item) for item in [*works, mine]] == [model.predict(item) for item in [*works, mine]]
        assert again.dumps() == model.dumps()

    @given(st.text() | st.recursive(st.none() | st.floats() | st.text(), st.lists).map(json.dumps))
    def test_any_other_text_is_a_value_error(self, text: str) -> None:
        """A file that another wrote, or half a file."""
        with pytest.raises(ValueError, match=r"."):
            CostModel.loads(text)

    @given(st.data())
    def test_damage_is_a_value_error_or_harmless(self, data: st.DataObject) -> None:
        """A text with one field replaced gives a model that predicts positive times, or none."""
        model = CostModel()
        item = work(1e-3, trace="mine")
        model.observe([item], 2e-3)
        model.observe_trace(item, 1e-3)
        content = json.loads(model.dumps())
        name = data.draw(st.sampled_from(sorted(content)))
        junk: Any = st.recursive(st.none() | st.booleans() | st.floats() | st.integers() | st.text(), st.lists)
        content[name] = data.draw(junk)
        try:
            damaged = CostModel.loads(json.dumps(content))
        except ValueError:
            return
        assert 0 < damaged.predict(item) < math.inf

    def test_another_versions_features_are_refused(self) -> None:
        """Their weights mean something else."""
        content = json.loads(CostModel().dumps())
        content["features"][0] = "something else"
        with pytest.raises(ValueError, match="another"):
            CostModel.loads(json.dumps(content))


class TestScaling:
    @pytest.mark.parametrize("scaling", [0.8, 1.0, 1.5, 2.0])
    def test_it_finds_what_two_threads_are_worth(self, scaling: float) -> None:
        """From batches that ran beside one other."""
        learned = Scaling()
        for i in range(60):
            learned.observe(2 / scaling, 1.0, 0.0, i * 1e-3)
        assert learned.value(0.06) == pytest.approx(scaling, rel=0.05)
        assert learned.slowdown(1.0, 0.06) == pytest.approx(2 / scaling, rel=0.05)
        assert learned.slowdown(0.0, 0.06) == 1.0

    def test_more_threads_are_brought_to_two(self) -> None:
        """Four of efficiency 0.5 get 2.5 done, each slowed 1.6 times."""
        learned = Scaling(4)
        for i in range(60):
            learned.observe(1.6, 3.0, 0.0, i * 1e-3)
        assert learned.value(0.06) == pytest.approx(1.5, rel=0.05)
        assert learned.slowdown(3.0, 0.06) == pytest.approx(1.6, rel=0.05)

    def test_more_threads_than_cores_share_them(self) -> None:
        """Two workers and a busy loop on two cores: each has a third of what these get done."""
        learned = Scaling(2)
        for i in range(60):
            learned.observe(3 / 1.5, 1.0, 1.0, i * 1e-3)
        assert learned.value(0.06) == pytest.approx(1.5, rel=0.05)
        assert learned.slowdown(2.0, 0.06) == pytest.approx(2.0, rel=0.05)

    def test_what_ran_alone_says_nothing(self) -> None:
        """Nor what ran beside others for half of its time."""
        learned = Scaling(prior=1.7)
        for others in (0.0, 0.5):
            learned.observe(3.0, others, 0.0, 1.0)
        assert learned.value(1.0) == 1.7

    def test_good_news_is_believed_sooner_than_bad(self) -> None:
        """An event loop beside the workers makes threads look worse than they are, never better."""
        better, worse = Scaling(prior=1.5), Scaling(prior=1.5)
        for learned, ratio in ((better, 2 / 2.0), (worse, 2 / 1.125)):  # as far up as down, in the logarithm
            for i in range(3):
                learned.observe(2 / 1.5, 1.0, 0.0, i * 1e-3)
            learned.observe(ratio, 1.0, 0.0, 4e-3)
        assert better.value(4e-3) / 1.5 > 1.02 * 1.5 / worse.value(4e-3)

    def test_it_forgets(self) -> None:
        """So that threads are tried again: the machine may have changed."""
        learned = Scaling(prior=1.7)
        for i in range(60):
            learned.observe(4.0, 1.0, 0.0, i * 1e-3)
        assert learned.value(5.0) == learned.value(0.06) < 0.7
        assert learned.value(60.0) == pytest.approx(1.7, rel=0.01)

    @given(st.integers(1, 64), st.lists(st.tuples(st.floats(), st.floats(0, 16), st.floats(0, 3), st.floats(0, 1e6))))
    def test_it_stays_within_reason(self, cores: int, seen: list[tuple[float, float, float, float]]) -> None:
        """Half of one thread to two, whatever it is told."""
        learned = Scaling(cores)
        now = 0.0
        for ratio, beside, loops, step in seen:
            now += step
            learned.observe(ratio, beside, loops, now)
            assert 0.5 - 1e-9 <= learned.value(now) <= 2.0 + 1e-9
            assert learned.slowdown(beside, now) >= 1
