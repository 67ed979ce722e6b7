"""To the byte and to the upload: what one may have is taken, one more is not."""

from __future__ import annotations

import pytest

from scandock.model.errors import Usage
from scandock.services.quotas import check_size


@pytest.mark.parametrize("size", [None, 0, 1_000])
def test_an_upload_may_have_as_many_bytes_as_the_limit(size: int | None) -> None:
    check_size(size, 1_000)


def test_not_one_more() -> None:
    with pytest.raises(Usage) as caught:
        check_size(1_001, 1_000)
    assert caught.value.code == "upload_too_large"
