"""The timeline's page, in a real browser without a window."""

from __future__ import annotations

import os
import re
import shutil
import statistics
from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import attrs
import pytest

from aprover.cli.page import page
from aprover.telemetry import Run
from aprover.telemetry.run import Fate
from tests.support.runs import batch, help_with, random_run, recorded, request

REQUESTS = int(os.environ.get("APROVER_PAGE_REQUESTS", "20000"))
"""Of the large run; the page is made for 100,000, but the suite has to be quick."""
FRAME_SECONDS = 0.1
"""Of the large run, at most, on a machine without a graphics card that does other things as well."""

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install aprover[browser]")
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    with sync_api.sync_playwright() as playwright:
        if found is None and not Path(playwright.chromium.executable_path).exists():
            pytest.skip("needs Chromium: apt-get install chromium, or playwright install chromium")
        # As root, as in a container, there is no sandbox.
        launched = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield launched
        launched.close()


@attrs.define
class Opened:
    """A page in the browser, and what came of it."""

    page: Any
    complaints: list[str]
    asked_for: list[str]

    def view(self) -> tuple[float, float]:
        lanes = self.page.locator("#lanes")
        return float(lanes.get_attribute("data-from")), float(lanes.get_attribute("data-to"))

    def place_of(self, expression: str) -> tuple[float, float]:
        """Where on the screen a point of the lanes is; the expression gives ``[x, y]``."""
        box = self.page.locator("#lanes").bounding_box()
        x, y = self.page.evaluate(f"(() => {{ measure(); return {expression}; }})()")
        return box["x"] + x, box["y"] + y

    def settle(self) -> None:
        self.page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Run, str], Path]:
    """Writes the page of a run, once."""
    folder = tmp_path_factory.mktemp("pages")
    known: list[tuple[Run, Path]] = []

    def write(run: Run, title: str) -> Path:
        for other, path in known:
            if other is run:
                return path
        path = folder / f"{len(known)}.html"
        path.write_text(page(run, title), encoding="utf-8")
        known.append((run, path))
        return path

    return write


@pytest.fixture(scope="module")
def tab(browser: Any) -> Iterator[Any]:
    """One for all tests, which load a page anew: that takes a fraction of the time that a new one takes."""
    made = browser.new_page(viewport={"width": 1200, "height": 1200})
    yield made
    made.close()


@pytest.fixture
def opened(tab: Any, written: Callable[[Run, str], Path]) -> Iterator[Any]:
    listening: list[tuple[str, Any]] = []

    def listen(event: str, listener: Any) -> None:
        tab.on(event, listener)
        listening.append((event, listener))

    def open_run(run: Run, *, title: str = "a run", scheme: str = "light") -> Opened:
        seen = Opened(tab, [], [])
        listen("console", lambda message: seen.complaints.append(message.text))
        listen("pageerror", lambda error: seen.complaints.append(str(error)))
        listen("dialog", lambda dialog: seen.complaints.append(dialog.message))
        listen("request", lambda asked: seen.asked_for.append(asked.url))
        tab.emulate_media(color_scheme=scheme)
        tab.goto(written(run, title).as_uri())
        tab.mouse.move(1, 1)
        seen.settle()
        return seen

    yield open_run
    for event, listener in listening:
        tab.remove_listener(event, listener)


