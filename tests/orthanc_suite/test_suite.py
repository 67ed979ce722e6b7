"""Orthanc's own tests of DICOMweb, run against Scandock: each passes, or differs as the table says."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom.filereader import read_partial

from scandock.testing.worker import InProcessWorker
from tests.integration.web import PASSWORD, serve_in_process
from tests.orthanc_suite import shim
from tests.orthanc_suite.checkout import checkout
from tests.orthanc_suite.outcomes import DIFFERS, OBJECTS, PASSES

BOUNDARY = "8ad1a3a2-6c3f-4d0e-9d25-0e7f1b2c3d4e"
AT_ONCE = 50
UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
LAST_UID = 0x0020000E
"""Of the data set; behind it one object is nested too deeply for pydicom."""
EXPLICIT = "1.2.840.10008.1.2.1"

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


def test_every_object_of_its_database_is_stored_or_none_and_reads_back_without_a_fault(tmp_path: Path) -> None:
    """Its objects are odd: encodings, syntaxes, sizes, nesting. What is refused has not all of its UIDs."""
    root = checkout()
    assert root is not None
    files = {path.read_bytes(): path.name for path in sorted((root / "Database").rglob("*")) if is_object(path)}
    data = tmp_path / "data"
    stored, refused = [], []
    with serve_in_process(data) as web, InProcessWorker(data, upkeep=False), web.client() as client:
        for batch in batches(list(files)):
            body = b"".join(b"--%b\r\n\r\n%b\r\n" % (BOUNDARY.encode(), content) for content in batch)
            answer = client.post(
                "/dicomweb/projects/P/studies", content=body + f"--{BOUNDARY}--".encode(), timeout=120,
                headers={"Content-Type": f'multipart/related; type="application/dicom"; boundary={BOUNDARY}'},
            )  # fmt: skip
            assert answer.status_code in (200, 202)
            items = answer.json()
            stored += [item.get("00081190") for item in items["00081199"]["Value"]]
            refused += items.get("00081198", {}).get("Value", [])
        assert len(refused) == sum(not has_uids(content) for content in files)
        assert {reason for item in refused for reason in item["00081197"]["Value"]} == {0xC000}
        addresses = [url["Value"][0] for url in stored if url]
        assert len(addresses) > 200
        for address in addresses:
            original = client.get(address, headers={"Accept": "application/dicom; transfer-syntax=*"})
            assert original.content in files
            assert client.get(f"{address}/metadata").json()[0]["00080018"]["Value"] == [address.rpartition("/")[2]]
            explicit = client.get(address, headers={"Accept": "application/dicom"}, timeout=60)
            assert explicit.status_code == 200 or explicit.json()["code"] == "not_convertible"
            if explicit.status_code == 200:
                assert f"transfer-syntax={EXPLICIT}" in explicit.headers["content-type"]
            for verb in ("frames/1", "rendered"):
                part = client.get(f"{address}/{verb}", timeout=60)
                assert part.status_code == 200 or part.json()["code"] in ("part_unknown", "not_convertible")
        assert not [line for line in web.logged if line["log_level"] in ("error", "critical")]


def is_object(path: Path) -> bool:
    return path.is_file() and path.read_bytes()[128:132] == b"DICM"


def batches(contents: list[bytes]) -> Iterator[list[bytes]]:
    for at in range(0, len(contents), AT_ONCE):
        yield contents[at : at + AT_ONCE]


def has_uids(content: bytes) -> bool:
    """Whether a data set has the three UIDs, as pydicom reads it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = read_partial(io.BytesIO(content), lambda tag, *_: tag > LAST_UID)
        return all(str(dataset.get(name) or "") for name in UIDS)
