"""A short share of the receiver's crash suite, and that its judge sees what is wrong. All of it: `make crash`."""

from __future__ import annotations

import pytest

from tests.crash.archives import Study
from tests.crash.receiver_rounds import (
    GRADUAL_VICTIMS,
    NAMED,
    VICTIMS,
    Promises,
    data_of,
    judge,
    receiver_kills,
    run_receiver_rounds,
)

pytestmark = [pytest.mark.crash, pytest.mark.processes]

PAUSE = 0.4
"""Seconds between the studies of a sender: each is an import, and there need not be many for a kill to meet one."""


def test_what_was_acknowledged_stands_in_one_session(tmp_path):
    """Ten kills beneath four senders."""
    assert run_receiver_rounds(tmp_path, list(receiver_kills(10, 1)), 1, pause=PAUSE) == []


def test_single_objects_that_were_acknowledged_stand_in_one_session(tmp_path):
    """The same of objects that come one a request; a kill between acknowledgment and import is among them."""
    kills = list(receiver_kills(12, 2, GRADUAL_VICTIMS))
    assert set(NAMED) < set(kills)
    assert run_receiver_rounds(tmp_path, kills, 2, gradual=True, pause=PAUSE) == []


def test_kills_are_of_every_kind():
    assert set(receiver_kills(48, 1)) == {*NAMED, *VICTIMS}


def test_the_judge_sees_what_is_lost_and_what_stands_twice(tmp_path):
    objects = Study(1, 1, series=1, count=3, side=8).objects
    promises = Promises()
    for name, raw in objects.items():
        promises.add(name, raw)
    (tmp_path / "archive" / "P").mkdir(parents=True)
    (tmp_path / "prearchive").mkdir()
    for number, raw in enumerate(list(objects.values())[:2]):
        (tmp_path / "archive" / "P" / f"{number}.dcm").write_bytes(raw)
    (tmp_path / "prearchive" / "again.dcm").write_bytes(next(iter(objects.values())))
    names = list(objects)
    assert judge(tmp_path, promises) == [
        f"{names[0]} was acknowledged and stands in 2 sessions",
        f"{names[2]} was acknowledged and stands in 0 sessions",
    ]
    assert data_of(next(iter(objects.values())))[:4] == b"\x08\0\x16\0"