@pytest.fixture(scope="module")
def small() -> Run:
    """Ten seconds with one request of each fate."""
    done = {"placement": "offload", "batch": 1, "flight": 1, "predicted": 0.5, "reason": "workers are sooner"}
    halves = {"placement": "split", "batch": 2, "flight": 5}
    inline = {"flight": 2, "predicted": 0.1, "reason": "shorter than a delivery"}
    return Run.of(
        recorded(
            [
                *request(1, (1.0, "submitted", {}), (1.0, "queued", done), (3.0, "completed", done)),
                *request(2, (1.5, "submitted", {}), (1.5, "joined", {"flight": 1}), (3.0, "completed", done)),
                *request(3, (4.0, "submitted", {}), (4.1, "hit", {})),
                *request(4, (5.0, "submitted", {}), (5.0, "inline", inline), (5.5, "flight_ended", inline)),
                *request(4, (5.6, "completed", {**inline, "placement": "inline", "batch": None})),
                *request(5, (6.0, "submitted", {}), (6.0, "queued", {"flight": 5}), (9.0, "completed", halves)),
                *request(6, (6.5, "submitted", {}), (6.5, "joined", {"flight": 5}), (7.0, "cancelled", {})),
                *request(7, (7.0, "submitted", {}), (7.1, "rejected", {})),
                *request(8, (7.5, "submitted", {}), (7.6, "failed", {"error": "ProveError"})),
                *request(9, (9.5, "submitted", {})),
                *batch(1, 2.0, 2.75, [1], predicted=0.5, reason="workers are sooner", queue_wait=1.0),
                *batch(2, 6.25, 8.75, [5], placement="split", reason="long enough", worker="aprover worker 2"),
                *help_with(2, 6.5, 8.0, worker="aprover worker 1"),
            ],
            seconds=10.0,
        )
    )


@pytest.fixture(scope="module")
def large() -> Run:
    return Run.of(random_run(REQUESTS))


class TestLoading:
    def test_it_asks_for_nothing_and_complains_about_nothing(self, opened: Any, small: Run) -> None:
        """One file, no network, and a policy that forbids it."""
        seen = opened(small)
        assert len(seen.asked_for) == 1
        assert seen.complaints == []
        policy = seen.page.locator("meta[http-equiv]").get_attribute("content")
        assert policy.startswith("default-src 'none'")
        assert "unsafe" not in policy

    def test_the_counts_are_those_of_the_run(self, opened: Any, small: Run) -> None:
        """On the buttons of the fates, in the figures, and in the tables."""
        seen = opened(small)
        texts = seen.page.locator("#fates button").all_inner_texts()
        assert {tuple(text.split()) for text in texts} == {(fate.value, "1") for fate in Fate}
        figures = " ".join(seen.page.locator("#figures").inner_text().split())
        assert "requests 9 5 answered" in figures
        assert "batches 2 1 proofs on average" in figures
        rows = seen.page.locator("#reasons tbody tr").all_inner_texts()
        assert [row.split("\t")[:4] for row in rows] == [
            ["offload", "workers are sooner", "1", "1"],
            ["inline", "shorter than a delivery", "1", "1"],
            ["split", "long enough", "1", "1"],
        ]
        assert seen.page.locator("#slowest tbody tr").count() == 5

    def test_what_is_in_view_is_reckoned_as_the_summary_is(self, opened: Any, large: Run) -> None:
        """Python sums up the whole run, and the page what it shows: here the same."""
        seen = opened(large)
        there = seen.page.evaluate("inView()")
        figures = large.figures()
        assert there["requests"] == figures.requests == REQUESTS
        assert there["answered"] == figures.answered
        assert there["throughput"] == pytest.approx(figures.throughput, rel=1e-6)
        assert there["occupancy"] == pytest.approx(figures.occupancy, rel=1e-3)
        assert there["p50"] == pytest.approx(figures.latency["p50"], abs=1e-6)
        assert there["p99"] == pytest.approx(figures.latency["p99"], abs=1e-6)

    def test_names_are_shown_as_they_are(self, opened: Any) -> None:
        """Markup in a program's id, in a reason or in a title does nothing."""
        evil = "<img src=x onerror=alert(1)></script><script>alert(2)</script>"
        done = {"placement": "offload", "reason": evil, "batch": 1, "flight": 1}
        run = Run.of(
            recorded(
                [
                    *request(1, (0.0, "submitted", {}), (0.1, "queued", done), (0.9, "completed", done), program=evil),
                    *batch(1, 0.2, 0.8, [1], reason=evil, worker=evil),
                ]
            )
        )
        seen = opened(run, title=evil)
        seen.page.locator("#lanes").press("n")
        assert seen.complaints == []
        assert seen.page.locator("h1").inner_text() == evil
        assert evil in seen.page.locator("#reasons").inner_text()
        assert evil in seen.page.locator("#chosen").inner_text()

    def test_an_empty_run_is_a_page_too(self, opened: Any) -> None:
        """With nothing on it."""
        seen = opened(Run.of(recorded([])))
        assert seen.complaints == []
        assert "requests 0" in " ".join(seen.page.locator("#figures").inner_text().split())

    def test_without_a_style_of_its_own_it_follows_the_system(self, opened: Any, small: Run) -> None:
        """Dark where the system is, and the button switches."""
        seen = opened(small, scheme="dark")
        ground = "getComputedStyle(document.body).backgroundColor"
        dark = seen.page.evaluate(ground)
        seen.page.locator("#theme").click()
        light = seen.page.evaluate(ground)
        assert sum(map(int, re.findall(r"\d+", dark))) < 150 < 600 < sum(map(int, re.findall(r"\d+", light)))


