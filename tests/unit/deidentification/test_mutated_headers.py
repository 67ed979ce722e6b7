"""Damaged headers: the tree and pydicom read the same, or the object fails. `make fuzz` goes over all 10,000."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import settings

from scandock.deidentification.data_set import DataSet
from scandock.deidentification.encoding import encode
from scandock.deidentification.errors import ScrubError
from scandock.deidentification.parsing import parse
from tests.unit.deidentification.mutation import MARK, bases, mutated
from tests.unit.deidentification.objects import joined
from tests.unit.deidentification.referee import pydicom_reading, tree_reading

pytestmark = [pytest.mark.long, pytest.mark.hypothesis]

CASES = 10_000
EACH = 1 if settings.get_current_profile_name() == "fuzz" else 3


def written(data: bytes) -> bytes:
    return joined(encode(parse(data)))


def outcome(data: bytes) -> str:
    """What came of one header; AssertionError where what came is wrong."""
    try:
        obj = parse(data)
        out = joined(encode(obj))
    except ScrubError:
        return "failed"
    is_slow = bool(obj.data.changes or (obj.meta is not None and obj.meta.changes))
    if not is_slow and not obj.trailing and not (obj.pixels and obj.pixels.is_odd):
        assert out == data
    assert written(out) == out
    expected = pydicom_reading(data[: len(data) - obj.trailing])
    read = tree_reading(obj.data, expected)
    assert read == expected
    assert read == tree_reading(parse(out).data, expected)
    _change_and_compare(data, obj.data)
    return "slow" if is_slow else "fast"


def _change_and_compare(data: bytes, before: DataSet) -> None:
    """Remove what holds the mark: pydicom reads just that gone, and no byte of it is left."""
    obj = parse(data)
    for data_set, tag in obj.data.walk():
        if MARK in data_set.value(tag) and data_set.items(tag) is None:
            data_set.remove(tag)
    parts = encode(obj)
    out = joined(parts)
    pixels = obj.data.value(obj.pixels.tag) if obj.pixels is not None and obj.pixels.tag in obj.data else b""
    assert MARK not in out[132:].replace(pixels, b"") if pixels else MARK not in out[132:]
    read = pydicom_reading(out)
    assert read == tree_reading(obj.data, read)
    assert set(read) <= set(before)


def test_the_undamaged_are_read_as_by_pydicom(subtests):
    for index, base in enumerate(bases()):
        with subtests.test(index=index):
            assert outcome(base) == "fast"


def test_damaged_headers_are_read_as_by_pydicom_or_fail():
    outcomes: Counter[str] = Counter()
    for seed in range(0, CASES, EACH):
        try:
            outcomes[outcome(mutated(seed))] += 1
        except ScrubError:
            raise AssertionError(f"seed {seed}: what was read once can't be read again") from None
        except AssertionError as wrong:
            raise AssertionError(f"seed {seed}") from wrong
    total = sum(outcomes.values())
    assert outcomes["fast"] > total / 10
    assert outcomes["slow"] > total / 50
    assert outcomes["failed"] > total / 2
