"""What the upload page says will become of archives that are chosen together is what importing them in turn does."""

from __future__ import annotations

import io
import json
import random
import re
import zlib
from pathlib import Path
from typing import Any

import pydicom
import pytest

from scandock.access.principal import SYSTEM
from scandock.services.existing_sessions import PlannedSession, find_existing_sessions
from tests.builders import DataFolder, Image, ecat, make_data_folder, zip_entries
from tests.integration.test_browser_modules import NODE, look, node

pytestmark = pytest.mark.processes

SAME = {"session": "SAME", "subject": "S"}
ALONE = {"session": "SAME"}
Archive = tuple[dict[str, bytes], dict[str, str]]


def study(*numbers: int, patient: bytes = b"", object_number: int = 1) -> dict[str, bytes]:
    """An image of each of these studies; of a patient each unless one is named."""
    return {
        f"{n}/{object_number}.dcm": Image(
            case="forecast", number=object_number, study=n, series=n, patient_id=patient or b"P%d" % n,
            patient_name=b"Doe^%s" % (patient or b"%d" % n), also={0x00080020: (b"DA", b"202401%02d" % n)},
        ).file()
        for n in numbers
    }  # fmt: skip


def several_patients(n: int) -> dict[str, bytes]:
    return {
        f"{n}/{number}.dcm": Image(
            case="forecast", number=number, study=n, series=n, patient_id=b"Q%d" % number, patient_name=b"Roe^Ann"
        ).file()
        for number in (1, 2)
    }


def pet_mr(*series: str) -> dict[str, bytes]:
    """An image of each of these series of one study: `pet`, `t1`, and a `map` for attenuation correction."""
    return {
        f"{one}.dcm": Image(
            case="forecast", study="petmr", series=one, patient_id=b"PM", patient_name=b"Poe^Eva",
            modality=b"PT" if one == "pet" else b"MR", series_number=number,
            also={0x0008103E: (b"LO", b"Head_MRAC" if one == "map" else b"Head")},
        ).file()
        for one, number in (("pet", b"1"), ("t1", b"2"), ("map", b"3"))
        if one in series
    }  # fmt: skip


def of_one_name(n: int, patient: bytes) -> dict[str, bytes]:
    """A study of a patient who is called as others are."""
    image = Image(
        case="forecast", number=n, study=n, series=n, patient_id=patient, patient_name=b"Same^Name",
        also={0x00080020: (b"DA", b"202401%02d" % n)},
    )  # fmt: skip
    return {f"{n}/1.dcm": image.file()}


