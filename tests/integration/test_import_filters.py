"""Series import filters: what is left out of imports, what is told of it, and that nothing else changes."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, select

from scandock.catalog.privacy_texts import filters_in_force
from scandock.catalog.server_tables import audit
from scandock.catalog.tables import privacy_text, project
from scandock.pipeline import entry_reader, staging
from scandock.rules.import_request import ImportRequest
from scandock.rules.series_filters import read_document, read_lines
from scandock.services.import_filters import enable_local_filter, set_local_filter
from scandock.workers.inspection import run_inspect
from tests.badinput.objects import ITEM, ITEM_END, SEQUENCE_END, Element
from tests.builders import DataFolder, Image, ecat, make_data_folder, zip_entries
from tests.integration.in_process import call_in_process

DESCRIPTION, STUDY_DESCRIPTION, BURNED, DERIVED = 0x0008103E, 0x00081030, 0x00280301, 0x00082111


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database_url: str) -> Iterator[DataFolder]:
    site = make_data_folder(tmp_path, monkeypatch, database_url)
    site.checked = False
    yield site
    site.check()


def image(description: str, *, study: int = 1, number: int = 1, more: dict[int, Element] | None = None) -> bytes:
    """An object of the series with this description."""
    also = {DESCRIPTION: (b"LO", description.encode()), **(more or {})}
    return Image(case="filters", study=study, series=description, number=number, also=also).file()


def archive(study: int = 1) -> dict[str, bytes]:
    return {
        "loc/1.dcm": image("3-plane Localizer", study=study),
        "loc/2.dcm": image("3-plane Localizer", study=study, number=2),
        "t1/1.dcm": image("T1 axial", study=study),
        "t1/2.dcm": image("T1 axial", study=study, number=2),
    }


def set_filter(site: DataFolder, owner: str | None, *lines: str, mode: str = "blacklist") -> None:
    set_local_filter(str(site.data), site.settings, owner, read_lines("\n".join(lines), mode))


@pytest.mark.postgresql
def test_the_sites_filter_leaves_series_out_before_a_byte_is_written(
    site: DataFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []

    def spy(stage: Any, data: Any, path: Any, *args: Any) -> Any:
        written.append(str(path))
        return staging.stage_bytes(stage, data, path, *args)

    monkeypatch.setattr(entry_reader, "stage_bytes", spy)
    set_filter(site, None, "# localizers", "^never", "localizer")
    told = site.bring(archive())

    assert (told.state, told.counts) == ("placed", {"stored": 2, "filtered": 2})
    assert told.codes()["loc/1.dcm"] == "filtered filter_site"
    assert told.line("loc/1.dcm")["message"] == "Not stored: left out by the site's import filter (line 3)."
    assert told.line("loc/1.dcm")["stored_as"] is None
    assert len(written) == 2
    assert len(site.files()) == 2
    assert [scan["type"] for scan in told.session["scans"]] == ["T1 axial"]
    (of_session,) = told.session["warnings"]
    assert of_session["code"] == "session_filtered"
    assert "2 images" in of_session["message"]
    (whole,) = told.report["warnings"]
    assert whole["code"] == "filtered"
    assert "2 images were left out by import filters: 2 by the site's import filter (line 3)." in whole["message"]


def test_the_same_archive_again_is_a_no_op_and_a_filter_switched_off_filters_nothing(site: DataFolder) -> None:
    set_filter(site, None, "localizer")
    site.bring(archive())
    before = site.files()
    again = site.bring(archive())
    assert (again.state, again.counts) == ("placed", {"duplicate": 2, "filtered": 2})
    assert site.files() == before
    enable_local_filter(str(site.data), site.settings, None, enabled=False)
    off = site.bring(archive())
    assert (off.state, off.counts) == ("placed", {"stored": 2, "duplicate": 2})
    enable_local_filter(str(site.data), site.settings, None, enabled=True)
    assert site.bring(archive()).counts == {"duplicate": 2, "filtered": 2}


WITHOUT = """
import sys, threading
from scandock.rules.import_request import ImportRequest
from scandock.services.settings import load_settings
from scandock.testing.readers import thread_readers
from scandock.workers.local_import import run_import
with thread_readers():
    report = run_import(
        data=sys.argv[1], archive=sys.argv[2], settings=load_settings(), on_progress=None, cancelled=threading.Event(),
        request=ImportRequest(project="P", create_project=True, workers=1),
    ).report
