"""The golden cases of DicomEdit (beside the project): each as a test of its own."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import pydicom
import pytest

from scandock.deidentification.errors import ScrubError
from scandock.deidentification.parsing import parse
from scandock.deidentification.script.errors import ScriptRefused
from scandock.deidentification.script.evaluator import run_scripts
from scandock.deidentification.script.lookup_table import parse_lookup_table
from scandock.deidentification.script.parser import parse_script
from scandock.deidentification.scrub import Context, Failed, Rejected, Rules, scrub
from tests.unit.deidentification.script.script_objects import (
    KEY,
    context,
    object_bytes,
    read_back,
    value_at,
    with_version,
)

GOLDEN = Path(__file__).resolve().parents[5] / "shared/reference/golden/dicomedit.json"
CASES = json.loads(GOLDEN.read_text(encoding="utf-8"))["cases"] if GOLDEN.exists() else []


def test_the_golden_cases_are_there_where_the_reference_is() -> None:
    assert len(CASES) == 174 or not GOLDEN.parent.exists()


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_golden(case: dict[str, Any]) -> None:
    assert _result(case) == case["result"], case.get("note")


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_golden_from_bytes_to_bytes(case: dict[str, Any]) -> None:
    """As the command does it; nothing there ignores a rejection."""
    expected = "reject" if case.get("ignore_reject") else case["result"]
    assert _scrub_result(case) == expected, case.get("note")


def _result(case: dict[str, Any]) -> str:
    try:
        script = parse_script(with_version(case["script"]))
    except ScriptRefused as refused:
        return "refused" if re.search(r"line \d+, column \d+: ", refused.message) else refused.message
    obj = parse(object_bytes(case["input"]))
    given = context(
        variables=case.get("vars", {}),
        lookups=parse_lookup_table("\n".join(case.get("lookup", []))),
        rejects=not case.get("ignore_reject", False),
    )
    try:
        outcome = run_scripts([script], obj, given)
    except ScrubError as error:
        return "error" if re.search(r"line \d+: ", error.message) else error.message
    if outcome.rejected:
        return "reject"
    _check_output(case, read_back(obj))
    return "ok"


def _scrub_result(case: dict[str, Any]) -> str:
    try:
        script = parse_script(with_version(case["script"]))
    except ScriptRefused:
        return "refused"
    lookups = parse_lookup_table("\n".join(case.get("lookup", [])))
    data = object_bytes(case["input"])
    result = scrub(
        data,
        rules=Rules(scripts=(script,), lookups=lookups),
        context=Context(key=KEY, variables=case.get("vars", {})),
    )
    if isinstance(result, Failed):
        return "error" if re.search(r"line \d+: ", result.message) else f"{result.code}: {result.message}"
    if isinstance(result, Rejected):
        return "reject"
    written = b"".join(bytes(part) for part in result.parts)
    _check_output(case, pydicom.dcmread(io.BytesIO(written)))
    return "ok"


def _check_output(case: dict[str, Any], data: pydicom.FileDataset) -> None:
    for path, expected in case["output"].items():
        value = value_at(data, path)
        if expected is not None and expected.startswith("re:"):
            assert value is not None, path
            assert re.fullmatch(expected[3:], value), (path, value)
        else:
            assert value == expected, path
