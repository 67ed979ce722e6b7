"""docs/dicom-conformance.md says what the code does."""

from __future__ import annotations

from scandock.dimse.records import Status
from scripts import conformance


def test_the_page_is_what_the_code_says() -> None:
    assert conformance.PAGE.read_text(encoding="utf-8") == conformance.page(), "run python -m scripts.conformance"


def test_every_status_that_is_answered_is_on_the_page() -> None:
    page = conformance.page()
    statuses = [value for name, value in vars(Status).items() if name.isupper()]
    assert len(statuses) > 10
    for status in statuses:
        assert f"{status:04X}" in page
