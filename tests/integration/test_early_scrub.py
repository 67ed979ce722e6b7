"""Objects de-identified as they are read, where no script needs a label: the same comes of it as of the late form."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from scandock.catalog.tables import resource, scan, session
from scandock.pipeline.early_objects import EarlyObjects
from scandock.rules.privacy import PrivacyRules
from scandock.rules.privacy_policy import Policy
from scandock.rules.series_filters import read_lines
from scandock.services.import_filters import set_local_filter
from scandock.testing.privacy import given_privacy
from scandock.workers import context as worker_context
from scandock.workers.scrub_readers import ReaderScrubber
from tests.builders import DataFolder, Image, ImportOutcome, ecat, make_data_folder, zip_entries
from tests.stored_files import all_files

KEY = b"k" * 32
CASE = "early"
HASHED = 'version "6.1"\n(0008,1030) := project\n- (0010,0010)\n(0010,0020) := "X"\n' + "".join(
    f"({tag}) := hashUID[({tag})]\n" for tag in ("0020,000D", "0020,000E", "0008,0018")
)
REJECTS = HASHED + '(0008,103E) = "T2" ? reject[]\n'
BY_SCRIPT = PrivacyRules(key=KEY, scripts=(REJECTS,))
BY_PROFILE = PrivacyRules(key=KEY, profile="basic,modified-dates", resources="keep")
ONE_SERIES = PrivacyRules(key=KEY, scripts=(HASHED.replace("hashUID[(0020,000E)]", '"2.25.7"'),))
"""PET and MR come out as one series, of which each side has a part."""
DESCRIPTION = 0x0008103E


def image(number: int = 1, series: str = "t1", **values: Any) -> bytes:
    also = {DESCRIPTION: (b"LO", series.upper().encode()), **values.pop("also", {})}
    return Image(
        **{"case": CASE, "number": number, "series": series, "patient_id": b"SALT-77", "patient_name": b"SALT^ANNA",
           "also": also, **values}
    ).file()  # fmt: skip


@cache
def archive(first: int, last: int) -> bytes:
    """Two studies, PET with MR, repeats, files of other kinds, and an object that does not fit into memory."""
    numbers = range(first, last + 1)
    entries = {f"a/t1/{n}.dcm": image(n) for n in numbers}
    entries |= {f"a/t2/{n}.dcm": image(n, "t2") for n in numbers}
    entries |= {f"a/pet/{n}.dcm": image(n, "pet", modality=b"PT") for n in numbers}
    entries |= {f"a/cut/{n}.dcm": image(n, "localizer") for n in numbers}
    entries |= {f"b/{n}.dcm": image(n, study=2, study_date=b"20210101") for n in numbers}
    entries |= {"c/again.dcm": image(first), "c/notes.txt": b"notes"}
    entries["c/preamble.dcm"] = b"II*\0".ljust(128, b"\0") + image(last)[128:]
    entries["c/sc.dcm"] = image(last, "sc", modality=b"OT")
    entries["c/big.dcm"] = image(99, also={0x7FE00010: (b"OW", bytes(range(256)) * 40_000)})
    entries["c/pet.v"] = ecat(frames=2, patient_id=b"SALT-77")
    return zip_entries(entries)


def make_site(root: Path, monkeypatch: pytest.MonkeyPatch, database_url: str | None = None) -> DataFolder:
    root.mkdir(exist_ok=True)
    site = make_data_folder(root, monkeypatch, database_url)
    site.scrubs = True
    return site


def stands(site: DataFolder) -> list[Any]:
    """All that the catalog says of sessions but ids and moments, and what the store has."""
    found: list[Any] = [{_without_moments(path): digest for path, digest in site.files().items()}]
    with site.catalog() as catalog, catalog.read() as connection:
        for table, left_out in (
            (session, {"id", "uuid", "created", "modified", "tree_id", "received", "received_by", "timestamp"}),
            (scan, {"tree_id"}),
            (resource, {"tree_id"}),
        ):
            columns = [column for column in table.c if column.name not in left_out]
            found.append(sorted(_without_moments(repr(row)) for row in connection.execute(select(*columns))))
        found.append(sorted(_without_moments(repr(row[1:])) for _, row in all_files(connection)))
    return found


def said(outcome: ImportOutcome) -> str:
    """What an import tells, but ids, moments, and where the archive was."""
    report = {name: value for name, value in outcome.report.items() if name not in ("upload", "archive", "seconds")}
    lines = [{**line, "archive": ""} for line in outcome.lines]
    return _without_moments(re.sub(r"'id': '[0-9a-f-]{36}'", "", repr([report, lines])))


def _without_moments(text: str) -> str:
    return re.sub(r"2\d{7}_\d{9}", "STAMP", text)


@pytest.mark.parametrize(
    ("given", "petmr", "project"),
    [
        (BY_SCRIPT, "separate", "p"),
        (BY_PROFILE, "separate", "P"),
        (ONE_SERIES, "separate", "P"),
        (PrivacyRules(key=KEY, policy=Policy(study_uid="drop", patient="drop")), "separate", "P"),
        (PrivacyRules(key=KEY, scripts=(REJECTS.replace("(0008,1030) := project\n", ""),)), "petmr", None),
        (PrivacyRules(key=KEY, policy=Policy(names="hash", study_uid="hash", patient="hash")), "separate", None),
        (PrivacyRules(key=KEY, policy=Policy(names="drop", study_uid="drop", patient="drop")), "separate", "P"),
    ],
)
def test_the_same_comes_of_it_as_of_the_late_form(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: PrivacyRules, petmr: str, project: str | None
) -> None:
    """Whole, in two parts of which the second repeats some of the first, once more, and in the prearchive."""
    late: list[int] = []
    scrub = ReaderScrubber.scrub

    def count(self: ReaderScrubber, rules: Any, orders: Any, listener: Any, check: Any) -> bool:
        every = list(orders)
        late.append(sum(len(order.entries) for order in every))
        return scrub(self, rules, every, listener, check)

    monkeypatch.setattr(ReaderScrubber, "scrub", count)
    results = []
    for form in ("early", "late"):
        if form == "late":
            monkeypatch.setattr(worker_context, "early_scrub", lambda *_: None)
        site = make_site(tmp_path / form, monkeypatch)
        site.project("P", petmr=petmr)
        set_local_filter(str(site.data), site.settings, "P", read_lines("localizer", "blacklist"))
        with given_privacy(given):
            told = [site.bring(entries, project=project) for entries in (archive(1, 2), archive(2, 4), archive(2, 4))]
            told.append(site.bring(archive(2, 5), project=project, destination="prearchive"))
        results.append(([said(one) for one in told], stands(site), [one.counts for one in told]))
    early, of_late = results
    assert early[2] == of_late[2]
    assert early[0] == of_late[0]
    assert early[1] == of_late[1]
    half = len(late) // 2
    assert late[half:] != late[:half]
    assert sum(late[:half]) <= 4  # what does not fit, and ECAT


def test_originals_never_get_to_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("an original was written")

    site = make_site(tmp_path, monkeypatch)
    entries = {f"a/{n}.dcm": image(n) for n in range(1, 4)}
    with given_privacy(BY_PROFILE):
        with monkeypatch.context() as patch:
            patch.setattr("scandock.pipeline.entry_reader.stage_bytes", refuse)
            first = site.bring(entries)
            before = site.files()
            again = site.bring(entries)
        exported = {path.name: path.read_bytes() for path in site.data.rglob("*.dcm")}
        back = site.bring(exported)
    assert (first.counts, again.counts, back.counts) == ({"stored": 3}, {"duplicate": 3}, {"duplicate": 3})
    assert set(again.codes().values()) == {"duplicate same_origin"}
    assert set(back.codes().values()) == {"duplicate already_there"}
    assert site.files() == before
    assert not [path for path in site.data.rglob("*.dcm") if b"SALT" in path.read_bytes()]


FAILS = HASHED + '(0020,0013) = "2" ? (0008,0020) := shiftDateByIncrement[(0008,1030), 3]\n'


def test_one_object_that_fails_refuses_its_session_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once some have failed, the rest is left for the late form, which stores the other study."""
    site = make_site(tmp_path, monkeypatch)
    entries = {f"a/{n}.dcm": image(n, also={0x00200013: (b"IS", b"2")}) for n in range(1, 8)}
    entries |= {f"b/{n}.dcm": image(n, study=2, also={0x00200013: (b"IS", b"7")}) for n in (1, 2)}
    with given_privacy(PrivacyRules(key=KEY, scripts=(FAILS,))):
        outcome = site.bring(entries)
    assert (outcome.state, outcome.report["code"]) == ("partly", "deid_failed")
    assert outcome.counts == {"stored": 2, "refused": 7}
    failed = [path for path, code in outcome.codes().items() if code == "refused deid_failed"]
    assert len(failed) == 3
    assert "line 8" in outcome.line(failed[0])["message"]
    assert not [path for path in site.data.rglob("*.dcm") if b"SALT" in path.read_bytes()]


