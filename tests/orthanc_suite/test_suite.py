"""Orthanc's own tests of DICOMweb, run against Scandock: each passes, or differs as the table says."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from scandock.testing.worker import InProcessWorker
from tests.integration.web import PASSWORD, serve_in_process
from tests.orthanc_suite import shim
from tests.orthanc_suite.checkout import checkout
from tests.orthanc_suite.outcomes import DIFFERS, OBJECTS, PASSES

pytestmark = [pytest.mark.processes, pytest.mark.long]


def test_each_test_of_the_suite_passes_or_differs_as_the_table_says(
    tmp_path: Path, project_root: Path, subtests: pytest.Subtests
) -> None:
    root = checkout()
    assert root is not None
    missing = {name for name, file in OBJECTS.items() if not (root / "Database" / file).is_file()}
    names = [name for name in (*PASSES, *DIFFERS) if name not in missing]
    found = tmp_path / "found.json"
    data = tmp_path / "data"
    with serve_in_process(data) as web, InProcessWorker(data, upkeep=False), shim.serve(web) as port:
        command = ["-m", "tests.orthanc_suite.run", root, port, "admin", PASSWORD, found, *names]
        subprocess.run([sys.executable, *map(str, command)], cwd=project_root, check=True, capture_output=True)
        assert not [line for line in web.logged if line["log_level"] in ("error", "critical")]
    by_test = json.loads(found.read_text())
    assert set(by_test) == set(names)
    for name, messages in by_test.items():
        with subtests.test(name):
            expected = [text for difference in DIFFERS.get(name, ()) for text in difference.messages]
            assert [one for one in messages if not one.startswith(tuple(expected))] == []
            assert [text for text in expected if not any(one.startswith(text) for one in messages)] == []
    for name in sorted(missing):
        with subtests.test(name):
            pytest.skip(f"the checkout lacks {OBJECTS[name]}")