class TestZoom:
    def test_it_begins_with_all_of_the_run(self, opened: Any, small: Run) -> None:
        """From its beginning to its end."""
        assert opened(small).view() == (0.0, 10.0)

    @pytest.mark.parametrize("way", ["wheel", "key", "button", "double click"])
    def test_it_zooms_in_and_out_again(self, opened: Any, small: Run, way: str) -> None:
        """By wheel, key, button; at the pointer where there is one."""
        seen = opened(small)
        at = seen.place_of("[xOf(2.5), 60]")
        seen.page.mouse.move(*at)
        if way == "wheel":
            seen.page.mouse.wheel(0, -400)
        elif way == "key":
            seen.page.locator("#lanes").press("+")
        elif way == "double click":
            seen.page.mouse.dblclick(*at)
        else:
            seen.page.locator("#zoom-in").click()
        seen.settle()
        left, right = seen.view()
        assert right - left < 9
        if way in ("wheel", "double click"):
            assert (2.5 - left) / (right - left) == pytest.approx(0.25, abs=0.01)
        seen.page.locator("#fit").click()
        assert seen.view() == (0.0, 10.0)

    def test_it_never_leaves_the_run(self, opened: Any, small: Run) -> None:
        """However far somebody goes."""
        seen = opened(small)
        lanes = seen.page.locator("#lanes")
        for _ in range(33):
            lanes.press("+")
        left, right = seen.view()
        assert right - left == pytest.approx(1e-6, rel=1e-3)
        for key in ["-"] * 10 + ["ArrowRight"] * 5 + ["End", "ArrowRight", "-", "Home", "ArrowLeft"]:
            lanes.press(key)
            left, right = seen.view()
            assert 0 <= left < right <= 10 + 1e-9
        assert left == 0

    def test_dragging_pans_and_with_shift_it_zooms_to_a_range(self, opened: Any, small: Run) -> None:
        """The time under the pointer stays under it."""
        seen = opened(small)
        mouse = seen.page.mouse
        mouse.move(*seen.place_of("[xOf(2), 60]"))
        seen.page.keyboard.down("Shift")
        mouse.down()
        mouse.move(*seen.place_of("[xOf(4), 60]"), steps=4)
        mouse.up()
        seen.page.keyboard.up("Shift")
        assert seen.view() == pytest.approx((2, 4), abs=0.02)
        mouse.move(*seen.place_of("[xOf(3), 60]"))
        mouse.down()
        mouse.move(*seen.place_of("[xOf(2.5), 60]"), steps=4)
        mouse.up()
        assert seen.view() == pytest.approx((2.5, 4.5), abs=0.02)

    def test_the_overview_chooses_what_is_shown(self, opened: Any, small: Run) -> None:
        """By dragging over it."""
        seen = opened(small)
        box = seen.page.locator("#overview").bounding_box()
        at = [box["x"] + seen.page.evaluate(f"GUTTER + plotWidth * {share}") for share in (0.2, 0.7)]
        seen.page.mouse.move(at[0], box["y"] + 10)
        seen.page.mouse.down()
        seen.page.mouse.move(at[1], box["y"] + 10, steps=4)
        seen.page.mouse.up()
        assert seen.view() == pytest.approx((2, 7), abs=0.05)

    def test_what_is_said_follows_what_is_shown(self, opened: Any, small: Run) -> None:
        """For those who do not see the lanes."""
        seen = opened(small)
        seen.page.evaluate("show(0.5, 2)")
        seen.page.get_by_text("2 requests;").wait_for()


