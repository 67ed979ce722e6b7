"""The viewer as people use it: the right slice, pixel by pixel, by slider, key and pointer, and without script."""

from __future__ import annotations

import base64
import re
from typing import Any
from urllib.parse import quote

import numpy as np
import pydicom
import pytest
from playwright.sync_api import expect
from pydicom.pixels.processing import apply_modality_lut

from tests.builders import uploader_layout
from tests.crash.served import ServerProcess
from tests.e2e.browsing import Person
from tests.e2e.projects import Project, owner, project_of
from tests.integration.test_pictures import NAME, image, report
from tests.unit.viewing.made import JPEG_2000, dataset, encapsulated, file_of

CANVAS = """() => {
  const canvas = document.querySelector(".stage canvas");
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  let text = "";
  for (let at = 0; at < data.length; at += 4096) text += String.fromCharCode(...data.subarray(at, at + 4096));
  return { width: canvas.width, height: canvas.height, data: btoa(text) };
}"""
FETCHED = """(many) => performance.getEntriesByType("resource").filter(
  (one) => /frames.[0-9]+.tree/.test(one.name) && one.responseEnd).length >= many"""
STAGE = re.compile(r"^Image \d+ of \d+")
ROOM = """(field) => {
  const style = getComputedStyle(field);
  const pen = document.createElement("canvas").getContext("2d");
  pen.font = style.font;
  const padded = parseFloat(style.paddingLeft) + parseFloat(style.paddingRight);
  return field.clientWidth - padded - pen.measureText(field.value).width;
}"""
"""What a field has left beside its text, in pixels."""
SHOWN = "(at) => document.querySelector('.viewer')?.dataset.shown === String(at)"


@pytest.fixture(scope="module")
def project(site: ServerProcess) -> Project:
    """One project for all of them: nobody changes what is stored."""
    return project_of(site)


def bring(project: Project, entries: dict[str, bytes], scan: str) -> str:
    """Store a session and give the address of a scan's page."""
    (session,) = project.store(entries)["sessions"]
    return f"/projects/{session['project']}/sessions/{quote(session['label'], safe='')}/scans/{scan}"


def canvas(one: Person) -> np.ndarray:
    """What the canvas has, rows x columns x 4."""
    told: dict[str, Any] = one.page.evaluate(CANVAS)
    return np.frombuffer(base64.b64decode(told["data"]), dtype=np.uint8).reshape(told["height"], told["width"], 4)


def shows(one: Person, at: int) -> None:
    one.page.wait_for_function(SHOWN, arg=at)


def grey(values: np.ndarray, center: float, width: float) -> np.ndarray:
    """PS3.3 C.11.2.1.2.1, linear."""
    return np.clip((values - (center - 0.5)) / (width - 1) + 0.5, 0, 1) * 255


@pytest.fixture(scope="module")
def scan(project: Project) -> str:
    """Five slices with a name that would do harm, and a report beside them."""
    slices = [image(number, SeriesDescription=NAME) for number in (3, 0, 4, 1, 2)]
    return bring(project, {**uploader_layout("S", "4", slices), **uploader_layout("S", "9", [report()])}, "4")


@pytest.mark.corpus
def test_each_slice_is_pydicoms_pixel_by_pixel(browser, project, corpus):
    folder = next(iter(sorted(corpus.glob("neurolabusc__dcm_qa_nih/In/20180918GE/mr_0004"))))
    paths = sorted(one for one in folder.iterdir() if one.is_file() and one.suffix != ".txt")
    address = bring(project, {f"e/{one.name}": one.read_bytes() for one in paths}, "4")
    objects = [pydicom.dcmread(one) for one in paths]

    def along(data: pydicom.Dataset) -> float:
        first, second = np.array(data.ImageOrientationPatient, float).reshape(2, 3)
        return float(np.cross(first, second) @ np.array(data.ImagePositionPatient, float))

    def moment(data: pydicom.Dataset) -> tuple[int, int]:
        return int(data.get("TemporalPositionIdentifier", 0)), int(data.InstanceNumber)

    ordered = sorted(objects, key=lambda data: (round(along(data), 1), moment(data)))
    with owner(browser, project) as one:
        page = one.go(f"{address}?image=0")
        shows(one, 0)
        for at, data in enumerate(ordered):
            if at:
                page.goto(f"{one.base}{address}?image={at}") if at % 7 == 0 else step(one, at, ordered, along)
            shows(one, at)
            got = canvas(one)
            values = apply_modality_lut(data.pixel_array, data).astype(float)
            expected = grey(values, float(data.WindowCenter), float(data.WindowWidth))
            assert np.abs(got[..., 0] - expected).max() <= 0.51, at
            assert np.array_equal(got[..., 0], got[..., 1])
            assert np.array_equal(got[..., 0], got[..., 2])


