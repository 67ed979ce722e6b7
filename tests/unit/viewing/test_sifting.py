"""The order in which a session's page shows its scans, and which of them."""

from __future__ import annotations

from typing import Any

import pytest

from scandock.services.records import Scan
from scandock.web.pages.scan_filters import ORDERS, ScanFilter, natural_key


def scan(scan_id: str, description: str = "", **more: Any) -> Scan:
    attributes = {"series_description": description} if description else {}
    usual = {"type": None, "modality": "MR", "frames": 1, "bytes": 1}
    return Scan(
        id=scan_id, session="", uri="", series_uid=None, xsi_type="", quality="usable", note="", files=1, modified=0,
        tree=1, attributes=attributes, **{**usual, **more},
    )  # fmt: skip


def test_ids_stand_as_people_count():
    ids = ["SR 99", "10", "2", "99", "10-MR2", "10-MR10", "ecat", "", "2²", "٣", "1" * 100]
    expected = ["", "2", "2²", "10", "10-MR2", "10-MR10", "99", "1" * 100, "ecat", "SR 99", "٣"]
    assert sorted(ids, key=natural_key) == expected


@pytest.mark.parametrize(
    ("find", "found"),
    [("", ["2", "10", "99"]), ("T1", ["2"]), ("ct", ["10"]), ("99", ["99"]), ("local", ["99"]), ("nothing", [])],
)
def test_scans_are_found_by_what_their_cards_say(find, found):
    scans = [scan("2", "t1 axial"), scan("10", modality="CT"), scan("99", type="Localizer")]
    assert [one.id for one in ScanFilter(find, "id")(scans)] == found


@pytest.mark.parametrize(
    ("order", "sorted_so"), [("id", "123"), ("name", "312"), ("images", "213"), ("bytes", "132"), ("modality", "213")]
)
def test_scans_are_sorted_by_what_is_asked_for_and_then_by_number(order, sorted_so):
    scans = [
        scan("1", "b", frames=2, bytes=9, modality="MR"),
        scan("2", "c", frames=5, bytes=1, modality="CT"),
        scan("3", "A", frames=2, bytes=5, modality="PT"),
    ]
    assert "".join(one.id for one in ScanFilter("", order)(scans)) == sorted_so


def test_every_order_is_said_in_words():
    assert all(words for words, _ in ORDERS.values())