SEPARATE: dict[str, Any] = {"petmr": "separate"}
CASES: dict[str, tuple[list[Archive], dict[str, Any]]] = {
    "one label for three studies": ([(study(n), ALONE) for n in (1, 2, 3)], {}),
    "the same in the prearchive": ([(study(n), ALONE) for n in (1, 2, 3)], {"destination": "prearchive"}),
    "named after derived": ([(study(1, patient=b"SAME"), {}), (study(2), ALONE)], {}),
    "derived after named": ([(study(2), ALONE), (study(1, patient=b"SAME"), {})], {}),
    "three of one patient": ([(study(n, patient=b"PA"), {}) for n in (1, 2, 3)], {}),
    "one study, two labels": (
        [(study(1), ALONE), (study(1, object_number=2), {"session": "OTHER"})],
        {},
    ),
    "one study, named and derived": ([(study(1), ALONE), (study(1, object_number=2), {})], {}),
    "one study, two subjects": (
        [(study(1), SAME), (study(1, object_number=2), {"session": "SAME", "subject": "T"})],
        {},
    ),
    "one study twice": ([(study(1), ALONE), (study(1, object_number=2), ALONE)], {}),
    "one study twice, what is archived kept": (
        [(study(1), ALONE), (study(1, object_number=2), ALONE)],
        {"overwrite": "none"},
    ),
    "two in one archive, then a third": ([(study(1, 2), ALONE), (study(3), ALONE)], {}),
    "several patients first": ([(several_patients(1), ALONE), (study(2), ALONE)], {}),
    "one subject of two patients": ([(study(1, 2), {"subject": "S"}), (study(3), {"subject": "S"})], {}),
    "ECAT of one patient": (
        [
            ({"a.v": ecat(patient_id=b"E1", scan_start_time=1_580_465_000)}, ALONE),
            ({"b.v": ecat(patient_id=b"E1", scan_start_time=1_580_465_999)}, ALONE),
        ],
        {},
    ),
    "ECAT of two patients": (
        [({"a.v": ecat(patient_id=b"E1")}, ALONE), ({"b.v": ecat(patient_id=b"E2")}, ALONE)],
        {},
    ),
    "PET and MR": ([(pet_mr("t1", "pet"), {})], SEPARATE),
    "PET and MR, named": ([(pet_mr("t1", "pet"), {"session": "a_PETMR", "subject": "S"})], SEPARATE),
    "PET and MR of one label": ([(pet_mr("t1", "pet") | study(9, patient=b"PM"), {})], SEPARATE),
    "PET with maps": ([(pet_mr("map", "pet"), {})], SEPARATE),
    "MR with maps": ([(pet_mr("map", "t1"), {})], SEPARATE),
    "PET, then MR": ([(pet_mr("pet"), {}), (pet_mr("t1"), {})], SEPARATE),
    "PET, then both": ([(pet_mr("pet"), ALONE), (pet_mr("pet", "t1"), ALONE)], SEPARATE),
    "both, then MR": ([(pet_mr("pet", "t1"), {}), (pet_mr("t1"), {})], SEPARATE),
    "both under another label": ([(pet_mr("pet", "t1"), ALONE), (pet_mr("pet", "t1"), {"session": "B"})], SEPARATE),
    "patients of one name": ([(of_one_name(n, b"S%d" % n), {}) for n in (1, 2, 3)], {}),
    "patients of one name, again and again": (
        [(of_one_name(n, b"S%d" % (2 - n % 2)), {"session": f"V{n}"}) for n in (1, 2, 3, 4)],
        {"destination": "prearchive"},
    ),
    "patients of one name in one archive, then one of them": (
        [(of_one_name(1, b"S1") | of_one_name(2, b"S2"), {}), (of_one_name(3, b"S3"), {}), (of_one_name(4, b"S4"), {})],
        {},
    ),
    "patients of one name in one archive, then one of them under a label": (
        [(of_one_name(1, b"S1") | of_one_name(2, b"S2"), {}), (of_one_name(3, b"S2"), ALONE)],
        {},
    ),
    "a patient, then others of that name in one archive": (
        [(of_one_name(1, b"S1"), ALONE), (of_one_name(2, b"S1") | of_one_name(3, b"S2"), {})],
        {},
    ),
    "a patient who is held gives no name away": (
        [
            (of_one_name(1, b"S1") | {"1/2.dcm": several_patients(1)["1/2.dcm"]}, {}),
            (of_one_name(2, b"S2"), {}),
        ],
        {},
    ),
    "DICOM, then ECAT": ([(study(1), ALONE), ({"b.v": ecat(patient_id=b"E2")}, ALONE)], {}),
}  # fmt: skip


@pytest.fixture(scope="module")
def forecasts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """By case: what the page says, and the archives."""
    folder = tmp_path_factory.mktemp("forecast")
    asked = []
    for number, (archives, options) in enumerate(CASES.values()):
        paths = []
        for at, (entries, _) in enumerate(archives):
            paths.append(folder / f"{number}-{at}.zip")
            paths[-1].write_bytes(zip_entries(entries))
        edits = [edit for _, edit in archives]
        asked.append(
            {"project": f"P{number}", "code": 4, "destination": "", "overwrite": "", "petmr": "petmr", **options}
            | {"paths": [str(path) for path in paths], "edits": edits}
        )
    done = node(NODE / "forecast.mjs", json.dumps(asked))
    assert done.returncode == 0, done.stderr
    told = [json.loads(line) for line in done.stdout.splitlines()]
    return {name: {**told[n], "asked": asked[n]} for n, name in enumerate(CASES)}