def step(one: Person, at: int, ordered: list[Any], along: Any) -> None:
    """To the next image by the keys that people have: along a place's times, or to the next place's first."""
    stage = one.page.get_by_role("group", name=STAGE)
    stage.focus()
    if round(along(ordered[at]), 1) == round(along(ordered[at - 1]), 1):
        one.page.keyboard.press("ArrowRight")
    else:
        turns = 0
        while turns < at and round(along(ordered[at - 1 - turns]), 1) == round(along(ordered[at - 1]), 1):
            turns += 1
        for _ in range(turns - 1):
            one.page.keyboard.press("ArrowLeft")
        one.page.keyboard.press("ArrowDown")


def values(number: int) -> np.ndarray:
    return 2.0 * (np.arange(120).reshape(12, 10) + 1000 * number) - 500


def test_it_is_used_by_keys_alone(browser, project, scan):
    with owner(browser, project) as one:
        page = one.go(scan)
        shows(one, 2)
        page.locator("#main").focus()
        stage = page.get_by_role("group", name="Image 3 of 5")
        for _ in range(20):
            page.keyboard.press("Tab")
            if stage.evaluate("(one) => one === document.activeElement"):
                break
        for key, at in (("ArrowDown", 3), ("ArrowDown", 4), ("ArrowDown", 4), ("Home", 0), ("End", 4), ("ArrowUp", 3)):
            page.keyboard.press(key)
            shows(one, at)
        assert np.abs(canvas(one)[..., 0] - grey(values(3), 1000, 4000)).max() <= 0.51
        page.get_by_role("status").filter(has_text="Image 4 of 5").wait_for(state="attached")
        page.keyboard.press("i")
        assert np.abs(255 - canvas(one)[..., 0] - grey(values(3), 1000, 4000)).max() <= 1.01
        page.keyboard.press("r")
        assert np.abs(canvas(one)[..., 0] - grey(values(3), 1000, 4000)).max() <= 0.51
        slider = page.get_by_label("Slice", exact=True)
        slider.focus()
        page.keyboard.press("Home")
        shows(one, 0)
        assert slider.get_attribute("aria-valuetext") == "1 of 5 at 0, 0, 0 mm"


def test_windowing_costs_no_request(browser, project, scan):
    with owner(browser, project) as one:
        page = one.go(scan)
        shows(one, 2)
        page.wait_for_function(FETCHED, arg=5)
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url) if "/scans/" in request.url else None)
        page.get_by_label("Window preset").select_option(label="Full range")
        full = canvas(one)[..., 0]
        assert (full.min(), full.max()) == (0, 255)
        page.get_by_label("Center").fill("3600")
        page.get_by_label("Width").fill("100")
        page.keyboard.press("Tab")
        assert page.get_by_label("Window preset").input_value() == ""
        assert np.abs(canvas(one)[..., 0] - np.clip((values(2) - 3600) / 100 + 0.5, 0, 1) * 255).max() <= 0.51
        box = page.locator(".stage canvas").bounding_box()
        assert box is not None
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        before = canvas(one)
        page.mouse.move(x, y)
        assert page.locator("[data-part=value]").inner_text().startswith("5, 6: ")
        page.mouse.down()
        page.mouse.move(x + 60, y + 30, steps=4)
        page.mouse.up()
        assert not np.array_equal(canvas(one), before)
        page.get_by_role("button", name="Reset").click()
        assert np.abs(canvas(one)[..., 0] - grey(values(2), 1000, 4000)).max() <= 0.51
        assert asked == []
        page.mouse.move(x, y)
        for at, key in ((4, "End"), (0, "Home")):  # the pointer rests, another image comes beneath it
            page.get_by_role("group", name=STAGE).press(key)
            shows(one, at)
            assert page.locator("[data-part=value]").inner_text() == f"5, 6: {values(at)[6, 5]:g}"
        page.get_by_label("Width").fill("-5")
        page.keyboard.press("Tab")
        assert page.get_by_label("Width").evaluate("(field) => field.validationMessage") == "Width is a number above 0."


