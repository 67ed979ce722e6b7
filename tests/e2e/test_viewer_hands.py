"""Fingers, mouse and keys on the viewer's image, and the header beside it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import pytest
from playwright.sync_api import CDPSession, expect

from tests.builders import uploader_layout
from tests.crash.served import ServerProcess
from tests.e2e.browsing import Person
from tests.e2e.projects import Project, owner, project_of
from tests.e2e.test_viewer import bring, shows
from tests.integration.test_pictures import image
from tests.unit.viewing.made import dataset, file_of

BOX = """() => {
  const [stage, canvas] = [".stage", ".stage canvas"].map((one) => document.querySelector(one).getBoundingClientRect());
  return [canvas.left - stage.left, canvas.top - stage.top, canvas.width, canvas.height];
}"""
SCROLLED = "() => Math.round(window.scrollY)"
STILL = "() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)))"
FULL = "() => document.fullscreenElement?.className ?? ''"
Point = tuple[float, float]


@pytest.fixture(scope="module")
def project(site: ServerProcess) -> Project:
    """One project for all of them: nobody changes what is stored."""
    return project_of(site)


@pytest.fixture(scope="module")
def scan(project: Project) -> str:
    """Nine axial slices; the last one stands upright."""
    ids = {"StudyInstanceUID": "1.2.20", "SeriesInstanceUID": "1.2.20.4"}
    slices = [image(n, SOPInstanceUID=f"1.2.20.4.{n}", **ids) for n in range(8)]
    upright: Any = {"ImageOrientationPatient": [1, 0, 0, 0, 0, -1], "InstanceNumber": 99}
    slices.append(image(8, SOPInstanceUID="1.2.20.4.8", **ids, **upright))
    return bring(project, uploader_layout("Hands", "4", slices), "4")


class Fingers:
    """Fingers on a page, as Chromium hears of them from a touch screen."""

    def __init__(self, one: Person) -> None:
        self.page = one.page
        self.client: CDPSession = one.page.context.new_cdp_session(one.page)

    def drag(self, *paths: tuple[Point, Point], steps: int = 6) -> None:
        """Each finger from a point to a point of the page, all at once."""
        self._tell("touchStart", [start for start, _ in paths])
        for step in range(1, steps + 1):
            part = step / steps
            self._tell("touchMove", [(x + (to_x - x) * part, y + (to_y - y) * part) for (x, y), (to_x, to_y) in paths])
        self._tell("touchEnd", [])
        self.page.evaluate(STILL)

    def _tell(self, kind: str, points: Sequence[Point]) -> None:
        told = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(points)]
        self.client.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": told})


def middle(one: Person) -> Point:
    """Of the stage, which is brought into sight."""
    stage = one.page.locator(".stage")
    stage.scroll_into_view_if_needed()
    box = stage.bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def box_of(one: Person) -> np.ndarray:
    """Left, top, width and height of the image within the stage."""
    return np.array(one.page.evaluate(BOX))


def choose(one: Person, tool: str) -> None:
    one.page.get_by_role("radio", name=tool, exact=True).check()


def test_one_finger_does_the_chosen_tool_two_zoom_and_the_page_scrolls_beside_the_image(browser, project, scan):
    with owner(browser, project, width="narrow", has_touch=True, is_mobile=True) as one:
        page = one.go(f"{scan}?image=2")
        shows(one, 2)
        fingers, windowed = Fingers(one), page.locator("[data-part=windowed]")
        x, y = middle(one)
        fitted, scrolled = box_of(one), page.evaluate(SCROLLED)
        expect(windowed).to_have_text("C 1000 W 4000")

        expect(page.get_by_role("radio", name="Scroll", exact=True)).to_be_checked()
        fingers.drag(((x, y), (x, y + 37)))
        shows(one, 5)
        fingers.drag(((x, y), (x, y - 25)))
        shows(one, 3)
        expect(windowed).to_have_text("C 1000 W 4000")

        choose(one, "Window")
        fingers.drag(((x, y), (x + 50, y - 30)))
        expect(windowed).to_have_text("C 520 W 4800")
        assert np.array_equal(box_of(one), fitted)

        choose(one, "Pan")
        fingers.drag(((x, y), (x + 40, y - 25)))
        assert np.abs(box_of(one) - fitted - [40, -25, 0, 0]).max() <= 1
        page.get_by_role("button", name="Fit", exact=True).click()
        assert np.array_equal(box_of(one), fitted)

        fingers.drag(((x - 20, y), (x - 40, y + 30)), ((x + 20, y), (x + 40, y + 30)))
        left, top, width, height = fitted
        assert np.abs(box_of(one) - [left - width / 2, top + 30 - height / 2, 2 * width, 2 * height]).max() <= 2
        expect(page.locator("[data-part=zoomed]")).to_have_text("Zoom 200%")
        expect(windowed).to_have_text("C 520 W 4800")

        zoomed = box_of(one)
        choose(one, "Scroll")
        fingers.drag(((x, y), (x, y + 13)))
        shows(one, 4)
        assert np.array_equal(box_of(one), zoomed)
        choose(one, "Zoom")
        fingers.drag(((x, y), (x, y - 60)))
        assert 1.8 < box_of(one)[2] / zoomed[2] < 1.9
        assert page.evaluate(SCROLLED) == scrolled
        shows(one, 4)

        below = page.locator(".keys").bounding_box()
        assert below is not None
        at = (below["x"] + below["width"] - 30, below["y"] + 10)
        fingers.drag((at, (at[0], at[1] - 200)))
        page.wait_for_function("(before) => window.scrollY > before + 100", arg=scrolled)
        shows(one, 4)
        assert one.overflow() == 0


def test_the_mouse_has_its_buttons_and_its_wheel(browser, project, scan):
    with owner(browser, project) as one:
        page = one.go(f"{scan}?image=2")
        shows(one, 2)
        x, y = middle(one)
        fitted = box_of(one)
        page.mouse.move(x, y)
        page.mouse.wheel(0, 100)
        shows(one, 3)
        page.mouse.wheel(0, -100)
        shows(one, 2)
        for _ in range(4):
            page.mouse.wheel(0, 10)  # as a touchpad glides
        shows(one, 3)
        page.mouse.move(x + 20, y + 10)
        page.keyboard.down("Control")
        page.mouse.wheel(0, -100)
        page.keyboard.up("Control")
        page.wait_for_function("() => document.querySelector('[data-part=zoomed]').textContent === 'Zoom 128%'")
        stage = page.locator(".stage").bounding_box()
        assert stage is not None
        pointer = np.array([x + 20 - stage["x"], y + 10 - stage["y"]])
        zoomed = box_of(one)
        assert np.abs((pointer - fitted[:2]) / fitted[2:] - (pointer - zoomed[:2]) / zoomed[2:]).max() < 0.01
        shows(one, 3)
        buttons: tuple[tuple[Literal["middle", "right"], bool], ...] = (("middle", True), ("right", False))
        for button, moved in buttons:
            before = box_of(one)
            page.mouse.down(button=button)
            page.mouse.move(x + 20, y - 40, steps=3)
            page.mouse.up(button=button)
            after = box_of(one)
            assert np.array_equal(before[2:], after[2:]) is moved
            assert not np.array_equal(before[:2], after[:2])
            page.mouse.move(x + 20, y + 10)
        expect(page.locator("[data-part=windowed]")).to_have_text("C 1000 W 4000")
        page.get_by_role("button", name="Reset").click()
        assert np.array_equal(box_of(one), fitted)


def test_keys_choose_the_tool_zoom_pan_and_fill_the_screen(browser, project, scan):
    with owner(browser, project) as one:
        page = one.go(f"{scan}?image=2")
        shows(one, 2)
        fitted = box_of(one)
        stage = page.get_by_role("group", name=re.compile("^Image 3 of 9"))
        stage.focus()
        for key, tool in (("s", "Scroll"), ("z", "Zoom"), ("w", "Window"), ("p", "Pan")):
            page.keyboard.press(key)
            expect(page.get_by_role("radio", name=tool, exact=True)).to_be_checked()
        page.get_by_role("status").filter(has_text="Tool: Pan").wait_for(state="attached")
        page.keyboard.press("+")
        page.keyboard.press("Shift+ArrowRight")
        left, top, width, height = fitted
        expected = [left - width / 8 - 40, top - height / 8, 1.25 * width, 1.25 * height]
        assert np.abs(box_of(one) - expected).max() <= 1
        page.keyboard.press("ArrowDown")
        shows(one, 3)
        assert np.abs(box_of(one) - expected).max() <= 1
        page.keyboard.press("-")
        page.keyboard.press("0")
        assert np.array_equal(box_of(one), fitted)
        canvas = page.locator(".stage canvas")
        assert canvas.evaluate("(one) => one.style.imageRendering") == "auto"
        page.keyboard.press("1")
        assert (box_of(one)[2:] == [10, 24]).all()  # pixels are twice as high as wide
        page.keyboard.press("0")
        for _ in range(4):
            page.keyboard.press("+")
        assert canvas.evaluate("(one) => one.style.imageRendering") == "pixelated"
        page.keyboard.press("r")
        assert np.array_equal(box_of(one), fitted)
        page.keyboard.press("f")
        page.wait_for_function("() => document.fullscreenElement?.className === 'look'")
        full = page.get_by_role("button", name="Full screen")
        expect(full).to_have_attribute("aria-pressed", "true")
        page.wait_for_function("(before) => document.querySelector('.stage').clientHeight > before", arg=float(height))
        full.click()
        page.wait_for_function("() => !document.fullscreenElement")
        assert page.evaluate(FULL) == ""


def test_the_edges_say_where_they_lie_in_each_image(browser, project, scan):
    with owner(browser, project) as one:
        page = one.go(f"{scan}?image=7")
        shows(one, 7)

        def letters() -> list[str]:
            return page.locator(".edge:visible b").all_inner_texts()

        assert letters() == ["R", "L", "A", "P"]
        page.locator(".stage").focus()
        page.keyboard.press("ArrowDown")
        shows(one, 8)
        assert letters() == ["R", "L", "H", "F"]
        ids = {"StudyInstanceUID": "1.2.21", "SeriesInstanceUID": "1.2.21.4", "SOPInstanceUID": "1.2.21.4.1"}
        plain = dataset(np.zeros((9, 7, 3), np.uint8), PatientID="7", SeriesNumber=4, **ids)
        plain.file_meta.MediaStorageSOPInstanceUID = plain.SOPInstanceUID
        one.go(bring(project, uploader_layout("Unsaid", "4", [file_of(plain)]), "4"))
        shows(one, 0)
        assert letters() == []
        for tool, usable in (("Scroll", False), ("Window", False), ("Pan", True), ("Zoom", True)):
            expect(page.get_by_role("radio", name=tool, exact=True)).to_be_enabled(enabled=usable)
        expect(page.get_by_role("radio", name="Pan", exact=True)).to_be_checked()


def test_the_header_beside_the_image_follows_it_once_it_stays(browser, project, scan):
    with owner(browser, project) as one:
        asked: list[str] = []
        one.page.on("request", lambda request: asked.append(request.url) if request.url.endswith("/header") else None)
        page = one.go(f"{scan}?image=0")
        shows(one, 0)
        rows = page.get_by_role("region", name="Header of the image shown")
        title = page.locator("[data-part=header-of]")
        expect(title).to_have_text("Image 1 of 9")
        expect(rows).to_contain_text("1.2.20.4.0")
        panel, stage = page.locator(".beside").bounding_box(), page.locator(".stage").bounding_box()
        assert panel is not None
        assert stage is not None
        assert panel["x"] > stage["x"] + stage["width"]
        assert len(asked) == 1
        page.locator(".stage").focus()
        for at in range(1, 8):
            page.keyboard.press("ArrowDown")
            shows(one, at)
        expect(rows).to_contain_text("1.2.20.4.7")
        expect(title).to_have_text("Image 8 of 9")
        assert len(asked) <= 3  # a slow machine may rest at one on the way
        field = page.get_by_label("Filter")
        for typed in ("00200032", "(0020,0032)", "image POSITION", "0.0\\0.0\\21"):
            field.fill(typed)
            expect(rows.get_by_role("rowheader")).to_have_text(re.compile(r"^Image Position \(Patient\)"))
        before = len(asked)
        field.fill("0020,0032")
        page.locator(".stage").focus()
        page.keyboard.press("Home")
        expect(rows).to_contain_text("0.0\\0.0\\0.0")  # and only that: the filter stays
        expect(rows.get_by_role("rowheader")).to_have_count(1)
        field.fill("no such thing")
        expect(page.get_by_text("No element has “no such thing”.")).to_be_visible()
        assert len(asked) == before  # it was kept

        one.resize("narrow")
        page.reload()
        shows(one, 0)
        before = len(asked)
        expect(rows).to_be_hidden()
        assert len(asked) == before
        page.get_by_role("button", name="View header").click()
        expect(rows).to_contain_text("1.2.20.4.0")
        assert one.overflow() == 0


def test_tab_goes_as_the_eye_does(browser, project, scan):
    with owner(browser, project) as one:
        page = one.go(f"{scan}?image=3")
        shows(one, 3)
        expect(page.get_by_role("region", name="Header of the image shown")).to_contain_text("1.2.20.4.3")
        places: list[tuple[float, float]] = []
        page.get_by_role("link", name="Download scan").focus()
        names = []
        for _ in range(15):
            page.keyboard.press("Tab")
            names.append(
                page.evaluate(
                    "() => { const one = document.activeElement; return one.dataset.part ?? one.value ?? one.id; }"
                )
            )
            box = page.locator(":focus").bounding_box()
            assert box is not None
            places.append((box["x"], box["y"] + box["height"] / 2 + page.evaluate(SCROLLED)))
        assert names[1:7] == ["fit", "actual", "full", "reset", "stage", "place"]
        assert names[7:12] == ["play", "rate", "preset", "center", "width"]
        panel = page.locator(".beside").bounding_box()
        assert panel is not None
        left = [place for place in places if place[0] < panel["x"]]
        assert left == places[: len(left)]  # all of the image first, then what is beside it
        assert all(after[1] > before[1] - 12 for before, after in pairwise(left)), left  # row by row
        assert one.faults() == []
