"""Every archive of real files beside the project, imported: exactly the studies, series and objects that are in it.

What is in it was found out with pydicom alone, by code that shares nothing with ours (`expected.py` there).
"""

from __future__ import annotations

import json
from collections import defaultdict
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from scandock.catalog import tables
from scandock.workers.readers import start_process, use_reader_start
from tests.builders import DataFolder, ImportOutcome
from tests.conftest import CORPUS
from tests.stored_files import session_files

EXPECTED = CORPUS / "expected.json"
KEPT = {"stored", "conflict"}
NO_UIDS = {"no_study_uid", "no_series_uid", "no_sop_uid", "header_truncated"}

pytestmark = [pytest.mark.long, pytest.mark.corpus, pytest.mark.disk]


def _archives() -> list[Any]:
    if not EXPECTED.is_file():
        return [pytest.param("", {}, marks=pytest.mark.skip(reason="no real files at ../shared/corpus"), id="none")]
    expected = json.loads(EXPECTED.read_text(encoding="utf-8"))
    return [pytest.param(name, what, id=name) for name, what in sorted(expected.items()) if not name.startswith("_")]


BY_PROCESSES = {"BUNDLE__of_zips.zip", "DEV034_MR__pydicom.long.tar.gz", "DISC0__as_exported.zip"}
"""Archives that readers as processes take apart: inner archives, a tar, and a disc of many files."""


def test_the_archives_for_processes_are_there(corpus: Path) -> None:
    assert json.loads(EXPECTED.read_text(encoding="utf-8")).keys() >= BY_PROCESSES


@pytest.mark.parametrize(("name", "expected"), _archives())
def test_an_archive_gives_exactly_what_is_in_it(
    name: str, expected: dict[str, Any], corpus_archives: Path, site: DataFolder
) -> None:
    with use_reader_start(start_process) if name in BY_PROCESSES else nullcontext():
        told = site.bring(corpus_archives / name)

    images = expected["studies"] or expected["ecat"]
    assert told.state in ({"placed", "held"} if images else {"refused"}), told.report["message"]
    assert told.report["bytes"]["received"] == expected["archive_bytes"]
    assert len(told.lines) == expected["files"]
    assert sum(line["bytes"] for line in told.lines) == expected["bytes"]
    assert all(line["code"] and line["message"] and line["verdict"] for line in told.lines)
    _check_dicom(told, expected)
    _check_ecat(told, expected)
    _check_the_rest(told, expected)
    _check_disk(site, told)


def _check_dicom(told: ImportOutcome, expected: dict[str, Any]) -> None:
    """Studies and series by their UIDs; under each series every strict object once, and nothing that is not listed."""
    assert {one["study_uid"] for one in told.sessions if one["study_uid"]} == set(expected["studies"])
    by_study = defaultdict(list)
    for session in told.sessions:
        by_study[session["study_uid"]].append(session)
    for uid, study in expected["studies"].items():
        (session,) = by_study[uid]
        assert {scan["series_uid"] for scan in session["scans"] if scan["series_uid"]} == set(study["series"])
        for series_uid, series in study["series"].items():
            (scan,) = [scan for scan in session["scans"] if scan["series_uid"] == series_uid]
            _check_series(told, f"{session['path']}/scans/{scan['id']}/resources/", series["sops"])


def _check_series(told: ImportOutcome, folder: str, sops: dict[str, list[dict[str, Any]]]) -> None:
    sop_of = {one["sha256"]: sop for sop, variants in sops.items() for one in variants}
    strict = {one["sha256"] for variants in sops.values() for one in variants if one["strict"]}
    inside = [
        line
        for line in told.lines
        if (line["stored_as"] or "").startswith(folder) and line["verdict"] in {*KEPT, "duplicate"}
    ]
    kept = {line["sha256"]: line["stored_as"] for line in inside if line["verdict"] in KEPT}
    assert len(kept) == sum(1 for line in inside if line["verdict"] in KEPT), "one file is stored twice"
    assert kept.keys() <= sop_of.keys()
    same = {}
    for line in inside:
        if line["verdict"] == "duplicate":
            (original,) = [sha for sha, stands in kept.items() if stands == line["stored_as"]]
            assert sop_of[line["sha256"]] == sop_of[original]
            same[line["sha256"]] = original
    assert strict <= kept.keys() | same.keys()
    assert {sop_of[sha] for sha in kept} >= {sop_of[sha] for sha in strict}
    clashing = {sop for sop in sops if sum(sop_of[sha] == sop for sha in kept) > 1}
    for line in inside:
        if line["verdict"] in KEPT:
            assert (line["verdict"] == "conflict") == (sop_of[line["sha256"]] in clashing), line