def test_the_numbers_of_any_window_are_readable(browser, project):
    """Counts of a scanner, doses of 32 bits, activities of nearly nothing."""
    windows = [("12660.4375", "25320.875"), ("2404985472", "4809970944"), ("-1.23456e-104", "2.46912e-104")]
    ids = {"StudyInstanceUID": "1.2.9", "SeriesInstanceUID": "1.2.9.4"}
    slices = [
        image(at, SOPInstanceUID=f"1.2.9.4.{at}", WindowCenter=one, WindowWidth=other, **ids)
        for at, (one, other) in enumerate(windows)
    ]
    address = bring(project, uploader_layout("Figures", "4", slices), "4")
    with owner(browser, project) as one:
        page = one.go(f"{address}?image=0")
        center, wide = page.get_by_label("Center"), page.get_by_label("Width")
        for at, said in enumerate([("12660", "25321"), ("2.405e9", "4.81e9"), ("-1.235e-104", "2.469e-104")]):
            if at:
                page.get_by_role("group", name=STAGE).focus()
                page.keyboard.press("ArrowDown")
            shows(one, at)
            assert (center.input_value(), wide.input_value()) == said
            for width in ("narrow", "wide"):
                one.resize(width)
                assert min(field.evaluate(ROOM) for field in (center, wide)) >= 0
                assert one.overflow() == 0


def test_changing_one_number_leaves_the_other_as_exact_as_it_was(browser, project):
    """A centre far from 0 beside its width: the field shows 1234600."""
    made = image(
        0, StudyInstanceUID="1.2.10", SeriesInstanceUID="1.2.10.4", SOPInstanceUID="1.2.10.4.0",
        RescaleIntercept=1234500, WindowCenter=1234567, WindowWidth=40,
    )  # fmt: skip
    with owner(browser, project) as one:
        address = bring(project, uploader_layout("Far", "4", [made]), "4")
        page = one.go(address)
        shows(one, 0)
        assert page.get_by_label("Center").input_value() == "1234600"
        page.get_by_label("Width").fill("100")
        page.keyboard.press("Tab")
        values = 2.0 * np.arange(120).reshape(12, 10) + 1234500
        expected = np.clip((values - 1234567) / 100 + 0.5, 0, 1) * 255
        assert np.abs(canvas(one)[..., 0] - expected).max() <= 0.51


def test_playing_goes_through_the_slices(browser, project, scan):
    with owner(browser, project, width="narrow") as one:
        page = one.go(f"{scan}?image=4")
        shows(one, 4)
        page.get_by_role("button", name="Play").click()
        for at in (0, 1, 2):
            shows(one, at)
        page.get_by_role("button", name="Pause").click()
        assert page.get_by_role("button", name="Play").get_attribute("aria-pressed") == "false"
        assert one.overflow() == 0


def test_colours_are_those_of_the_file(browser, project):
    pixels = np.random.default_rng(1).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    more: Any = {"SOPInstanceUID": "1.2.5.4.9", "PatientID": "7", "SeriesNumber": 4, "StudyInstanceUID": "1.2.5"}
    made = dataset(pixels, SeriesInstanceUID="1.2.5.4", **more)
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
    with owner(browser, project) as one:
        address = bring(project, uploader_layout("Colour", "4", [file_of(made)]), "4")
        page = one.go(address)
        shows(one, 0)
        assert np.array_equal(canvas(one)[..., :3], pixels)
        assert page.get_by_label("Window preset").is_hidden()


def test_a_film_keeps_its_window_unless_that_of_each_image_is_chosen(browser, project):
    ids = {"StudyInstanceUID": "1.2.8", "SeriesInstanceUID": "1.2.8.4"}
    slices = [image(n, SOPInstanceUID=f"1.2.8.4.{n}", WindowWidth=1000 * (n + 1), **ids) for n in range(3)]
    with owner(browser, project) as one:
        address = bring(project, uploader_layout("Film", "4", slices), "4")
        page = one.go(address)
        shows(one, 1)
        said = page.locator("[data-part=windowed]")
        expect(said).to_contain_text("W 2000")
        page.get_by_label("Frames per second").select_option("1")
        play = page.get_by_role("button", name="Play")
        play.click()
        for at in (2, 0):
            shows(one, at)
            assert "W 2000" in said.inner_text()
        page.get_by_role("button", name="Pause").click()
        page.get_by_role("group", name=re.compile("^Image ")).focus()
        page.keyboard.press("End")
        shows(one, 2)
        expect(said).to_contain_text("W 3000")
        page.get_by_label("Window preset").select_option(label="Automatic")
        page.get_by_label("Window preset").select_option(label="From the header")
        play.click()
        shows(one, 0)
        expect(said).to_contain_text("W 1000")
        page.get_by_role("button", name="Pause").click()


