"""Again 3 to 5, and what holds a session later."""

from __future__ import annotations

import pytest

from scandock.rules.notices import make_notice
from scandock.rules.policy import ProjectPolicy
from scandock.rules.prearchive import format_timestamp
from scandock.rules.reimports import hold_decision, session_exists_notice
from tests.unit.rules_sessions.builders import NOW, STAMP, FakeCatalog, codes, decide, held, known, study, waiting

ONE = study("1.2", PatientID="pid")
TWO = study("1.3", PatientID="other")
CLASH = make_notice("sop_clash", label="pid", count=2)


@pytest.mark.parametrize("overwrite", [None, "append", "delete"])
def test_what_comes_again_goes_into_the_archived_session(overwrite):
    (made,) = decide(ONE, catalog=FakeCatalog(known("pid", "1.2")), overwrite=overwrite)
    assert (made.place, made.existing, held(made)) == ("archive", "uuid-pid", "")
    assert made.overwrite == (overwrite or "append")


def test_with_none_an_existing_session_refuses_more():
    (made,) = decide(ONE, catalog=FakeCatalog(known("pid", "1.2")), overwrite="none")
    assert (held(made), made.place, made.label, made.existing) == ("session_exists", "prearchive", "pid", None)
    assert (made.timestamp, made.archived) == (STAMP, "uuid-pid")


def test_the_message_says_if_every_object_is_there():
    assert "already there" not in session_exists_notice("L", "P").message
    assert "Every object that came is there already" in session_exists_notice("L", "P", all_there=True).message


def test_with_none_a_new_session_is_archived():
    (made,) = decide(ONE, overwrite="none")
    assert (made.place, held(made)) == ("archive", "")


@pytest.mark.parametrize("overwrite", [None, "append", "delete", "none"])
def test_what_is_bound_for_the_prearchive_joins_the_session_there_in_every_mode(overwrite):
    catalog = FakeCatalog(waiting("pid", "1.2"), known("pid", "1.2"))
    (made,) = decide(ONE, catalog=catalog, destination="prearchive", overwrite=overwrite)
    assert (made.place, made.existing, held(made)) == ("prearchive", "uuid-pid", "")
    assert made.timestamp == "20200101_000000000"


def test_the_one_of_another_label_or_study_is_not_joined():
    catalog = FakeCatalog(waiting("pid", "1.9", uuid="u9"), known("L", "1.2"))
    (made,) = decide(ONE, catalog=catalog, destination="prearchive")
    assert (made.label, made.existing, made.timestamp) == ("L", None, STAMP)


def test_what_is_held_joins_too():
    catalog = FakeCatalog(known("other", "1.2"), waiting("L", "1.2", held="study_elsewhere"))
    (made,) = decide(ONE, catalog=catalog, session="L")
    assert (held(made), made.existing) == ("study_elsewhere", "uuid-L")


def test_what_joins_a_held_session_is_held_for_its_reason():
    (made,) = decide(ONE, catalog=FakeCatalog(waiting("pid", "1.2", held="sop_clash")), destination="prearchive")
    assert (held(made), made.existing) == ("sop_clash", "uuid-pid")


def test_what_is_bound_for_the_archive_leaves_the_prearchive_alone_and_says_so():
    (made,) = decide(ONE, catalog=FakeCatalog(waiting("pid", "1.2")))
    assert (made.place, made.existing, codes(made)) == ("archive", None, ["session_in_prearchive_left"])


@pytest.mark.parametrize(("code", "named", "got"), [(5, None, "delete"), (4, None, "append"), (5, "append", "append")])
def test_the_projects_code_5_overwrites_where_nothing_is_named(code, named, got):
    (made,) = decide(ONE, policy=ProjectPolicy(id="P", prearchive_code=code), overwrite=named)
    assert made.overwrite == got


def test_a_clash_found_later_leaves_the_archive_and_stands_in_the_prearchive():
    catalog = FakeCatalog(known("pid", "1.2"))
    (made,) = decide(ONE, catalog=catalog)
    later = hold_decision(made, CLASH, catalog, NOW)
    assert (later.place, later.existing, later.archived) == ("prearchive", None, "uuid-pid")
    assert (later.timestamp, held(later), later.label) == (STAMP, "sop_clash", "pid")


def test_and_joins_the_session_that_waits_there():
    catalog = FakeCatalog(known("pid", "1.2"), waiting("pid", "1.2", uuid="w"))
    (made,) = decide(ONE, catalog=catalog)
    assert codes(made) == ["session_in_prearchive_left"]
    later = hold_decision(made, CLASH, catalog, NOW)
    assert (later.existing, later.timestamp, codes(later)) == ("w", "20200101_000000000", [])


def test_two_held_later_get_timestamps_of_their_own():
    catalog = FakeCatalog()
    decisions = decide(ONE, TWO, catalog=catalog)
    decisions[0] = hold_decision(decisions[0], CLASH, catalog, NOW, decisions)
    decisions[1] = hold_decision(decisions[1], CLASH, catalog, NOW, decisions)
    assert [one.timestamp for one in decisions] == [STAMP, "20240506_070809124"]


