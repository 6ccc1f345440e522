"""The pictures of docs/performance.md. Needs matplotlib, of the `bench` extra."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

Figures = dict[str, Any]

COLOURS = {"aprover": "#1b6ca8", "Winterfell": "#c1553b", "Plonky3": "#5d8a3a", "Stwo": "#8a6bb1"}
STYLES = {"ours": "-", "fastest": "-.", "usual": "--", "proven": ":"}
KINDS = {"fastest": "of any size", "usual": "as usual", "proven": "100 proven bits"}


def _save(figure: Figure, path: Path) -> Path:
    figure.tight_layout()
    # Without the date, the same figures give the same bytes.
    figure.savefig(path, dpi=110, metadata={"Software": None})
    return path


def _rows_axis(axes: Any, title: str, label: str) -> None:
    axes.set(title=title, xlabel="rows", ylabel=label, yscale="log")
    axes.set_xscale("log", base=2)
    axes.grid(True, which="major", alpha=0.3)
    axes.legend(fontsize=8)


def _fastest(figures: Figures) -> dict[tuple[str, str], dict[int, Figures]]:
    """The fastest arm of each peer and role, by log2 of the rows."""
    found: dict[tuple[str, str], dict[int, Figures]] = {}
    for row in figures["rows"]:
        line = found.setdefault((row["peer"], row["role"]), {})
        other = line.get(row["log_rows"])
        if other is None or row["prove"] < other["prove"]:
            line[row["log_rows"]] = row
    return found


def _peers(figures: Figures, folder: Path) -> Iterator[Path]:
    lines = _fastest(figures)
    figure = Figure(figsize=(7, 4.5))
    axes = figure.subplots()
    for (peer, role), line in lines.items():
        points = sorted((1 << size, row["prove"] / 1e3) for size, row in line.items())
        label = peer if role == "ours" else f"{peer}, {KINDS[role]}"
        axes.plot(*zip(*points, strict=True), STYLES[role], color=COLOURS[peer], marker=".", label=label)
    _rows_axis(axes, "One proof of Fibonacci, one thread", "milliseconds")
    yield _save(figure, folder / "peers.png")
    figure = Figure(figsize=(7, 3.5))
    axes = figure.subplots()
    for (peer, role), line in lines.items():
        if role == "usual":
            points = sorted((1 << size, row["prove_ratio"]) for size, row in line.items())
            axes.plot(*zip(*points, strict=True), color=COLOURS[peer], marker=".", label=peer)
    axes.axhline(10, color="#555555", linewidth=0.8, label="target")
    _rows_axis(axes, "Peers as usual: how many times as long as aprover", "times")
    yield _save(figure, folder / "ratios.png")


def _sweep(figures: Figures, folder: Path) -> Path:
    cases = [case for name, case in figures["cases"].items() if name.startswith("Fibonacci(2^")]
    rows = [case["rows"] for case in cases]
    figure = Figure(figsize=(10, 4))
    left, right = figure.subplots(1, 2)
    left.plot(rows, [1e3 * case["prove"] for case in cases], marker=".", label="prove")
    left.plot(rows, [1e3 * case["verify"] for case in cases], marker=".", label="verify")
    _rows_axis(left, "Fibonacci, 100 proven bits, one core", "milliseconds")
    right.plot(rows, [case["bytes"] / 1024 for case in cases], marker=".", label="proof, KiB")
    right.plot(rows, [max(case["mib"], 0.1) for case in cases], marker=".", label="memory, MiB")
    _rows_axis(right, "Size and memory", "KiB, MiB")
    return _save(figure, folder / "sweep.png")


def _limits(figures: Figures, folder: Path) -> Path:
    figure = Figure(figsize=(7, 3))
    axes = figure.subplots()
    sizes = [f"2^{one['log_rows']}" for one in figures["limits"]]
    done = [0.0] * len(sizes)
    for group in figures["limits"][-1]["groups"]:
        shares = [one["groups"].get(group, 0.0) / one["whole"] for one in figures["limits"]]
        axes.barh(sizes, shares, left=done, label=group)
        done = [a + b for a, b in zip(done, shares, strict=True)]
    axes.set(title="What the kernels alone would take, of the whole", xlabel="share", xlim=(0, 1))
    axes.legend(fontsize=8, loc="lower right")
    return _save(figure, folder / "limits.png")


def draw(peers: Figures | None, speed: Figures | None, kernels: Figures | None, folder: Path) -> Iterator[Path]:
    """Draws what there are figures for, as PNG files in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    if peers is not None:
        yield from _peers(peers, folder)
    if speed is not None:
        yield _sweep(speed, folder)
    if kernels is not None:
        yield _limits(kernels, folder)
