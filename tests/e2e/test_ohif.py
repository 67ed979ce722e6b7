"""OHIF itself, as its package is: opened from sessions, it paints their pictures in Chromium and stores reports."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pydicom
import pytest
from playwright.sync_api import Browser, Page

from scandock.model.limits import Limits
from scandock.services.ohif import install_ohif
from scandock.testing.worker import InProcessWorker
from scandock.web import urls
from tests.builders import DataFolder
from tests.e2e.browsing import launched
from tests.integration.ohif_packages import real_package
from tests.integration.web import PASSWORD, Web, serve_by_socket

pytestmark = [pytest.mark.processes, pytest.mark.long]

FILES = Path(pydicom.__file__).parent / "data" / "test_files"
PICTURES = {
    "MR": "examples_overlay.dcm",
    "CT": "J2K_pixelrep_mismatch.dcm",
    "FRAMES": "examples_ybr_color.dcm",
}
"""By the labels of their sessions: an MR, a CT compressed by JPEG 2000, and 30 frames of ultrasound as JPEG."""
SOFTWARE_GL = ("--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")
DEVIATION = 12
ENHANCED_SR = "1.2.840.10008.5.1.4.1.1.88.22"
PAINTED = """(least) => {
  for (const canvas of document.querySelectorAll("canvas")) {
    const context = canvas.width > 200 && canvas.height > 200 ? canvas.getContext("2d") : null;
    if (!context) continue;
    const data = context.getImageData(0, 0, canvas.width, canvas.height).data;
    let sum = 0, squares = 0, count = 0;
    for (let at = 0; at < data.length; at += 16) {
      const grey = (data[at] + data[at + 1] + data[at + 2]) / 3;
      sum += grey; squares += grey * grey; count += 1;
    }
    const mean = sum / count;
    if (Math.sqrt(squares / count - mean * mean) > least) return true;
  }
  return false;
}"""
"""Whether a picture is painted: by the standard deviation of its grey values."""


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory, project_root: Path) -> Iterator[Web]:
    package = real_package(project_root)
    root = tmp_path_factory.mktemp("viewer")
    with serve_by_socket(root / "data") as running, InProcessWorker(root / "data", upkeep=False):
        install_ohif(running.site.data, str(package), Limits())
        site = DataFolder(root=root)
        for label, name in PICTURES.items():
            site.bring({name: (FILES / name).read_bytes()}, session=label)
        yield running


def listen(told: list[str], page: Page) -> None:
    """Keep what a page says that it should not: refusals by the policy, errors, requests that fail."""

    def hear(kind: str, text: str) -> None:
        if kind == "error" or "Content Security Policy" in text or "Refused to" in text:
            told.append(f"{kind}: {text}")

    page.on("console", lambda message: hear(message.type, message.text))
    page.on("pageerror", lambda error: told.append(f"not caught: {error}"))
    page.on("requestfailed", lambda request: told.append(f"failed: {request.url} {request.failure}"))
    page.on("response", lambda answer: told.append(f"{answer.status}: {answer.url}") if answer.status >= 400 else None)


def test_a_session_opens_in_ohif_and_is_painted(web: Web, browser: Browser, subtests: pytest.Subtests) -> None:
    with launched(browser.browser_type, *SOFTWARE_GL) as painting:
        context = painting.new_context(viewport={"width": 1280, "height": 800})
        context.request.post(f"{web.base}/api/v1/auth/login", data={"name": "admin", "password": PASSWORD})
        for label in PICTURES:
            with subtests.test(label):
                page = context.new_page()
                page.goto(web.base + urls.session_page("P", label))
                told: list[str] = []
                context.once("page", partial(listen, told))
                with page.expect_popup() as popup:
                    page.get_by_role("link", name="Open in OHIF").click()
                viewer = popup.value
                assert f"/ohif/projects/P/viewer?StudyInstanceUIDs={study_of(label)}" in viewer.url
                try:
                    viewer.wait_for_function(PAINTED, arg=DEVIATION, timeout=60_000)
                    if label == "MR":
                        store_a_measurement(viewer)
                finally:
                    assert told == []
                assert all(frame.url.startswith(web.base) for frame in viewer.frames)
                viewer.close()
                page.close()
    with web.client() as client:
        series = client.get(f"{urls.dicomweb('P')}/studies/{study_of('MR')}/series").json()
        assert [one["00080060"]["Value"] for one in series] == [["MR"], ["SR"]]
        scans = client.get("/data/projects/P/experiments/MR/scans").json()["ResultSet"]["Result"]
        assert {scan["type"] for scan in scans} >= {"Lesion"}, scans


def store_a_measurement(viewer: Page) -> None:
    """Draw a length, store it as a structured report, and see it come back: OHIF reads what it has stored."""
    viewer.locator('[data-cy="MeasurementTools-split-button-primary"]').click()
    pane = viewer.locator('[data-cy="viewport-pane"]').bounding_box()
    assert pane is not None
    x, y = pane["x"] + pane["width"] / 2, pane["y"] + pane["height"] / 2
    viewer.mouse.click(x - 60, y - 40)
    viewer.mouse.move(x, y)
    viewer.mouse.click(x + 60, y + 40)
    viewer.get_by_role("button", name="Yes", exact=True).click()  # to track measurements of this series
    viewer.locator('[data-cy="trackedMeasurements-btn"]').click()
    viewer.get_by_role("button", name="Create SR").click()
    viewer.locator("#dialog-input").fill("Lesion")
    with viewer.expect_response(lambda answer: answer.request.method == "POST", timeout=60_000) as stored:
        viewer.get_by_role("button", name="Save", exact=True).click()
    assert stored.value.status == 200
    answer = stored.value.json()
    assert [item["00081150"]["Value"] for item in answer["00081199"]["Value"]] == [[ENHANCED_SR]]
    viewer.locator('[data-cy="study-browser-thumbnail-no-image"]', has_text="Lesion").wait_for()
    viewer.get_by_text("Do you want to continue tracking measurements for this study?").wait_for()
    viewer.wait_for_function(PAINTED, arg=DEVIATION, timeout=60_000)


def study_of(label: str) -> str:
    return str(pydicom.dcmread(FILES / PICTURES[label], stop_before_pixels=True).StudyInstanceUID)
