"""The upload page of an installed wheel on a slow line: files are taken early, and all else comes afterwards."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Route

from tests.crash.served import FreshServerProcess, ServerProcess
from tests.e2e.browsing import base_of, person
from tests.e2e.projects import log_in
from tests.e2e.uploading import archive, drop, image
from tests.ports import free_port

pytestmark = [pytest.mark.processes, pytest.mark.long]

LATENCY_MS, BYTES_A_SECOND = 300, 50_000
MOST_MS, MOST_BYTES = 2000, 45_000
READY = """
addEventListener("DOMContentLoaded", () => {
  const drop = document.getElementById("drop");
  const observer = new MutationObserver(() => {
    if (drop.classList.contains("up-ready")) window.readyAt ??= performance.now();
  });
  observer.observe(drop, { attributes: true });
});
"""
"""Notes when files can be dropped: the drop zone says so by its class."""
BEFORE = """() => [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
  .filter((one) => one.responseStart < window.readyAt)
  .map((one) => [new URL(one.name).pathname, one.transferSize])"""
"""What had begun to come until then, with its bytes on the line, headers included."""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory, project_root: Path) -> Iterator[ServerProcess]:
    """A server that runs from a wheel, as it is built from this checkout."""
    folder = tmp_path_factory.mktemp("installed")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=project_root, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(folder / "site")
    running = FreshServerProcess(folder, free_port(), PYTHONPATH=str(folder / "site")).ready()
    try:
        running.project()
        yield running
        running.end()
    finally:
        running.kill()


def test_files_are_taken_within_two_seconds_and_45_kb_on_a_slow_line(
    installed: ServerProcess, browser: Browser, tmp_path: Path, project_root: Path
):
    assert not (project_root / "src/scandock/web/pages/static/bundle").exists()  # a checkout serves plain modules
    login = log_in(base_of(installed))
    with person(browser, base_of(installed), storage_state=login) as one:
        one.page.add_init_script(READY)
        devtools = one.page.context.new_cdp_session(one.page)
        devtools.send("Network.enable")
        rate = {"downloadThroughput": BYTES_A_SECOND, "uploadThroughput": BYTES_A_SECOND}
        devtools.send("Network.emulateNetworkConditions", {"offline": False, "latency": LATENCY_MS, **rate})
        page = one.page
        page.goto(one.base + "/upload", wait_until="commit")
        page.wait_for_function("() => window.readyAt")
        drop(page, archive(tmp_path / "early.zip", {"one.dcm": image(1)}))
        page.locator("#picks[data-preview=complete]").wait_for()  # its list, worker and letters came over the same line
        assert page.get_by_text("early.zip").first.is_visible()

        before = dict(page.evaluate(BEFORE))
        ready = page.evaluate("() => window.readyAt")
        assert sum(before.values()) <= MOST_BYTES, before
        assert ready <= MOST_MS, (ready, before)
        assert any("/js/chunks/early_files-" in path for path in before)  # it is the bundle that is served
        assert not [path for path in before if any(name in path for name in ("worker", "tus", "htmx", "letters"))]

    expected = ("ERR_FAILED", "Failed to load resource")
    with person(browser, base_of(installed), storage_state=login, expected=expected) as one:

        def abort(route: Route) -> None:
            route.abort()

        one.page.route("**/js/chunks/page-*.js", abort)
        one.go("/upload")
        one.page.get_by_text("The page did not load completely.").first.wait_for()