def _check_ecat(told: ImportOutcome, expected: dict[str, Any]) -> None:
    listed = {one["path"]: one["sha256"] for one in expected["ecat"]}
    stored = {
        line["path"]: line["sha256"]
        for line in told.lines
        if line["verdict"] in KEPT and "/resources/ECAT/files/" in line["stored_as"]
    }
    assert stored == listed
    assert {one["study_uid"] for one in told.sessions} >= ({None} if listed and not expected["studies"] else set())


def _check_the_rest(told: ImportOutcome, expected: dict[str, Any]) -> None:
    """What is no image is never among images, and what lacks a UID says which."""
    images = {
        one["sha256"]
        for study in expected["studies"].values()
        for series in study["series"].values()
        for variants in series["sops"].values()
        for one in variants
    } | {one["sha256"] for one in expected["ecat"]}
    assert {line["sha256"] for line in told.lines if line["verdict"] in KEPT} <= images
    strays = [line for line in told.lines if line["sha256"] in images and line["verdict"] not in {*KEPT, "duplicate"}]
    strict = expected["dicom_strict"] + len(expected["ecat"])
    assert len(strays) <= expected["dicom_lenient"] + len(expected["ecat"]) - strict, [line["path"] for line in strays]
    by_path = {line["path"]: line for line in told.lines}
    for one in expected["dicom_without_uids"]:
        line = by_path[one["path"]]
        if line["code"] != "dicomdir":
            assert line["verdict"] == ("unparseable" if told.state != "refused" else "refused"), line
            assert line["code"] in NO_UIDS, line


def _check_disk(site: DataFolder, told: ImportOutcome) -> None:
    """The files on disk are those that the receipt tells of, each with the bytes of its entry."""
    told_of = {line["stored_as"]: line["sha256"] for line in told.lines if line["verdict"] in {*KEPT, "resource"}}
    assert site.files() == told_of
    for session in told.sessions:
        count = sum(stands.startswith(f"{session['path']}/") for stands in told_of)
        assert session["files"] == count
        assert session["files"] == sum(
            resource["files"] for holder in [session, *session["scans"]] for resource in holder["resources"]
        )


def test_all_archives_in_one_project_give_each_object_once(corpus_archives: Path, site: DataFolder) -> None:
    """Their studies overlap: a study goes on in its session, whatever archive brings more of it."""
    site.checked = False
    expected = json.loads(EXPECTED.read_text(encoding="utf-8"))
    listed: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    strict: dict[tuple[str, str], set[str]] = defaultdict(set)
    for name, what in expected.items():
        if name.startswith("_"):
            continue
        assert site.bring(corpus_archives / name).state in {"placed", "held", "refused"}
        for study_uid, study in what["studies"].items():
            for series_uid, series in study["series"].items():
                for sop, variants in series["sops"].items():
                    listed[study_uid, series_uid].update((one["sha256"], sop) for one in variants)
                    strict[study_uid, series_uid] |= {sop for one in variants if one["strict"]}
    site.check()

    stored, archived = _stored(site)
    assert stored.keys() == listed.keys()
    for at, files in stored.items():
        assert files <= listed[at].keys()
        assert strict[at] <= {listed[at][sha] for sha in files}
    assert len(archived) == len(set(archived)), "a study is archived twice"


def _stored(site: DataFolder) -> tuple[dict[tuple[str, str], set[str]], list[str]]:
    """(sha256 of the DICOM files by study and series, study UIDs of the archived sessions)."""
    found: dict[tuple[str, str], set[str]] = defaultdict(set)
    with site.catalog() as catalog, catalog.read() as connection:
        for one in session_files(connection):
            if one.scan_n is not None and one.label in ("DICOM", "secondary"):
                found[one.study_uid or "", one.series_uid or ""].add(one.row.sha256.hex())
        archived = connection.execute(
            select(tables.session.c.study_uid).where(
                tables.session.c.place == "archive", tables.session.c.study_uid.is_not(None)
            )
        ).scalars()
        return dict(found), list(archived)
