"""``make bench-report``: the tables of docs/performance.md and README.md, and pictures, from the last runs' figures.

Whatever stands in these documents between ``<!-- NAME -->`` and ``<!-- end -->`` is replaced by what the function of
that name below makes of ``benchmarks/results/*.json``. So no number in it is written by hand.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from .machine import MOST_WAITED, RESULTS

ROOT = Path(__file__).parent.parent
DOCUMENT = ROOT / "docs" / "performance.md"
DOCUMENTS = (DOCUMENT, ROOT / "README.md")
PICTURES = DOCUMENT.parent / "performance"
WANTED_RATIO = 10.0
SHOWN = (5, 10, 20)
"""log2 of the rows of which everything is shown."""
WANTED_SHARE = 0.6
WIDE = "Poseidon2Chain(2^14)"
WANTED_PERMUTATIONS = 150_000
"""A second, on one core, in a trace with one permutation a row."""
WANTED_LANES = 1.2
"""What several proofs side by side would have to win to be worth a second prover in C."""
NOT_MEASURED = "Not measured yet."
BLOCK = re.compile(r"(<!-- (?P<name>[a-z-]+) -->\n).*?(<!-- end -->)", re.DOTALL)

Figures = dict[str, Any]


def load(name: str, folder: Path = RESULTS) -> Figures | None:
    """The figures of the last run of one benchmark; None if there was none."""
    path = folder / f"{name}.json"
    if not path.exists():
        return None
    figures: Figures = json.loads(path.read_text())
    return figures


def load_lines(name: str, folder: Path = RESULTS) -> list[Figures] | None:
    """As `load`, of one JSON object a line."""
    path = folder / f"{name}.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else None


def table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Markdown; all columns but the first are right-aligned."""
    lines = [titles, ["---", *["---:"] * (len(titles) - 1)], *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def seconds(value: float) -> str:
    """Three digits, in a unit that suits."""
    unit, factor = ("s", 1.0) if value >= 1 else ("ms", 1e3) if value >= 1e-3 else ("µs", 1e6)
    scaled = value * factor
    return f"{scaled:,.{0 if scaled >= 100 else 1 if scaled >= 10 else 2}f} {unit}"


def kib(size: float) -> str:
    return f"{size / 1024:.1f} KiB"


def picture(title: str, name: str) -> str:
    """A picture that `plots` draws from the same figures."""
    return f"\n![{title}]({PICTURES.name}/{name}.png)\n"


def setting(arm: Figures) -> str:
    """How an arm is configured."""
    ground = f", {arm['grinding_bits']} bits of grinding" if arm["grinding_bits"] else ""
    return f"{arm['kind']}, {arm['queries']} queries{ground}"


def about(figures: Figures) -> str:
    m = figures["machine"]
    return (
        f"{m['date']}, revision {m['revision']}: {m['processor']}, {m['cores']} cores, {m['memory_gib']} GiB, "
        f"{m['instruction_set']}, {m['system']}, Python {m['python']}, {m['compiler']}"
        + (f", {m['rust']}" if "rust" in m else "")
        + f"; load {m['load']} before the start.\n"
    )


# ---- the blocks ----


def by_size(rows: Sequence[Figures]) -> dict[int, list[Figures]]:
    sizes: dict[int, list[Figures]] = {}
    for row in rows:
        sizes.setdefault(row["log_rows"], []).append(row)
    return sizes


def fastest(rows: Sequence[Figures], peer: str | None, role: str) -> Figures | None:
    """The fastest arm of a peer, or of all, in a role."""
    those = [row for row in rows if row["role"] == role and peer in (None, row["peer"])]
    return min(those, key=lambda row: float(row["prove_ratio"]), default=None)


def ratios(folder: Path, role: str) -> str:
    """How many times as long as this project the peers take, at each size."""
    figures = load("peers", folder)
    if figures is None:
        return f"{NOT_MEASURED}\n"
    versions = figures["versions"]
    unlimited = any(one["role"] == "fastest" for one in figures["rows"])
    rows = []
    for log_rows, arms in by_size(figures["rows"]).items():
        ours = next(arm for arm in arms if arm["role"] == "ours")
        cells = [f"2^{log_rows}", seconds(ours["prove"] / 1e6)]
        for peer in versions:
            best = fastest(arms, peer, role)
            cells.append("-" if best is None else f"{best['prove_ratio']:.1f}")
        best = fastest(arms, None, role)
        cells.append("-" if best is None else f"**{best['prove_ratio']:.1f}**")
        if unlimited:
            mine = min((one["prove_ratio"] for one in arms if one["role"] == "fastest"), default=1.0)
            cells.append("-" if best is None else f"{best['prove_ratio'] / mine:.1f}")
        rows.append(cells)
    titles = ["rows", "aprover", *(f"{peer} {number}" for peer, number in versions.items()), "the fastest"]
    titles += ["with proofs of any size"] if unlimited else []
    shown = ("How many times as long", "ratios") if role == "usual" else ("Time by rows", "peers")
    return table(titles, rows) + picture(*shown)


def busy(measured: Iterable[Figures]) -> str:
    """A sentence for figures of a machine that had other things to do; else nothing."""
    waited = max(float(one["waited"]) for one in measured)
    if waited <= MOST_WAITED:
        return ""
    return f" **The machine was busy: processes waited for a core up to {waited:.0%} of their time.**"


def summary(folder: Path) -> str:
    """One sentence on the target for the ratio."""
    figures = load("peers", folder)
    if figures is None:
        return f"{NOT_MEASURED}\n"
    found = {size: fastest(arms, None, "usual") for size, arms in by_size(figures["rows"]).items()}
    measured = {size: float(best["prove_ratio"]) for size, best in found.items() if best is not None}
    missed = [f"2^{size} ({ratio:.1f})" for size, ratio in measured.items() if ratio < WANTED_RATIO]
    text = (
        f"Against the fastest peer as usual the ratio is between {min(measured.values()):.1f} and "
        f"{max(measured.values()):.1f}; the target of {WANTED_RATIO:.0f} is "
    )
    text += f"missed at {', '.join(missed)}" if missed else "met at every size"
    missing = "".join(f" {peer} is not measured: {why}." for peer, why in figures["missing"].items())
    return f"{text}. Medians of {figures['rounds']} rounds.{busy(figures['rows'])}{missing}\n"


def arms(folder: Path) -> str:
    """Everything measured of each arm at three sizes."""
    figures = load("peers", folder)
    if figures is None:
        return f"{NOT_MEASURED}\n"
    sizes = by_size(figures["rows"])
    shown: list[int] = [size for size in SHOWN if size in sizes] or list(sizes)
    rows = [
        [
            f"2^{size} {arm['peer']}, {arm['role']}: {setting(arm)}",
            f"{arm['proven_bits']:.0f}",
            "-" if arm["conjectured_bits"] is None else f"{arm['conjectured_bits']:.0f}",
            seconds(arm["prove"] / 1e6),
            seconds(arm["verify"] / 1e6),
            kib(arm["bytes"]),
            f"{arm['peak_mib']:.1f} MiB",
        ]
        for size in shown
        for arm in sizes[size]
    ]
    return table(["", "proven bits", "conjectured", "prove", "verify", "proof", "memory"], rows)


def smallest(folder: Path) -> str:
    """The smallest proofs at 100 proven bits."""
    figures = load("peers", folder)
    if figures is None or not figures["smallest"]:
        return f"{NOT_MEASURED}\n"
    rows = [
        [
            f"2^{row['log_rows']} {row['peer']}: {setting(row)}",
            kib(row["bytes"]),
            seconds(row["prove"] / 1e6),
        ]
        for row in figures["smallest"]
    ]
    return table(["", "proof", "prove"], rows)


def sweep(folder: Path) -> str:
    """One proof on one core, by size."""
    figures = load("speed", folder)
    if figures is None:
        return f"{NOT_MEASURED}\n"
    rows = [
        [
            name,
            seconds(case["prove"]),
            seconds(case["prove_together"]) if case["prove_together"] != case["prove"] else "-",
            seconds(case["verify"]),
            kib(case["bytes"]),
            f"{case['mib']:.0f} MiB",
            f"{case['bits']:.0f}",
            f"{case['blowup']}, {case['queries']}, {case['grinding_bits']}",
        ]
        for name, case in figures["cases"].items()
    ]
    titles = ["", "prove", "one of 16", "verify", "proof", "memory", "bits", "blowup, queries, grinding"]
    text = table(titles, rows)
    if figures["growth"] is not None:
        verdict = "no worse than" if figures["growth"] <= 1 else "worse than"
        text += (
            f"\nFrom 2^10 to 2^22 rows the time grows {figures['growth']:.2f} times as much as n log n would: "
            f"{verdict} n log n.{busy(figures['cases'].values())}\n"
        )
    return text + wide(figures["cases"]) + picture("Time, size and memory", "sweep")


def wide(cases: dict[str, Figures]) -> str:
    """One sentence on Poseidon2 permutations a second, and on the target for them."""
    case = cases.get(WIDE)
    if case is None:
        return ""
    fastest = case["fastest"]
    usual, most = case["rows"] / case["prove"], case["rows"] / fastest["prove"]
    ways = {"as usual too": usual, 'with `prefer="fastest"`': most}
    met = next((f"met {way}" for way, rate in ways.items() if rate >= WANTED_PERMUTATIONS), "missed")
    return (
        f"\nPoseidon2, one permutation a row, {case['rows']:,} rows of {case['columns']} columns: "
        f'{usual:,.0f} permutations a second as usual, {most:,.0f} with `prefer="fastest"` '
        f"(blowup {fastest['blowup']}, {fastest['queries']} queries, {fastest['grinding_bits']} bits of grinding, "
        f"{kib(fastest['bytes'])}). The target of {WANTED_PERMUTATIONS:,} is {met}.\n"
    )


def programs(folder: Path) -> str:
    """What proofs of the programs that ship cost, and what zero knowledge adds."""
    figures = load("programs", folder)
    if figures is None:
        return f"{NOT_MEASURED}\n"
    rows = [
        [
            name,
            "<br>".join(
                f"2^{rows.bit_length() - 1} x {columns}"
                for rows, columns in zip(case["rows"], case["columns"], strict=True)
            ),
            seconds(case["prove"]),
            seconds(case["verify"]),
            kib(case["bytes"]),
            f"{case['mib']:.0f} MiB",
            f"{case['zk']['prove'] / case['prove']:.1f}",
            kib(case["zk"]["bytes"]),
        ]
        for name, case in figures["cases"].items()
    ]
    titles = ["", "rows x columns", "prove", "verify", "proof", "memory", "zk, times", "zk, proof"]
    waited = busy(case for both in figures["cases"].values() for case in (both, both["zk"]))
    return table(titles, rows) + (f"\n{waited.strip()}\n" if waited else "")


def aggregates(folder: Path) -> str:
    """What a statement costs in an aggregate, and alone."""
    figures = load("aggregates", folder)
    if figures is None:
        return f"{NOT_MEASURED}\n"
    rows = [
        [
            f"{name}, {prefer}",
            *(seconds(case[what]) for what in ("c", "all", "engine", "alone")),
            kib(case["bytes"]),
            kib(case["alone_bytes"]),
            seconds(case["verify"]),
        ]
        for name, ways in figures["cases"].items()
        for prefer, case in ways.items()
    ]
    return table(["", "in C", "with Python", "by the engine", "alone", "all bytes", "alone", "verify all"], rows)


def kernel_limits(folder: Path) -> str:
    """What the kernels allow, and how near the whole comes."""
    figures = load("kernels", folder)
    if figures is None:
        return f"{NOT_MEASURED}\n"
    groups = list(figures["limits"][-1]["groups"])
    rows = [
        [
            f"2^{one['log_rows']}",
            *(seconds(one["groups"].get(group, 0.0)) for group in groups),
            seconds(one["sum"]),
            seconds(one["whole"]),
            f"**{one['sum'] / one['whole']:.0%}**",
        ]
        for one in figures["limits"]
    ]
    verdicts = [f"2^{one['log_rows']}" for one in figures["limits"] if one["sum"] < WANTED_SHARE * one["whole"]]
    text = table(["rows", *groups, "sum", "the whole", "share"], rows)
    missed = f"missed at {', '.join(verdicts)}" if verdicts else "met at each of these sizes"
    return (
        text
        + f"\nThe target, a sum of at least {WANTED_SHARE:.0%} of the whole, is {missed}.\n"
        + phase_limits(figures["limits"])
        + picture("Shares of the kernels", "limits")
    )


def phase_limits(limits: Sequence[Figures]) -> str:
    """Each group of the work at each size: measured, its limit, and how near it comes."""
    rows = [
        [
            f"2^{one['log_rows']} {phase['group']}",
            seconds(phase["measured"]),
            seconds(phase["limit"]) if phase["limit"] else "-",
            f"{phase['limit'] / phase['measured']:.0%}" if phase["limit"] and phase["measured"] else "-",
        ]
        for one in limits
        for phase in one.get("phases", [])
    ]
    if not rows:
        return ""
    said = "\nMeasured is the whole, shared out as perf samples it; the limit is what the kernels alone would take.\n\n"
    return said + table(["rows and part of the work", "measured", "limit", "share"], rows)


def profile(folder: Path) -> str:
    """Where the time goes, as perf sees it."""
    figures = load("kernels", folder)
    profiles = {size: shares for size, shares in (figures or {"profiles": {}})["profiles"].items() if shares}
    if not profiles:
        return f"{NOT_MEASURED}\n"
    groups = list(dict.fromkeys(group for shares in reversed(profiles.values()) for group in shares))
    rows = [[group, *(f"{shares.get(group, 0.0):.1%}" for shares in profiles.values())] for group in groups]
    return table(["share of the time", *(f"2^{size} rows" for size in profiles)], rows)


def lanes(folder: Path) -> str:
    """What eight proofs side by side in the lanes of the hash could win."""
    figures = load("kernels", folder)
    if figures is None:
        return f"{NOT_MEASURED}\n"
    rows = [
        [
            f"2^{one['log_rows']}",
            seconds(one["whole"]),
            str(one["lone"]),
            str(one["idle"]),
            seconds(one["saved"]),
            f"**{one['bound']:.2f}**",
        ]
        for one in figures["lanes"]
    ]
    titles = ["rows", "one of 64", "lone compressions", "idle lanes", "they cost", "at most so many times as fast"]
    best = max(float(one["bound"]) for one in figures["lanes"])
    verdict = "worth it" if best >= WANTED_LANES else "not worth it"
    return table(titles, rows) + f"\nFrom {WANTED_LANES} times on it would be worth it: it is {verdict}.\n"


def kernels(folder: Path) -> str:
    """The microbenchmarks."""
    figures = load("kernels", folder)
    if figures is None:
        return f"{NOT_MEASURED}\n"
    of_all = figures["kernels"]
    lengths = [length for length in ("8", "12", "16", "20") if length in of_all["polynomial"]["evaluate"]]
    rows = [
        [name, *(f"{by_length[length]:.2f}" for length in lengths)] for name, by_length in of_all["polynomial"].items()
    ]
    titles = ["ns an element", *(f"2^{length}" for length in lengths)]
    return table(titles, rows) + (
        f"\nBLAKE3, ns a compression: {of_all['leaf']:.1f} in leaves, {of_all['node']:.1f} in nodes, "
        f"{of_all['nonce']:.1f} for a nonce; {of_all['alone']:.1f} where each waits for the one before.\n"
    )


def engine(folder: Path) -> str:
    """What the engine costs and is worth."""
    figures = load_lines("engine", folder)
    if figures is None:
        return f"{NOT_MEASURED}\n"
    rows = []
    for one in figures:
        target = "" if one["target"] is None else f"{'at least' if one['at_least'] else 'at most'} {one['target']:g}"
        verdict = {True: "met", False: "missed", None: ""}[one["met"]]
        rows.append([one["name"], f"{one['value']:.3g} {one['unit']}".strip(), target, verdict])
    return table(["", "measured", "target", ""], rows)


# ---- the figures of the README ----


def face_of_sizes(folder: Path) -> list[list[str]]:
    """One proof, by size."""
    cases = (load("speed", folder) or {"cases": {}})["cases"]
    shown = {"Fibonacci(20)": "`Fibonacci(20)`", "Fibonacci(2^20)": "2^20 rows"}
    rows = []
    for name, title in shown.items():
        case = cases.get(name)
        times = case and (
            f"proved in {seconds(case['prove'])}, verified in {seconds(case['verify'])}, {kib(case['bytes'])}"
        )
        rows.append([f"{title}, on one core", times or NOT_MEASURED, "`make bench`"])
    return rows


def face_of_hashes(folder: Path) -> list[str]:
    """Wide traces."""
    case = (load("speed", folder) or {"cases": {}})["cases"].get(WIDE)
    said = case and (
        f"{case['rows'] / case['prove']:,.0f} permutations a second, "
        f'{case["rows"] / case["fastest"]["prove"]:,.0f} with `prefer="fastest"`'
    )
    return ["Poseidon2, 2^14 rows, on one core", said or NOT_MEASURED, "`make bench`"]


def face_of_peers(folder: Path) -> list[str]:
    """The fastest other prover."""
    figures = load("peers", folder)
    title, command = "the fastest of Winterfell, Plonky3, Stwo", "`make bench-peers`"
    if figures is None:
        return [title, NOT_MEASURED, command]
    found = {size: fastest(arms, None, "usual") for size, arms in by_size(figures["rows"]).items()}
    least, *_, most = sorted(float(best["prove_ratio"]) for best in found.values() if best is not None)
    sizes = f"2^{min(found)} to 2^{max(found)} rows"
    return [title, f"takes {least:.1f} to {most:.1f} times as long, {sizes}", command]


def face_of_engine(folder: Path) -> list[str]:
    """A hit."""
    figures = {one["name"]: one["value"] for one in load_lines("engine", folder) or []}
    hit = figures.get("hit, trio")
    said = NOT_MEASURED if hit is None else seconds(hit / 1e6)
    return ["an `await` that finds its proof in the cache", said, "`make bench`"]


def face_of_masks(folder: Path) -> list[str]:
    """What zero knowledge costs."""
    cases = (load("programs", folder) or {"cases": {}})["cases"].values()
    factors = sorted(case["zk"]["prove"] / case["prove"] for case in cases)
    said = f"{factors[0]:.1f} to {factors[-1]:.1f} times as long" if factors else NOT_MEASURED
    return ["`zk=True`, on the programs that ship", said, "`make bench-programs`"]


def face_of_aggregates(folder: Path) -> list[str]:
    """Many statements in one proof."""
    cases = (load("aggregates", folder) or {"cases": {}})["cases"]
    case = cases.get("256 Fibonacci(20)", {}).get("time")
    said = case and f"{seconds(case['all'])} a statement; {kib(case['bytes'])}, verified in {seconds(case['verify'])}"
    return ["256 of `Fibonacci(20)` in one proof", said or NOT_MEASURED, "`make bench-aggregates`"]


def face(folder: Path) -> str:
    """The table of the README: a few figures, and what repeats each."""
    others = (face_of_hashes, face_of_peers, face_of_engine, face_of_aggregates, face_of_masks)
    rows = [*face_of_sizes(folder), *(row(folder) for row in others)]
    return "".join(
        f"| {' | '.join(cells)} |\n"
        for cells in (["what", "[measured](docs/performance.md)", "to repeat"], ["---"] * 3, *rows)
    )


def runs(folder: Path) -> str:
    """Which machine the figures are from."""
    names = {
        "peers": "Peers",
        "speed": "Sweep",
        "programs": "Programs",
        "aggregates": "Aggregates",
        "kernels": "Kernels",
    }
    loaded = {title: load(name, folder) for name, title in names.items()}
    return (
        "".join(f"- {title}: {about(figures)}" for title, figures in loaded.items() if figures) or f"{NOT_MEASURED}\n"
    )


BLOCKS: dict[str, Callable[[Path], str]] = {
    "summary": summary,
    "usual": lambda folder: ratios(folder, "usual"),
    "proven": lambda folder: ratios(folder, "proven"),
    "arms": arms,
    "smallest": smallest,
    "sweep": sweep,
    "programs": programs,
    "aggregates": aggregates,
    "limits": kernel_limits,
    "profile": profile,
    "lanes": lanes,
    "kernels": kernels,
    "engine": engine,
    "runs": runs,
    "face": face,
}


def fill(document: str, folder: Path = RESULTS) -> str:
    """The document with its blocks made anew.

    Raises:
        KeyError: It has a block of a name that is not in `BLOCKS`.
    """
    return BLOCK.sub(lambda found: f"{found[1]}{BLOCKS[found['name']](folder)}{found[3]}", document)


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.report", description=__doc__)
    parser.add_argument("--no-pictures", action="store_true", help="only the tables: without matplotlib")
    options = parser.parse_args()
    for document in DOCUMENTS:
        document.write_text(fill(document.read_text()))
        print(f"tables: {document}")
    if options.no_pictures:
        return
    from .plots import draw  # the one part that needs matplotlib

    for path in draw(load("peers"), load("speed"), load("kernels"), PICTURES):
        print(f"picture: {path}")


if __name__ == "__main__":
    main()
