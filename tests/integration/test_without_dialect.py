"""The dialect can be taken out: a copy of Scandock without its folder starts, imports, and serves pages and v1."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.integration.without_dialect import ADDRESSES

ROOT = Path(__file__).parents[2]
GONE = {
    path for path in ADDRESSES if path.startswith(("/data", "/REST", "/xapi", "/app")) or path.endswith("/manifest")
}
pytestmark = pytest.mark.processes


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("without")
    left_out = shutil.ignore_patterns("xnat")
    web = ROOT / "src/scandock/web"
    shutil.copytree(
        ROOT / "src/scandock", folder / "scandock",
        ignore=lambda where, names: left_out(where, names) if Path(where) == web else set(),
    )  # fmt: skip
    (folder / "scandock/web/xnat/__pycache__").mkdir(parents=True)  # as people leave it who delete what they see
    bare = {name: text for name, text in os.environ.items() if not name.startswith("SCANDOCK_")}
    environment = {**bare, "PYTHONPATH": os.pathsep.join((str(folder), str(ROOT))), "PYTHONDONTWRITEBYTECODE": "1"}
    words = [sys.executable, "-W", "error", "-m", "tests.integration.without_dialect", str(folder)]
    done = subprocess.run(words, env=environment, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert found["package"] == str(folder / "scandock/__init__.py")
    return found


def test_it_starts_imports_and_serves(told: dict[str, Any]) -> None:
    assert told["dialect"] is False
    assert told["modules"] == []
    assert told["state"] == "placed"
    assert {path: status for path, (status, _) in told["answers"].items() if path not in GONE} == {
        path: 303 if path == "/login" else 200 for path in ADDRESSES if path not in GONE
    }
    sessions = json.loads(told["answers"]["/api/v1/sessions?project=P"][1])["items"]
    assert sorted(one["label"] for one in sessions) == ["S1", "S2"]
    assert "S1" in told["answers"]["/projects/P"][1]


def test_its_addresses_are_none(told: dict[str, Any]) -> None:
    assert {path: told["answers"][path][0] for path in GONE} == dict.fromkeys(GONE, 404)
    assert "There is nothing of that name" in told["answers"]["/data/projects"][1]


def test_nothing_leads_to_it(told: dict[str, Any]) -> None:
    assert told["cookies"] == []  # a name and a password begin no login of its clients at the front page
    assert told["by_cookie"] == {"scandock_session": 200, "JSESSIONID": 401}
    paths = json.loads(told["answers"]["/api/openapi.json"][1])["paths"]
    assert [path for path in paths if not path.startswith(("/api/v1", "/healthz", "/readyz", "/metrics"))] == []
    pages = [text for path, (_, text) in told["answers"].items() if not path.startswith("/api") and path not in GONE]
    assert not any("manifest" in text for text in pages)
