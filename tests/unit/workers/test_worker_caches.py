"""What a worker makes in advance for those who look: only where somebody reads it, and clears it up."""

from __future__ import annotations

import pytest

from scandock.services.settings import load_settings
from scandock.workers.worker import has_readers


@pytest.mark.parametrize(
    ("role", "store", "expected"),
    [("all", None, True), ("worker", None, True), ("all", "s3://scans", True), ("worker", "s3://scans", False)],
)
def test_a_worker_host_with_a_folder_of_its_own_has_no_readers(role, store, expected):
    settings = load_settings().model_copy(update={"store": store})
    assert has_readers(role, settings) is expected