def test_an_image_that_cannot_be_shown_says_why_and_hides_no_other(browser, project):
    ids = {"StudyInstanceUID": "1.2.6", "SeriesInstanceUID": "1.2.6.4"}
    places: Any = {"ImageOrientationPatient": [1, 0, 0, 0, 1, 0], "ImagePositionPatient": [0, 0, 3]}
    hostile = encapsulated(
        [b"no JPEG 2000 at all"], np.zeros((12, 10), "<u2"), syntax=JPEG_2000, SOPInstanceUID="1.2.6.4.1",
        PatientID="7", SeriesNumber=4, **ids, **places,
    )  # fmt: skip
    entries = [image(0, SOPInstanceUID="1.2.6.4.0", **ids), hostile, image(2, SOPInstanceUID="1.2.6.4.2", **ids)]
    with owner(browser, project) as one:
        address = bring(project, uploader_layout("Hostile", "4", entries), "4")
        page = one.go(address)
        shows(one, 1)
        reason = page.locator("[data-part=reason]")
        assert reason.inner_text() == "It can't be decoded: its pixel data, or what describes it, is damaged."
        assert one.findings() == []
        page.get_by_role("group", name=re.compile("^It can't be decoded")).focus()
        page.keyboard.press("Home")
        shows(one, 0)
        page.keyboard.press("ArrowDown")
        shows(one, 1)
        for key in ("i", "i", "r"):  # must not paint the one before in its place
            page.keyboard.press(key)
        assert reason.is_visible()
        page.get_by_role("group", name=re.compile("^It can't be decoded")).hover()
        assert page.locator("[data-part=value]").inner_text() == ""
        page.keyboard.press("End")
        shows(one, 2)
        assert reason.is_hidden()
        assert np.abs(canvas(one)[..., 0] - grey(values(2), 1000, 4000)).max() <= 0.51


def test_a_file_leads_to_its_header(browser, project, scan):
    with owner(browser, project) as one:
        page = one.go(scan)
        shows(one, 2)
        page.get_by_role("link", name="Header of 1.2.3.4.4.dcm").click()
        page.get_by_role("heading", name="Header of 1.2.3.4.4.dcm").wait_for()
        page.get_by_label("Find in it").fill("window")
        page.keyboard.press("Enter")
        found = page.get_by_role("region", name="Elements of the header")
        expect(found.get_by_text("Patient ID", exact=True)).to_have_count(0)
        expect(found.get_by_text("Window Width")).to_have_count(1)


def test_without_script_there_is_a_picture_and_a_way_on(browser, project, scan):
    with owner(browser, project, java_script_enabled=False) as one:
        page = one.go(scan)
        still = page.get_by_role("img", name="Image 3 of 5")
        still.wait_for()
        box = still.bounding_box()
        assert box is not None
        assert box["height"] > 100
        page.get_by_role("link", name="Next image").click()
        page.get_by_role("img", name="Image 4 of 5").wait_for()
        page.get_by_role("link", name="Next image").click()
        page.get_by_role("img", name="Image 5 of 5").wait_for()
        assert page.get_by_role("link", name="Next image").count() == 0


def test_pages_with_pictures_are_for_everybody(browser, project, scan):
    session = scan.removesuffix("/scans/4")
    with owner(browser, project) as one:
        for path in (session, scan, f"{session}/scans/9", f"{scan}?file=0&search=patient"):
            page = one.go(path)
            if path == scan:
                shows(one, 2)
            page.wait_for_function("() => [...document.images].every((one) => one.complete && one.naturalWidth)")
            assert one.faults() == [], path
            assert page.evaluate("() => document.querySelectorAll('main script').length") == 0


def test_moving_about_starts_and_ends_the_viewer(browser, project, scan):
    session = scan.removesuffix("/scans/4")
    with owner(browser, project) as one:
        page = one.go(session)
        for _ in range(2):
            page.get_by_role("main").get_by_role("link", name=NAME).click()
            shows(one, 2)
            page.get_by_role("navigation", name="Where this is").get_by_role("link").last.click()
            page.get_by_role("heading", name="Scans", exact=True).wait_for()
        assert page.locator(".viewer").count() == 0