def test_what_stands_in_the_prearchive_is_held_where_it_is():
    (made,) = decide(ONE, destination="prearchive")
    later = hold_decision(made, CLASH, FakeCatalog(), NOW)
    assert (later.timestamp, later.existing, held(later)) == (made.timestamp, None, "sop_clash")


def test_what_is_held_keeps_its_first_reason():
    (made,) = decide(ONE, catalog=FakeCatalog(known("pid", "1.2")), overwrite="none")
    later = hold_decision(made, CLASH, FakeCatalog(), NOW)
    assert (held(later), codes(later)) == ("session_exists", ["sop_clash"])


def test_timestamps_count_milliseconds_up_past_those_that_are_taken():
    taken = [waiting("x", timestamp=f"20240506_0708{n // 1000:02d}{n % 1000:03d}") for n in range(9123, 10_001)]
    (made,) = decide(ONE, catalog=FakeCatalog(*taken), destination="prearchive")
    assert format_timestamp(NOW) == STAMP
    assert made.timestamp == "20240506_070810001"


# -- timestamps that are asked for, types that are set, what was left in conflict --------------------------------------

MR = study("1.2", PatientID="pid", SOPClassUID="1.2.840.10008.5.1.4.1.1.4", Modality="MR")
ASKED = "20010101_101010"


@pytest.mark.parametrize(
    ("there", "existing", "stamp"),
    [
        ((), None, ASKED),
        ((waiting("pid", "1.2"),), None, ASKED),
        ((waiting("pid", "1.2"), waiting("pid", "1.2", uuid="u", timestamp=ASKED)), "u", ASKED),
        ((waiting("other", "1.9", timestamp=ASKED),), None, ASKED),
        ((waiting("pid", "1.9", timestamp=ASKED, held="sop_clash"),), None, STAMP),
        ((waiting("pid", "1.2"), waiting("pid", "1.9", timestamp=ASKED, held="sop_clash")), "uuid-pid", None),
    ],
    ids=["free", "waits elsewhere", "waits there", "another label's", "another study's", "joins as ever"],
)
def test_a_timestamp_that_is_asked_for(there, existing, stamp):
    (made,) = decide(
        ONE, catalog=FakeCatalog(*there), session="pid", dialect=True, destination="prearchive", timestamp=ASKED,
        folder="F",
    )  # fmt: skip
    assert (made.existing, made.timestamp) == (existing, stamp or "20200101_000000000")
    assert made.folder == ("F" if stamp == ASKED else "")


def test_a_timestamp_is_of_the_prearchive_alone_and_takes_several_labels():
    (made,) = decide(ONE, timestamp=ASKED)
    assert (made.place, made.timestamp) == ("archive", None)
    every = decide(ONE, TWO, destination="prearchive", timestamp=ASKED)
    assert [(one.label, one.timestamp) for one in every] == [("pid", ASKED), ("other", ASKED)]
    both = decide(ONE, TWO, destination="prearchive", timestamp=ASKED, session="L")
    assert sorted(str(one.timestamp) for one in both) == [ASKED, STAMP], "no two of one label under it"


@pytest.mark.parametrize(
    ("kind", "is_set", "overwrite", "reason"),
    [
        ("pet", True, None, "type_differs"),
        ("pet", True, "append", "type_differs"),
        ("pet", True, "none", "session_exists"),
        ("pet", True, "delete", ""),
        ("pet", False, None, ""),
        ("mr", True, None, ""),
    ],
)
def test_a_type_that_a_person_set_holds_what_is_of_another(kind, is_set, overwrite, reason):
    there = known("pid", "1.2", xsi_type=f"xnat:{kind}SessionData", type_is_set=is_set)
    (made,) = decide(MR, catalog=FakeCatalog(there), overwrite=overwrite)
    assert (held(made), made.place) == (reason, "prearchive" if reason else "archive")
    (waits,) = decide(MR, catalog=FakeCatalog(there), destination="prearchive")
    assert held(waits) == "", "what waits is asked once it is archived"


@pytest.mark.parametrize(
    ("left", "request_", "settles"),
    [
        ({"held": "session_exists"}, {"settles": True}, True),
        ({"held": "type_differs"}, {"settles": True}, True),
        ({"held": "session_exists"}, {}, False),
        ({"held": "sop_clash"}, {"settles": True}, False),
        ({}, {"settles": True}, False),
        ({"held": "session_exists"}, {"settles": True, "destination": "prearchive"}, False),
    ],
)
def test_what_was_left_in_conflict_may_be_settled_by_an_import_to_the_archive(left, request_, settles):
    catalog = FakeCatalog(known("pid", "1.2"), waiting("pid", "1.2", uuid="w", **left))
    (made,) = decide(ONE, catalog=catalog, **request_)
    assert (made.settles is not None) is settles
    apart = FakeCatalog(known("pid", "1.2"), waiting("L", "1.2", uuid="w", **left))
    (made,) = decide(ONE, catalog=apart, **request_)
    assert made.settles is None, "it was to be another session"
