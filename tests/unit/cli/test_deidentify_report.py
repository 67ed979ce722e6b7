"""What `scandock deidentify` prints at its end."""

from __future__ import annotations

import pytest

from scandock.cli.deidentify_report import DeidentificationReport
from scandock.rules.notices import make_notice
from scandock.workers.deidentification import Outcome


def test_warnings_that_all_say_something_else_are_counted_from_the_200th_on(capsys: pytest.CaptureFixture[str]) -> None:
    report = DeidentificationReport("out", as_json=False)
    for number in range(1000):
        notice = make_notice("deid_residue", tags=f"(0008,{number:04})")
        report.tell(Outcome(path=f"{number}.dcm", result="ok", warnings=(notice, make_notice("ecat_text"))))
    report.end()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 202
    assert lines[0].startswith(
        "warning: 0.dcm: Values that identify the original's patient or study are still in (0008,0000)."
    )
    assert lines[1].startswith("warning: 0.dcm and 999 others: A header of the ECAT file")
    assert lines[200] == "... and 801 warnings more [deid_residue]; --json lists them all"