class TestPointing:
    def test_a_batch_says_why_it_was_placed_there_and_what_it_took(self, opened: Any, small: Run) -> None:
        """The policy's reason, predicted and measured."""
        seen = opened(small)
        bar = "rows.find((row) => row.kind === 'bars' && row.text === 'worker 1')"
        seen.page.mouse.move(*seen.place_of(f"[xOf(2.4), {bar}.y + 10]"))
        text = seen.page.locator("#tip").inner_text()
        assert "batch 1: 1 proof for 2 requests" in text
        assert "workers are sooner" in text
        assert "predicted\n500 ms" in text
        assert "of it in C\n375 ms" in text
        seen.page.mouse.move(*seen.place_of(f"[xOf(7), {bar}.y + 10]"))
        text = seen.page.locator("#tip").inner_text()
        assert "help with batch 2" in text
        assert "took\n1.5 s" in text
        seen.page.mouse.move(*seen.place_of("[xOf(2.4), 5]"))
        assert not seen.page.locator("#tip").is_visible()

    @pytest.mark.parametrize(
        ("fate", "at", "expected"),
        [
            ("hit", 4.0, "the proof was in the cache"),
            ("joined", 1.5, "an identical request was under way, as flight 1"),
            ("inline", 5.0, "shorter than a delivery"),
            ("batched", 1.0, "workers are sooner"),
            ("split", 6.0, "batch 2, worker 2"),
            ("cancelled", 6.5, "its caller was cancelled"),
            ("rejected", 7.0, "request 7: rejected"),
            ("failed", 7.5, "ProveError"),
            ("pending", 9.5, "the recording ended first"),
        ],
    )
    def test_a_request_says_what_became_of_it_and_why(
        self, opened: Any, small: Run, fate: str, at: float, expected: str
    ) -> None:
        """At its tick."""
        seen = opened(small)
        row = f"rows.find((row) => row.kind === 'fate' && FATES[row.fate] === '{fate}')"
        seen.page.mouse.move(*seen.place_of(f"[xOf({at}), {row}.y + 9]"))
        text = seen.page.locator("#tip").inner_text()
        assert fate in text
        assert expected in text

    def test_the_keyboard_reaches_every_batch_and_request(self, opened: Any, small: Run) -> None:
        """And what is chosen is told in a live region."""
        seen = opened(small)
        lanes, chosen = seen.page.locator("#lanes"), seen.page.locator("#chosen")
        assert chosen.get_attribute("aria-live") == "polite"
        told = []
        for _ in range(3):
            lanes.press("n")
            told.append(chosen.locator("h3").inner_text())
        assert told == [
            "batch 1: 1 proof for 2 requests",
            "work on the caller's thread: 1 proof for 1 request",
            "batch 2: 1 proof for 2 requests",
        ]
        lanes.press("Enter")
        left, right = seen.view()
        assert 3 < left < 6.25 < 8.75 < right
        lanes.press("Shift+P")
        lanes.press("Shift+P")
        assert chosen.locator("h3").inner_text().startswith("request ")
        lanes.press("Escape")
        assert chosen.inner_text() == ""

    def test_the_table_of_the_slowest_leads_to_each_of_them(self, opened: Any, small: Run) -> None:
        """By buttons, which a keyboard reaches too."""
        seen = opened(small)
        seen.page.locator("#slowest tbody button").nth(0).press("Enter")
        assert seen.page.locator("#chosen h3").inner_text() == "request 5: split"

    def test_a_fate_can_be_hidden(self, opened: Any, small: Run) -> None:
        """Its marks go, and its button says so not by colour alone."""
        seen = opened(small)
        row = "rows.find((row) => row.kind === 'fate' && FATES[row.fate] === 'hit')"
        pixels = (
            f"(() => {{ draw(); const row = {row}; const ratio = devicePixelRatio;"
            " return lanes.getContext('2d').getImageData((xOf(4) - 2) * ratio, (row.y + 4) * ratio, 4, 8).data.join();"
            " })()"
        )
        before = seen.page.evaluate(pixels)
        button = seen.page.locator("#fates button[data-fate=hit]")
        button.click()
        assert button.get_attribute("aria-pressed") == "false"
        assert seen.page.evaluate(pixels) != before
        button.click()
        assert seen.page.evaluate(pixels) == before


