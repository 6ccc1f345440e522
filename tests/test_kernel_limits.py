"""What the kernels allow is counted as the protocol says."""

from __future__ import annotations

import pytest

from aprover import Fibonacci
from aprover.proof import shape_of
from aprover.security import Parameters, Shape
from benchmarks.kernels import TRANSFORMS, Kernels, group_of, limits, phases, work

NAMES = ("from_canonical", "interpolate", "evaluate", "dot_columns", "accumulate", "divide", "add_scaled", "fold")


def kernels(**costs: float) -> Kernels:
    """Kernels that cost nothing but what is said."""
    hashes = {name: costs.pop(name, 0.0) for name in ("leaf", "node", "nonce", "alone")}
    return Kernels({name: {5: costs.get(name, 0.0)} for name in NAMES}, **hashes)


def fibonacci(log_rows: int) -> Shape:
    return shape_of(Fibonacci(1 << log_rows).compiled())


class TestKernels:
    def test_a_transform_costs_what_it_does_at_its_length_and_a_stream_its_best(self) -> None:
        """Only the transforms have more to do for each element of a longer vector."""
        by_length = {8: 1.0, 12: 2.0, 16: 0.5}
        measured = Kernels({"evaluate": by_length, "divide": by_length}, 0, 0, 0, 0)
        assert [measured.element("evaluate", length) for length in (5, 8, 13, 20)] == [1.0, 1.0, 2.0, 0.5]
        assert measured.element("divide", 12) == 0.5


class TestCounts:
    def test_hashing_at_2_5_rows(self) -> None:
        """Blowup 2: eight leaves of 64 bytes and eight of 160, and as many nodes; no FRI layer is committed."""
        parameters = Parameters(1, 6)
        assert limits(kernels(leaf=1.0), fibonacci(5), parameters)["hashing"] == pytest.approx(32e-9)
        assert limits(kernels(node=1.0), fibonacci(5), parameters)["hashing"] == pytest.approx(16e-9)

    def test_transforms_at_2_5_rows(self) -> None:
        """Two columns and five of the quotient, there and to both cosets, one of which the quotient comes from."""
        parameters = Parameters(1, 6)
        assert limits(kernels(interpolate=1.0), fibonacci(5), parameters)["transforms"] == pytest.approx(7 * 32e-9)
        assert limits(kernels(evaluate=1.0), fibonacci(5), parameters)["transforms"] == pytest.approx(9 * 32e-9)

    def test_grinding_takes_two_to_its_bits(self) -> None:
        """On average."""
        assert limits(kernels(nonce=1.0), fibonacci(10), Parameters(1, 100, 12))["grinding"] == pytest.approx(4096e-9)

    def test_work_grows_as_the_rows_do(self) -> None:
        """Twice the rows are about twice the elements of every kernel."""
        parameters = Parameters(1, 100)
        for name in NAMES:
            count = [sum(n for _, kernel, _, n in work(fibonacci(k), parameters) if kernel == name) for k in (14, 15)]
            assert 1.9 < count[1] / count[0] < 2.2
        assert set(TRANSFORMS) < set(NAMES)

    def test_a_long_deep_polynomial_is_folded_as_it_is_made(self) -> None:
        """Two sums over all that is opened, a division of an eighth at each point, and no first fold."""
        counted = dict.fromkeys(NAMES, 0.0)
        for group, kernel, _, elements in work(fibonacci(12), Parameters(1, 100)):
            if group.startswith("openings"):
                counted[kernel] += elements / 2**12
        assert counted["accumulate"] == 2 * counted["dot_columns"]
        assert counted["divide"] == 2 / 8
        assert counted["fold"] == pytest.approx(1 / 8)


class TestPhases:
    def test_the_whole_is_shared_out_as_the_profile_says(self) -> None:
        """What has no limit is shown too, and nothing without a profile."""
        one = {"groups": {"hashing": 2.0}, "whole": 10.0}
        shared = phases(one, {"hashing": 0.3, "other": 0.7})
        assert [(p["group"], p["measured"], p["limit"]) for p in shared] == [("other", 7.0, 0.0), ("hashing", 3.0, 2.0)]
        assert phases(one, None) == []


class TestProfile:
    @pytest.mark.parametrize(
        ("symbol", "group"),
        [
            ("compress8.constprop.0", "hashing"),
            ("transform_columns.constprop.1", "transforms"),
            ("block_avx2", "constraints"),
            ("divide", "openings, DEEP and folding"),
            ("grind_avx2", "grinding"),
            ("apr_trace_fibonacci", "trace"),
            ("apr_plan_make", "other"),
        ],
    )
    def test_functions_of_the_core_are_grouped_by_what_they_do(self, symbol: str, group: str) -> None:
        """By name."""
        assert group_of("_native.abi3.so", symbol) == group

    def test_the_interpreter_is_no_part_of_a_proof(self) -> None:
        """But what the system does for it is."""
        assert group_of("libpython3.11.so.1.0", "_PyEval_EvalFrameDefault") is None
        assert group_of("[kernel.kallsyms]", "clear_page_erms") == "the system"
