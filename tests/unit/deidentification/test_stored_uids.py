"""UIDs that stay since stored objects have them, by a policy, a profile and functions of scripts; no others do."""

from __future__ import annotations

from itertools import product

import pytest

from scandock.deidentification.alike import Alike
from scandock.deidentification.profile.options import parse_profile
from scandock.deidentification.script.parser import parse_script
from scandock.deidentification.scrub import Context, Rules, Scrubbed, scrub
from scandock.deidentification.uids import UidMapper, hash_uid, map_uid
from scandock.rules.keyed_values import keyed_uid
from scandock.rules.privacy_policy import Policy
from scandock.rules.stored_uids import NO_UIDS, StoredUids, is_made_uid, pack_uids
from tests.unit.deidentification.objects import joined
from tests.unit.deidentification.script.script_objects import changed, context
from tests.unit.deidentification.test_alike import header_of, series
from tests.unit.formats_dicom.build import Writer
from tests.unit.formats_dicom.build import make_object as build

KEY = b"k" * 32
WRITE = Writer()
STORED = [keyed_uid(KEY, f"1.2.{number}") for number in range(1_000)]
STAY = StoredUids(pack_uids(STORED))


def test_a_set_has_what_was_packed_and_nothing_else() -> None:
    assert all(uid.encode() in STAY for uid in STORED)
    assert not any(keyed_uid(KEY, f"1.3.{number}").encode() in STAY for number in range(1_000))
    assert b"" not in STAY
    assert len(pack_uids([*STORED, *STORED])) == 16 * len(STORED)
    assert pack_uids(reversed(STORED)) == pack_uids(STORED)
    assert (len(NO_UIDS), STORED[0].encode() in NO_UIDS) == (0, False)
    assert StoredUids(pack_uids(STORED)) == STAY != NO_UIDS
    assert {STAY: 1}[StoredUids(pack_uids(STORED))] == 1


def test_made_uids_are_told_by_their_form() -> None:
    """Also those that begin with many zeros, as one of 4,000 does that loses more than three digits by it."""
    numbers = [str(number) for number in range(20_000)]
    for make in (lambda text: keyed_uid(KEY, text), hash_uid, lambda text: map_uid("2.25", text, KEY)):
        assert all(is_made_uid(make(number)) for number in numbers)
    assert min(len(keyed_uid(KEY, number)) for number in numbers) < 41
    random = "2.25.205787226306263929106297254313297406193"  # version 4
    assert not any(map(is_made_uid, (random, "2.25.1", f"{STORED[0]}.1", f"1{STORED[0]}", f"2.25.{1 << 130}", "", "é")))


def test_a_mapper_leaves_stored_uids_alone() -> None:
    mapper = UidMapper(KEY, STAY)
    value = "\\".join((STORED[7], "1.2.3", f"{STORED[8]}.1")).encode()
    assert mapper[value].decode().split("\\") == [STORED[7], keyed_uid(KEY, "1.2.3"), keyed_uid(KEY, f"{STORED[8]}.1")]
    assert mapper[STORED[9].encode() + b"\0"] == STORED[9].encode()


def referring(uid: str, study: str) -> bytes:
    """An object that says a UID at two levels, beside series and object of its own."""
    item = WRITE.item(WRITE.element(0x00081155, "UI", uid))
    return build(
        {
            0x0020000D: ("UI", study),
            0x00200052: ("UI", uid),
            0x00081115: ("SQ", WRITE.item(WRITE.element(0x0020000E, "UI", uid) + WRITE.sequence(0x00081199, item))),
        }
    )


SCRIPT = parse_script(
    'version "6.6"\n(0020,000D) := hashUID[(0020,000D)]\n(0008,0018) := hashUID[(0008,0018)]\n'
    "(0020,0052) := hashUID[(0020,0052)]\nhashUIDList[*/(0020,000E), +/(0008,1155)]\n"
)


@pytest.mark.parametrize(
    "rules",
    [
        Rules(profile=parse_profile("basic"), residue="refuse"),
        Rules(policy=Policy(study_uid="hash"), residue="refuse"),
        Rules(policy=Policy(study_uid="drop", patient="drop"), profile=parse_profile("basic,retain-uids")),
        Rules(scripts=(SCRIPT,)),
        Rules(scripts=(SCRIPT,), policy=Policy(study_uid="hash"), residue="refuse"),
    ],
)
def test_what_is_stored_stays_at_all_depths_whatever_replaces_uids(rules: Rules) -> None:
    foreign = keyed_uid(b"another", "1.2.3")
    for stored, uid in product((STAY, NO_UIDS), (STORED[3], foreign)):
        data = referring(uid, STORED[1])
        result = scrub(data, rules=rules, context=Context(key=KEY, stored_uids=stored))
        assert isinstance(result, Scrubbed), result
        assert result.warnings == ()
        new = joined(result.parts, data)
        assert (new.count(uid.encode()), new.count(STORED[1].encode())) == (
            3 * (stored is STAY and uid is not foreign),
            int(stored is STAY),
        )
        assert b"1.2.3.4" not in new


def test_what_a_script_hashes_or_maps_by_itself() -> None:
    elements = {"0020000D": ["UI", STORED[0]], "0020000E": ["UI", "1.2.3"], "00080018": ["UI", f"{STORED[1]}\\1.2.4"]}
    script = (
        '(0020,000D) := mapUID[(0020,000D), "1.9"]\n(0020,000E) := mapUID[(0020,000E), "1.9"]\n'
        'mapReferencedUIDs["1.9", (0008,0018)]\n(0010,0020) := hashUID[(0020,000D)]\n'
    )
    new = changed(script, elements, context(stored_uids=STAY))
    assert (new.StudyInstanceUID, new.PatientID) == (STORED[0], STORED[0])
    assert str(new.SeriesInstanceUID).startswith("1.9.")
    first, second = new.SOPInstanceUID
    assert (first, second.startswith("1.9.")) == (STORED[1], True)
    other = changed(script, elements)
    assert str(other.StudyInstanceUID).startswith("1.9.")


def test_an_object_that_is_known_by_another_keeps_the_same_ones() -> None:
    """Stored instances among others, in a gap of a mold; with none that stay all of them are replaced."""
    stored = StoredUids(pack_uids(f"1.2.3.4.{number}" for number in range(100, 200, 2)))
    rules, stays = Rules(profile=parse_profile("basic")), []
    for context_of in (Context(key=KEY, stored_uids=stored), Context(key=KEY), Context(key=KEY, stored_uids=stored)):
        alike, known = Alike(rules, context_of), 0
        for data in series(40):
            result = alike.scrub(data)
            alone = scrub(data, rules=rules, context=context_of)
            assert isinstance(result, Scrubbed)
            assert isinstance(alone, Scrubbed)
            new = joined(result.parts, data)
            assert new == joined(alone.parts, data)
            stays.append(b"1.2.3.4.1" in new)
            known += result.header is not None
            header = header_of(new)
            assert header is not None
            if result.header is None:
                alike.learn(result, header)
        assert known >= 30
    assert stays == [number % 2 == 0 for number in range(101, 141)] + [False] * 40 + stays[:40]