class TestLargeRuns:
    def test_a_frame_takes_a_fraction_of_a_second_at_every_zoom(self, opened: Any, large: Run) -> None:
        """With the picture really made, not only asked for."""
        seen = opened(large)
        assert seen.complaints == []
        frame = (
            "() => { const begun = performance.now(); draw(); lanes.getContext('2d').getImageData(0, 0, 1, 1);"
            " return performance.now() - begun; }"
        )
        for share in (1.0, 0.1, 0.001):
            seen.page.evaluate(f"show({large.seconds} * 0.4, {large.seconds} * (0.4 + {share}))")
            times = [seen.page.evaluate(frame) for _ in range(9)]
            assert statistics.median(times) < FRAME_SECONDS * 1e3

    def test_pointing_is_answered_at_once(self, opened: Any, large: Run) -> None:
        """In less than a frame's time."""
        seen = opened(large)
        took = seen.page.evaluate(
            "() => { const begun = performance.now(); let found = 0;"
            " for (let x = GUTTER; x < GUTTER + plotWidth; x += 20) for (const row of rows)"
            " found += itemAt(x, row.y + 8) !== null;"
            " return [(performance.now() - begun) / (plotWidth / 20 * rows.length), found]; }"
        )
        assert took[0] < FRAME_SECONDS * 1e3
        assert took[1] > 0


def _colours(block: str) -> dict[str, tuple[float, float, float]]:
    found = re.findall(r"--(\w+): #([0-9a-f]{6})", block)
    return {name: tuple(int(code[i : i + 2], 16) / 255 for i in (0, 2, 4)) for name, code in found}  # type: ignore[misc]


def _luminance(colour: tuple[float, float, float]) -> float:
    """Relative luminance, as WCAG 2.1 defines it."""
    parts = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in colour]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def _contrast(one: tuple[float, float, float], other: tuple[float, float, float]) -> float:
    low, high = sorted([_luminance(one), _luminance(other)])
    return (high + 0.05) / (low + 0.05)


class TestAccess:
    @pytest.mark.parametrize("theme", [0, 1])
    def test_text_and_marks_stand_out_from_the_ground(self, theme: int) -> None:
        """WCAG 2.1, level AA: 4.5 for text, 3 for what is drawn; in light and in dark."""
        style = resources.files("aprover.cli.page").joinpath("timeline.css").read_text()
        colours = _colours(re.findall(r":root[^{]*\{(.*?)\}", style, re.DOTALL)[theme])
        for ground in ("panel", "band"):
            for name in ("text", "quiet"):
                assert _contrast(colours[name], colours[ground]) >= 4.5, (name, ground)
            for fate in Fate:
                assert _contrast(colours[fate.value], colours[ground]) >= 3, (fate, ground)

    def test_every_fate_has_a_shape_of_its_own(self, opened: Any, small: Run) -> None:
        """So that colour is never all that tells them apart."""
        seen = opened(small)
        shapes = seen.page.evaluate("FATES.map((fate) => SHAPES[fate])")
        assert len(set(shapes)) == len(Fate)
        assert all(shapes)

    def test_everything_that_can_be_used_has_a_name(self, opened: Any, small: Run) -> None:
        """For those who hear the page."""
        seen = opened(small)
        for element in seen.page.locator("button, canvas, table").all():
            name = element.get_attribute("aria-label") or element.get_attribute("aria-labelledby")
            assert name or element.inner_text().strip()
