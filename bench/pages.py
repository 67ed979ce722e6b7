"""Measures the pages in Chromium, on a served site with much on it; writes docs/performance.md.

    python -m bench.pages [--rounds 7] [--sessions 10000] [--looks]

First contentful paint and bytes transferred before pictures are those of a browser that was never here; the thumbnails
are waited for to the last, of a session with 60 scans, when a worker has made them and when the server makes them as
they are asked for, by turns. `--looks` measures these alone, and writes nothing.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page

from bench import memory, report
from scandock.services.data_catalog import open_data_catalog
from scandock.services.settings import load_settings
from tests.crash.served import ServerProcess
from tests.e2e.browsing import Person, base_of, chromium, person
from tests.e2e.crowded import LONG, MANY_SCANS, crowded
from tests.integration.many_rows import seed

FULL = 10_000
MANY = "Many"
BEGIN, END = "<!-- pages:begin -->", "<!-- pages:end -->"
SESSION = f"/projects/P/sessions/{LONG}"
TOLD = """() => {
  const [paint] = performance.getEntriesByName('first-contentful-paint');
  const all = [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')];
  const plain = all.filter((one) => !['img', 'fetch', 'xmlhttprequest'].includes(one.initiatorType));
  return { paint: paint.startTime, bytes: plain.reduce((sum, one) => sum + one.transferSize, 0) };
}"""
FETCHED = """(part) => performance.getEntriesByType('resource').filter((one) => one.name.includes(part))
  .map((one) => one.responseEnd)"""
SHOWN = "() => [...document.querySelectorAll('main img')].every((one) => one.complete && one.naturalWidth > 0)"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--sessions", type=int, default=FULL)
    parser.add_argument("--looks", action="store_true")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="scandock-pages-") as folder, chromium() as browser:
        text = (
            looked(browser, Path(folder), wanted.rounds)
            if wanted.looks
            else measured(browser, Path(folder), wanted.rounds, wanted.sessions)
        )
    print(text)
    if wanted.sessions == FULL and not wanted.looks:
        report.write(text, BEGIN, END)


def looked(browser: Browser, folder: Path, rounds: int) -> str:
    """The thumbnails alone."""
    with crowded(folder) as (served, _):
        return looks(browser, served, rounds)


def measured(browser: Browser, folder: Path, rounds: int, sessions: int) -> str:
    """A table of pages, and a line of the thumbnails."""
    with crowded(folder) as (served, ids):
        catalog = open_data_catalog(str(served.data), load_settings())
        seed(catalog, sessions, name=MANY)
        catalog.dispose()
        base = base_of(served)
        table = looks(browser, served, rounds)
        pages = {
            "log in": "/login",
            "overview": "/",
            "upload": "/upload",
            "activity": "/activity",
            "receipt of 300 sessions": f"/imports/{ids['many']}/receipt",
            "prearchive": "/prearchive",
            f"project with {sessions:,} sessions": f"/projects/{MANY}",
            "session with 60 scans": SESSION,
            "scan, with the viewer": f"{SESSION}/scans/1",
            "audit trail": "/admin/audit",
        }
        lines = ["| page | first contentful paint (ms) | transferred before pictures (kB) |", "|---|---|---|"]
        for name, path in pages.items():
            runs = [visit(browser, base, path) for _ in range(rounds)]
            paints = [run["paint"] for run in runs]
            size = statistics.median(run["bytes"] for run in runs) / 1000
            lines.append(f"| {name} | {spread(paints)} | {size:.0f} |")
        lines += [
            "",
            table,
            "",
            f"{report.machine(folder)}; {rounds} rounds, each with a browser that kept nothing.",
        ]
        return "\n".join(lines)


def visit(browser: Browser, base: str, path: str) -> dict[str, Any]:
    """One load with nothing kept, of somebody who is logged in (but to the login)."""
    with person(browser, base) as one:
        if path != "/login":
            cookie_of(one)
        one.go(path)
        one.page.wait_for_load_state("load")
        one.page.wait_for_function("() => performance.getEntriesByName('first-contentful-paint').length > 0")
        told: dict[str, Any] = one.page.evaluate(TOLD)
        return told


def cookie_of(one: Person) -> None:
    """A login by the API: no page is loaded for it, so that nothing is kept."""
    told = one.page.context.request.post(f"{one.base}/api/v1/auth/login", data={"name": "admin", "password": "secret"})
    assert told.ok


def looks(browser: Browser, served: ServerProcess, rounds: int) -> str:
    """First looks at a session and into the viewer: where a worker has made the thumbnails, and where nobody has."""
    cache, base = served.data / "cache", base_of(served)
    while not any(len(list(done.parent.glob("*.webp"))) >= MANY_SCANS for done in cache.glob("*/*-thumbnails")):
        time.sleep(0.2)
    kept = cache.with_name("cache.kept")
    shutil.copytree(cache, kept)
    table: dict[str, list[list[float]]] = {"made by a worker": [], "made as they are asked for": []}
    for number in range(rounds + 1):
        for name, values in table.items():
            end_decoders(served)
            cache.rename(f"{cache}.{number}.{name}")
            if name == "made by a worker":
                shutil.copytree(kept, cache)
            values.append([*thumbnails(browser, base), first_frame(browser, base)])
    lines = ["| thumbnails of 60 scans | the first (ms) | the last (ms) | then the first image in the viewer (ms) |"]
    lines.append("|---|---|---|---|")
    for name, values in table.items():
        lines.append(f"| {name} | {' | '.join(spread(list(each)) for each in zip(*values[1:], strict=True))} |")
    shutil.rmtree(kept)
    return "\n".join(lines)


def end_decoders(served: ServerProcess) -> None:
    """As after two minutes without a picture."""
    for pid in list(memory.tree(served.process.pid)):
        if Path(f"/proc/{pid}/comm").read_text() == "decoder\n":
            os.kill(pid, signal.SIGKILL)


def first_frame(browser: Browser, base: str) -> float:
    """Milliseconds from the viewer's address until the numbers of its first image are there."""
    with person(browser, base) as one:
        cookie_of(one)
        one.go(f"{SESSION}/scans/1")
        one.page.wait_for_function(f"() => ({FETCHED})('/frames/').length > 0", polling=20)
        taken: float = one.page.evaluate(f"() => Math.min(...({FETCHED})('/frames/'))")
        return taken


def thumbnails(browser: Browser, base: str) -> tuple[float, float]:
    """Milliseconds from the address to the first and the last thumbnail of a session, in a window that shows all."""
    with person(browser, base) as one:
        cookie_of(one)
        one.page.set_viewport_size({"width": 1280, "height": 6000})
        one.go(SESSION)
        shown(one.page)
        last: float = one.page.evaluate("() => performance.now()")
        first: float = one.page.evaluate(f"() => Math.min(...({FETCHED})('/thumbnail'))")
        return first, last


def shown(page: Page) -> None:
    page.wait_for_function(SHOWN, polling=20)


def spread(values: list[float]) -> str:
    return f"{statistics.median(values):.0f} ({min(values):.0f}-{max(values):.0f})"


if __name__ == "__main__":
    main()
