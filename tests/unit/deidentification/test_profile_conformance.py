"""After the profile an object is as valid as before: dciodvfy (dicom3tools) finds no error that was not there."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pydicom
import pytest

from tests.unit.deidentification.generated import CLASSES, deidentify, make_object, written

pytestmark = pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dicom3tools is not on this machine")

PROFILES = (
    "basic,modified-dates,clean-descriptors,clean-structured,clean-graphics",
    "basic,retain-uids,retain-device,retain-institution,retain-patient,retain-full-dates",
)
REAL = (
    "FNNDSC__SAG-anon",
    "datalad__example-dicom-structural",
    "neurolabusc__dcm_qa_canon_61",
    "neurolabusc__dcm_qa_nih",
    "neurolabusc__dcm_qa_uih",
    "neurolabusc__dcm_qa_xa60",
    "nipy__heudiconv",
)


def test_nothing_generated_becomes_invalid(tmp_path: Path, subtests: pytest.Subtests) -> None:
    for kind in CLASSES:
        raw = written(make_object(kind))
        before = _errors(tmp_path, raw)
        for profile in ("basic", *PROFILES):
            with subtests.test(kind=kind, profile=profile):
                assert _errors(tmp_path, deidentify(raw, profile)) <= before


@pytest.mark.corpus
@pytest.mark.long
def test_no_real_mr_becomes_invalid(corpus: Path, tmp_path: Path, subtests: pytest.Subtests) -> None:
    for folder in REAL:
        path = next(path for path in sorted((corpus / folder).rglob("*")) if path.is_file() and _is_mr(path))
        raw = path.read_bytes()
        before = _errors(tmp_path, raw)
        for profile in ("basic", *PROFILES):
            with subtests.test(folder=folder, profile=profile):
                assert _errors(tmp_path, deidentify(raw, profile)) <= before


def _is_mr(path: Path) -> bool:
    try:
        return str(pydicom.dcmread(path, stop_before_pixels=True, specific_tags=["Modality"]).Modality) == "MR"
    except (pydicom.errors.InvalidDicomError, AttributeError, EOFError):
        return False


def _errors(folder: Path, raw: bytes) -> set[str]:
    """What dciodvfy finds wrong, without the UIDs that its sentences quote."""
    file = folder / "object.dcm"
    file.write_bytes(raw)
    run = subprocess.run(["dciodvfy", str(file)], capture_output=True, check=False)
    lines = run.stderr.decode("latin-1").splitlines()
    return {re.sub(r"<[\d.]{8,}>|[\d.]{20,}", "UID", line) for line in lines if line.startswith("Error")}