words = ("deidentification", "entry_filter", "series_filters", "filter_conditions", "java_patterns", "pattern_bounds")
loaded = [name for name in sys.modules if any(word in name.split(".") for word in words)]
print(report["state"], report["entries"]["filtered"], loaded)
"""


@pytest.mark.processes
def test_without_filters_nothing_of_them_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(zip_entries(archive()))
    words = [sys.executable, "-c", WITHOUT, str(tmp_path / "data"), str(path)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["placed", "0", "[]"]


def test_both_filters_must_accept_and_a_project_has_its_own(site: DataFolder) -> None:
    site.project("P")
    site.project("Q")
    set_filter(site, None, "localizer")
    set_filter(site, "P", "[Modality]", "MR", mode="whitelist")
    set_filter(site, "Q", "axial")
    entries = {
        **archive(),
        "ct/1.dcm": Image(case="filters", series="ct", modality=b"CT").file(),
    }
    in_p, in_q = site.bring(entries, project="P"), site.bring(entries, project="q")
    assert in_p.codes() == {
        "loc/1.dcm": "filtered filter_site", "loc/2.dcm": "filtered filter_site",
        "t1/1.dcm": "stored stored", "t1/2.dcm": "stored stored", "ct/1.dcm": "filtered filter_project",
    }  # fmt: skip
    assert in_p.line("ct/1.dcm")["message"] == (
        "Not stored: left out by the import filter of project P (no line matches)."
    )
    assert in_q.counts == {"filtered": 4, "stored": 1}
    assert in_q.codes()["t1/1.dcm"] == "filtered filter_project"


@pytest.mark.postgresql
def test_a_project_that_headers_name_filters_once_it_is_known(site: DataFolder) -> None:
    site.project("P")
    site.project("Q")
    set_filter(site, "P", "localizer")
    set_filter(site, "Q", "T1")

    def of(project: bytes, study: int, description: str, number: int = 1) -> bytes:
        more = {STUDY_DESCRIPTION: (b"LO", project)}
        return image(description, study=study, number=number, more=more)

    told = site.bring(
        {
            "p/1.dcm": of(b"P", 1, "Localizer"),
            "p/2.dcm": of(b"P", 1, "T1"),
            "p/again.dcm": of(b"P", 1, "Localizer"),
            "q/1.dcm": of(b"Q", 2, "Localizer"),
            "q/2.dcm": of(b"Q", 2, "T1"),
        },
        project=None,
    )
    assert told.codes() == {
        "p/1.dcm": "filtered filter_project", "p/2.dcm": "stored stored", "p/again.dcm": "filtered filter_project",
        "q/1.dcm": "stored stored", "q/2.dcm": "filtered filter_project",
    }  # fmt: skip
    by_project = {session["project"]: session for session in told.sessions}
    assert {name: [scan["type"] for scan in one["scans"]] for name, one in by_project.items()} == {
        "P": ["T1"], "Q": ["Localizer"],
    }  # fmt: skip
    assert len(site.files()) == 2
    message = next(one["message"] for one in told.report["warnings"] if one["code"] == "filtered")
    assert "2 by the import filter of project P (line 1), 1 by the import filter of project Q (line 1)" in message


def test_what_is_left_is_named_by_itself_and_passes_the_filter_of_its_project(site: DataFolder) -> None:
    """What most images name is P; without what P leaves out it is Q, which leaves out something more."""
    site.project("P")
    site.project("Q")
    set_filter(site, "P", "localizer")
    set_filter(site, "Q", "scout")

    def of(project: bytes, description: str, number: int = 1) -> bytes:
        return image(description, number=number, more={STUDY_DESCRIPTION: (b"LO", project)})

    told = site.bring(
        {
            "1.dcm": of(b"P", "Localizer"),
            "2.dcm": of(b"P", "Localizer", 2),
            "3.dcm": of(b"P", "Localizer", 3),
            "4.dcm": of(b"Q", "T1"),
            "5.dcm": of(b"Q", "Scout"),
        },
        project=None,
    )
    assert told.session["project"] == "Q"
    assert told.codes() == {
        **{f"{number}.dcm": "filtered filter_project" for number in (1, 2, 3, 5)}, "4.dcm": "stored stored",
    }  # fmt: skip
    assert "project Q" in told.line("5.dcm")["message"]


@pytest.mark.parametrize("project", ["P", None])
def test_an_upload_that_is_filtered_out_is_refused(site: DataFolder, project: str | None) -> None:
    site.project("P")
    set_filter(site, "P", "T2", mode="whitelist")
    more = {STUDY_DESCRIPTION: (b"LO", b"P")}
    entries = {"1.dcm": image("T1", more=more), "2.dcm": image("Localizer", more=more), "notes.txt": b"beside"}
    told = site.bring(entries, project=project)
    assert (told.state, told.report["code"]) == ("refused", "all_filtered")
    assert "Look at the receipt" in told.report["message"]
    assert (told.session["state"], told.session["code"]) == ("refused", "all_filtered")
    assert told.codes() == {
        "1.dcm": "filtered filter_project", "2.dcm": "filtered filter_project", "notes.txt": "refused archive_refused",
    }  # fmt: skip
    assert "filtered" in told.warned()
    assert site.files() == {}


def test_files_beside_what_is_left_out_go_with_it(site: DataFolder) -> None:
    """As those of a study that a mapping leaves out; what lies beside images of a session that stays is kept."""
    set_filter(site, None, "localizer", "[PatientID]", "^PAT9$")
    scans = "S/scans"
    gone = Image(case="filters", study=9, patient_id=b"PAT9").file()
    told = site.bring(
        {
            f"{scans}/1/resources/DICOM/files/1.dcm": image("Localizer"),
            f"{scans}/1/resources/SNAPSHOTS/files/1.png": b"of the series that is left out",
            f"{scans}/2/resources/DICOM/files/1.dcm": image("T1"),
            f"{scans}/2/resources/SNAPSHOTS/files/1.png": b"of the one that stays",
            "other/1.dcm": gone,
            "other/notes.txt": b"of the study that is left out",
            "other/inner.zip": zip_entries({"a.txt": b"of it, too"}),
        }
    )
    assert told.codes() == {
        f"{scans}/1/resources/DICOM/files/1.dcm": "filtered filter_site",
        f"{scans}/1/resources/SNAPSHOTS/files/1.png": "ignored ignored_filtered",
        f"{scans}/2/resources/DICOM/files/1.dcm": "stored stored",
        f"{scans}/2/resources/SNAPSHOTS/files/1.png": "resource resource",
        "other/1.dcm": "filtered filter_site",
        "other/notes.txt": "ignored ignored_filtered",
        "other/inner.zip": "ignored ignored_filtered",
    }
    left_out, session = sorted(told.sessions, key=lambda one: one["label"] or "")
    assert (left_out["state"], left_out["code"], left_out["label"]) == ("refused", "all_filtered", None)
    assert (session["state"], told.state) == ("archive", "placed")


def test_what_can_be_read_of_a_refused_inner_archive_is_refused_with_it(site: DataFolder) -> None:
    set_filter(site, None, "localizer")
    inner = zip_entries({"1.dcm": image("Localizer"), "2.dcm": image("T1")})
    at = inner.index(b"2.dcm") + 40
    damaged = inner[:at] + bytes(255 - byte for byte in inner[at : at + 20]) + inner[at + 20 :]
    told = site.bring({"a.zip": damaged, "b/1.dcm": image("T2", study=2)})
    assert told.state == "partly"
    assert {line["verdict"] for line in told.lines if line["path"].startswith("a.zip")} == {"refused"}


def test_a_mapping_decides_the_project_study_by_study(site: DataFolder, tmp_path: Path) -> None:
    site.project("P")
    site.project("Q")
    set_filter(site, "Q", "localizer")
    mapping = tmp_path / "map.csv"
    mapping.write_text("patient_id,project,leave_out\nPAT1,Q,\nPAT2,,yes\n")
    other = Image(case="filters", study=2, patient_id=b"PAT2", also={DESCRIPTION: (b"LO", b"Localizer")}).file()
    told = site.bring({**archive(), "other.dcm": other}, project="P", mapping_path=str(mapping))
    assert told.counts == {"filtered": 2, "stored": 2, "ignored": 1}
    assert told.codes()["other.dcm"] == "ignored left_out"


def test_lines_look_at_what_an_element_has_and_whether_it_is_there(site: DataFolder) -> None:
    undefined = Image(case="filters", number=5).with_inserted(
        0x00540017, b"\x54\x00\x16\x00SQ\0\0\xff\xff\xff\xff" + ITEM + ITEM_END + SEQUENCE_END
    )
    other = Image(case="filters", number=6).with_inserted(
        0x00400276, b"\x40\x00\x75\x02SQ\0\0\xff\xff\xff\xff" + ITEM + ITEM_END + SEQUENCE_END
    )
    set_filter(
        site, None,
        "[BurnedInAnnotation]", "EXISTS",
        "[DerivationDescription]", "^sum",
        "[(0019,1010)]", "secret",
        "[0054,0016]", "EXISTS",
        "[RequestAttributesSequence]", "EXISTS",
        "[(0020,0011)]", "^7$",
    )  # fmt: skip
    told = site.bring(
        {
            "burned.dcm": Image(case="filters", number=1, also={BURNED: (b"CS", b"")}).file(),
            "sum.dcm": Image(case="filters", number=2, also={DERIVED: (b"ST", b"Sum of all")}).file(),
            "private.dcm": Image(
                case="filters", number=3, also={0x00190010: (b"LO", b"A"), 0x00191010: (b"UN", b"a SECRET")}
            ).file(),
            "number.dcm": Image(case="filters", number=4, series_number=b"7", series=7).file(),
            "tracer.dcm": undefined,
            "request.dcm": other,
            "kept.dcm": Image(case="filters", number=8).file(),
        }
    )
    assert {path for path, said in told.codes().items() if said == "stored stored"} == {"kept.dcm"}
    assert {line["message"][-9:-2] for line in told.lines if line["verdict"] == "filtered"} == {
        "(line 2", "(line 4", "(line 6", "(line 8", "line 10", "line 12",
    }  # fmt: skip


def test_an_object_that_comes_as_a_stream_is_filtered_before_it_is_written(
    site: DataFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[str] = []
    keep = entry_reader.EntryReader.keep

    def spy(self: Any, entry: Any, *args: Any) -> Any:
        kept.append(entry.path)
        return keep(self, entry, *args)

    monkeypatch.setattr(entry_reader.EntryReader, "keep", spy)
    pixels = {0x7FE00010: (b"OW", b"\1\2" * 5_000_000)}
    late = {0x00291010: (b"OB", b"\0" * 2_000_000), **pixels}
    set_filter(site, None, "localizer")

    def big(series: int, text: bytes, more: dict[int, tuple[bytes, bytes]]) -> bytes:
        return Image(case="filters", series=series, also={DESCRIPTION: (b"LO", text), **more}).file()

    told = site.bring(
        {
            "left_out.dcm": big(1, b"Localizer", pixels),
            "late.dcm": big(2, b"Localizer", late),
            "stored.dcm": big(3, b"T1", pixels),
        }
    )
    assert told.codes() == {
        "left_out.dcm": "filtered filter_site", "late.dcm": "filtered filter_site", "stored.dcm": "stored stored",
    }  # fmt: skip
    assert "left_out.dcm" not in kept
    assert {"late.dcm", "stored.dcm"} <= set(kept)  # the header of the first ends behind what is looked at


def test_ecat_is_not_filtered(site: DataFolder) -> None:
    set_filter(site, None, mode="whitelist")
    told = site.bring({"a.v": ecat(), "1.dcm": image("T1")})
    assert told.codes() == {"a.v": "stored stored", "1.dcm": "filtered filter_site"}


@pytest.mark.parametrize("project", ["P", None])
def test_a_dry_run_tells_the_same_and_stores_nothing(site: DataFolder, project: str | None) -> None:
    site.project("P")
    set_filter(site, None, "scout")
    set_filter(site, "P", "localizer")
    more = {STUDY_DESCRIPTION: (b"LO", b"P")}
    entries = {
        "1.dcm": image("Localizer", more=more),
        "2.dcm": image("T1", more=more),
        "3.dcm": image("Scout", more=more),
        "1.txt": b"beside",
    }
    path = site.root / "dry.zip"
    path.write_bytes(zip_entries(entries))
    inspected = run_inspect(
        data=str(site.data), archive=str(path), request=ImportRequest(project=project, workers=1),
        settings=site.settings, on_progress=None, cancelled=threading.Event(),
    ).report  # fmt: skip
    assert site.files() == {}
    told = site.bring(path, project=project).report
    assert inspected["entries"] == told["entries"]
    assert inspected["entries"]["filtered"] == 2
    assert [one["message"] for one in inspected["warnings"]] == [one["message"] for one in told["warnings"]]


def test_a_modality_map_filters(site: DataFolder) -> None:
    document = {"mode": "modalityMap", "exclude": "SeriesDescription ~ 'Local'", "MR": "Modality = 'MR'"}
    set_local_filter(str(site.data), site.settings, None, read_document(json.dumps(document)))
    told = site.bring({**archive(), "ct.dcm": Image(case="filters", series="ct", modality=b"CT").file()})
    assert told.counts == {"stored": 2, "filtered": 3}
    assert "(exclude)" in told.line("loc/1.dcm")["message"]
    assert "(no line matches)" in told.line("ct.dcm")["message"]


def test_the_command_line_sets_filters_of_data_that_is_not_made_yet(tmp_path: Path) -> None:
    data, lines, xnat = tmp_path / "data", tmp_path / "site.txt", tmp_path / "xnat.json"
    lines.write_text("# no localizers\nlocalizer\n")
    xnat.write_text(json.dumps({"mode": "whitelist", "enabled": "true", "projectId": "X", "list": "T1\nT2"}))

    def command(*words: str | Path) -> tuple[int, str]:
        done = call_in_process(*words, "--data", data)
        return done.returncode, done.stdout + done.stderr

    assert command("admin", "filter", "set", "site", lines) == (0, "The site's filter is set, and switched on.\n")
    assert command("admin", "project", "add", "P")[0] == 0
    assert command("admin", "filter", "show", "P") == (0, "# The filter of P: none is set\n")
    assert command("admin", "filter", "off", "P")[0] == 2
    assert command("admin", "filter", "set", "P", xnat) == (0, "The filter of P is set, and switched on.\n")
    assert command("admin", "filter", "show", "P") == (0, "# The filter of P: whitelist, switched on\nT1\nT2\n")
    assert command("admin", "filter", "off", "p") == (0, "The filter of P is switched off.\n")
    shown = command("admin", "filter", "show", "site")
    assert shown == (0, "# The site's filter: blacklist, switched on\n# no localizers\nlocalizer\n\n")
    assert command("admin", "filter", "set", "NONE", lines)[0] == 2
    lines.write_text("fine\na(b\n[Nothing]\n")
    code, text = command("admin", "filter", "set", "site", lines)
    assert code == 2
    assert "Line 2" in text
    assert "Line 3" in text
    path = tmp_path / "a.zip"
    path.write_bytes(zip_entries(archive()))
    code, text = command("import", path, "--project", "P")
    assert code == 0
    assert "2 filtered" in text
    path.write_bytes(zip_entries({"1.dcm": image("Localizer")}))
    code, text = command("import", path, "--project", "P")
    assert code == 4
    assert "leave out every image" in text


def test_changes_are_audited_by_fingerprint(site: DataFolder) -> None:
    set_filter(site, None, "^secret words")
    set_filter(site, None, "^secret words")  # the same again is no version
    enable_local_filter(str(site.data), site.settings, None, enabled=False)
    with site.catalog() as catalog, catalog.read() as connection:
        rows = list(connection.execute(audit.select().where(audit.c.action == "filter_set").order_by(audit.c.id)))
    details = [json.loads(row.details) for row in rows]
    assert [(one["version"], one["enabled"]) for one in details] == [(1, True), (2, False)]
    assert details[0]["fingerprint"] == details[1]["fingerprint"]
    assert "secret" not in str(rows)


@pytest.mark.postgresql
def test_a_projects_filter_goes_with_it(site: DataFolder) -> None:
    site.project("P")
    set_filter(site, "P", "localizer")
    with site.catalog() as catalog, catalog.write() as connection:
        assert filters_in_force(connection).keys() == {"P"}
        connection.execute(delete(project).where(project.c.name == "P"))
        assert connection.execute(select(privacy_text)).all() == []


def test_a_real_archive_loses_the_series_that_the_filter_names(site: DataFolder, corpus: Path) -> None:
    set_filter(site, None, "sequential")
    told = site.bring(corpus / "neurolabusc__dcm_qa_nih")
    assert told.counts == {"stored": 84, "filtered": 80}
    types = [scan["type"] for session in told.sessions for scan in session["scans"]]
    assert len(types) == 4
    assert not any("sequential" in one.lower() for one in types)
    assert sum("session_filtered" in str(one["warnings"]) for one in told.sessions) == 1