def test_a_lost_file_is_healed_and_clashes_are_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = make_site(tmp_path, monkeypatch)
    site.checked = False
    entries = {f"a/{n}.dcm": image(n) for n in range(1, 4)}
    with given_privacy(BY_SCRIPT):
        first = site.bring(entries)
        before = site.files()
        (site.data / first.line("a/2.dcm")["stored_as"]).unlink()
        healed = site.bring(entries)
        other = image(1, also={0x00204000: (b"LT", b"another content")})
        held = site.bring({"a/1.dcm": other, **{f"a/{n}.dcm": image(n) for n in (2, 9)}})
        again = site.bring({"a/1.dcm": other, **{f"a/{n}.dcm": image(n) for n in (2, 9)}})
    assert healed.codes()["a/2.dcm"] == "stored healed"
    assert before.items() <= site.files().items()
    assert (held.state, held.report["code"], held.counts) == ("held", "sop_clash", {"stored": 2, "conflict": 1})
    assert again.counts == {"duplicate": 3}


@pytest.mark.parametrize("script", [HASHED + "(0010,0020) := session\n", HASHED + "(0010,0020) := subject\n"])
def test_what_needs_a_label_waits_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    monkeypatch.setattr(EarlyObjects, "remarks", lambda *_: pytest.fail("it was early"))
    site = make_site(tmp_path, monkeypatch)
    with given_privacy(PrivacyRules(key=KEY, scripts=(script,))):
        assert site.bring({"a/1.dcm": image()}).counts == {"stored": 1}
