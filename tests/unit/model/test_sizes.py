"""Sizes as people read them."""

from __future__ import annotations

import pytest

from scandock.model.sizes import format_size


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1234, "1.2 kB"),
        (9_949, "9.9 kB"),
        (9_951, "10 kB"),
        (221_000_000, "221 MB"),
        (999_600_000, "1.0 GB"),
        (66_300_000_000, "66 GB"),
        (5_000_000_000_000_000, "5,000 TB"),
    ],
)
def test_sizes_have_three_digits_at_most_until_the_units_end(count: int, shown: str) -> None:
    assert format_size(count) == shown
