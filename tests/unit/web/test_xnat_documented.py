"""docs/xnat-compatibility.md names every route of the dialect with its methods, and none that there is not."""

from __future__ import annotations

import re
from pathlib import Path

from scandock.web.xnat.address_lookup import EXPERIMENTS, SUBJECTS
from scandock.web.xnat.registration import ROUTERS

PAGE = Path(__file__).resolve().parents[3] / "docs" / "xnat-compatibility.md"
WAITING = "/data/prearchive/projects/{project}/{timestamp}/{label}"


def short(path: str) -> str:
    """A route's address as the page writes it."""
    path = re.sub(r"\{_?(\w+)(:\w+)?\}", r"{\1}", path)
    for where, name in [
        *((one, "{E}") for one in reversed(EXPERIMENTS)),
        *((one, "{S}") for one in reversed(SUBJECTS)),
    ]:
        if path == where or path.startswith(f"{where}/"):
            return name + path.removeprefix(where)
    path = path.replace(WAITING, "{W}")
    return re.sub(r"^/data/projects/\{project\}(?=/(resources|files))", "{P}", path)


def test_the_page_has_every_route_and_no_other():
    served: dict[str, set[str]] = {}
    for router in ROUTERS:
        for route in router.routes:
            served.setdefault(short(route.path), set()).update(route.methods)
    told: dict[str, set[str]] = {}
    routes, _, _ = PAGE.read_text().partition("## What is different")
    for line in routes.splitlines():
        cells = [one.strip() for one in line.split("|")]
        if len(cells) == 5 and cells[1].startswith("`"):
            for address in re.findall(r"`([^`]+)`", cells[1]):
                told.setdefault(address, set()).update(re.findall(r"[A-Z]{3,}", cells[2]))
    assert set(told) == set(served)
    assert {name: methods - told[name] for name, methods in served.items() if methods - told[name]} == {}