def test_what_the_page_says_is_what_imports_do(
    forecasts: dict[str, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, subtests: pytest.Subtests
) -> None:
    site = make_data_folder(tmp_path, monkeypatch)
    site.checked = False
    for name, forecast in forecasts.items():
        with subtests.test(name):
            assert said(forecast) == done(site, forecast)


def test_an_archive_with_a_damaged_entry_is_told_to_be_refused_and_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = make_data_folder(tmp_path, monkeypatch)
    entries = study(1, patient=b"PA") | study(2, patient=b"PA")
    entries["1/1.dcm"] += random.Random("damaged").randbytes(20_000)
    whole = zip_entries(entries)
    at = whole.index(b"1/1.dcm") + 60
    path = tmp_path / "damaged.zip"
    path.write_bytes(whole[:at] + bytes(byte ^ 0x5A for byte in whole[at : at + 4_000]) + whole[at + 4_000 :])
    [preview] = look([path])
    assert preview["damaged"] == ["1/1.dcm"]
    refused = site.bring(path)
    assert (refused.state, refused.report["code"]) == ("refused", "damaged")
    path.write_bytes(whole)
    assert (look([path])[0]["damaged"], site.bring(path).state) == ([], "placed")


@pytest.mark.parametrize(("changed", "becomes"), [(False, "duplicate"), (True, "stored")])
def test_overwriting_the_same_images_replaces_those_that_differ(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: bool, becomes: str
) -> None:
    """Before the upload only UIDs are compared: what the page says holds of identical files and of others."""
    site = make_data_folder(tmp_path, monkeypatch)
    first = {**study(1), **{f"2/{name}": data for name, data in study(1, object_number=2).items()}}
    site.bring(first)
    path = tmp_path / "again.zip"
    path.write_bytes(zip_entries({name: data[:-2] + b"ab" if changed else data for name, data in first.items()}))
    uids = [pydicom.dcmread(io.BytesIO(data)) for data in first.values()]
    planned = PlannedSession(
        project="P", label="P1", study_uid=uids[0].StudyInstanceUID, subject="P1", images=2,
        images_sum=sum(zlib.crc32(uid.SOPInstanceUID.encode()) for uid in uids),
    )  # fmt: skip
    with site.catalog() as catalog, catalog.read() as connection:
        [known] = find_existing_sessions(connection, SYSTEM, [planned])
    asked = {"project": "P", "code": 4, "destination": "", "overwrite": "delete", "paths": [str(path)], "edits": [{}]}
    answer = node(NODE / "forecast.mjs", json.dumps([asked | {"known": known.to_json()}]))
    [row] = json.loads(answer.stdout)["rows"]
    assert row["words"].endswith(
        "archived already: up to 2 files replace 2 archived ones. Identical files change nothing."
    )
    outcome = site.bring(path, overwrite="delete")
    assert (outcome.state, [line["verdict"] for line in outcome.lines]) == ("placed", [becomes] * 2)
    assert outcome.sessions[0]["files"] == 2


def test_images_that_come_twice_are_said_to_be_held_where_they_differ(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On one list, and one after the other: pages know UIDs, no pixels, so that what they say holds of both."""
    site = make_data_folder(tmp_path, monkeypatch)
    whole = {f"{n}.dcm": study(1, object_number=n)[f"1/{n}.dcm"] for n in range(1, 5)}
    some = {name: whole[name] for name in ("2.dcm", "3.dcm")}
    archives = {
        "whole": whole,
        "same": some,
        "other": {name: data[:-2] + b"ab" for name, data in some.items()},
        "more": {**some, "9.dcm": study(1, object_number=9)["1/9.dcm"]},
    }
    for name, entries in archives.items():
        (tmp_path / f"{name}.zip").write_bytes(zip_entries(entries))
    paths = [str(tmp_path / f"{name}.zip") for name in archives]
    asked = {"project": "P", "code": 4, "destination": "", "overwrite": "", "paths": paths, "edits": [{}] * 4}
    told = json.loads(node(NODE / "forecast.mjs", json.dumps([asked])).stdout)
    assert told["follows"] == [[], [0], [0, 1], [0, 1, 2]]
    assert [row["codes"] for row in told["rows"]] == [["images_twice"]] * 4
    assert site.bring(tmp_path / "whole.zip").state == "placed"
    words, outcomes = {}, {}
    for name in ("same", "other", "more"):
        uids = [pydicom.dcmread(io.BytesIO(data)) for data in archives[name].values()]
        planned = PlannedSession(
            project="P", label="P1", study_uid=uids[0].StudyInstanceUID, subject="Doe_1", images=len(uids),
            image_crcs=frozenset(zlib.crc32(uid.SOPInstanceUID.encode()) for uid in uids),
        )  # fmt: skip
        with site.catalog() as catalog, catalog.read() as connection:
            [known] = find_existing_sessions(connection, SYSTEM, [planned])
        alone = {**asked, "paths": [str(tmp_path / f"{name}.zip")], "edits": [{}], "known": known.to_json()}
        [row] = json.loads(node(NODE / "forecast.mjs", json.dumps([alone])).stdout)["rows"]
        words[name] = row["words"].partition(" already: ")[2]
        outcome = site.bring(tmp_path / f"{name}.zip")
        outcomes[name] = (outcome.session["state"], outcome.session["code"], outcome.counts)
    held = "Identical files change nothing; files with other content are held for review."
    assert words == {
        "same": f"its 2 images are archived. {held}",
        "other": f"its 2 images are archived. {held}",
        "more": f"2 of its 3 images are archived. {held} 1 more is added.",
    }
    assert outcomes["same"] == ("archive", "", {"duplicate": 2})
    assert outcomes["other"][:2] == ("conflict", "sop_clash")
    assert outcomes["more"] == ("archive", "", {"duplicate": 2, "stored": 1})


def said(forecast: dict[str, Any]) -> list[tuple[int, str, str, str]]:
    """(archive, what becomes of a session, its label where the page knows it, its subject)."""
    destination = forecast["asked"]["destination"]
    return sorted((row["archive"], *verdict(row, destination), row["subject"]) for row in forecast["rows"])


def verdict(row: dict[str, Any], destination: str) -> tuple[str, str]:
    place = "prearchive" if destination == "prearchive" else "archive"
    if row["verdict"] == "held":
        return "conflict", row["label"]
    if "suffix" in row["words"] or "meets_derived" in row["codes"]:
        return place, "" if row["archive"] else row["label"]
    if "it goes there" in row["words"]:
        return place, str(re.search(r" as (\S+): ", row["words"])[1])  # type: ignore[index]
    if "this one will be" in row["words"]:
        return place, row["words"].split()[-1].rstrip(".")
    return place, row["label"]


def done(site: DataFolder, forecast: dict[str, Any]) -> list[tuple[int, str, str, str]]:
    """The same, as imports did it; a suffixed label is none that the page says."""
    asked = forecast["asked"]
    site.project(asked["project"], petmr=asked["petmr"])
    named = {row["label"] for row in forecast["rows"]} | {"SAME", "PM_MR", "PM_PET"}
    options = {name: asked[name] for name in ("destination", "overwrite") if asked[name]}
    outcomes = []
    for at, (path, mapping) in enumerate(zip(asked["paths"], forecast["mappings"], strict=True)):
        table = Path(path).with_suffix(".csv")
        table.write_text(mapping)
        outcome = site.bring(
            Path(path), project=asked["project"], mapping_path=str(table) if mapping else None, **options
        )
        for session in outcome.sessions:
            label = session["label"] if session["label"] in named else ""
            outcomes.append((at, session["state"], label, session["subject"]))
    return sorted(outcomes)
