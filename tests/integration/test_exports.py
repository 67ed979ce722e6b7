"""`scandock export`: the folder has what the archive has, whatever was there before, went wrong or was killed."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from scandock.catalog.server_tables import audit, verification
from scandock.catalog.tables import project, resource, session
from scandock.catalog.trees import change_files
from scandock.services import output_folder, session_exports
from scandock.services.session_exports import choose_sessions
from scandock.store import durability, syscalls
from tests.builders import DataFolder, images, make_data_folder, sha256, uploader_layout
from tests.crash.processes import KILLED, SCANDOCK, Command, run
from tests.integration.in_process import call_in_process

NAME = 'ümläut "quoted" $(x).txt'
STORED = NAME.replace('"', "_")
DICOM = "scans/1/resources/DICOM/files"
ROUNDS = 5
COUNT = 200


def layout(label: str, study: int, count: int = 3) -> dict[str, bytes]:
    return {
        **uploader_layout(label, "1", images(count, study=study)),
        f"{label}/resources/NOTES/files/{NAME}": "grüße\n".encode(),
        f"{label}/resources/NOTES/files/sub/deep/empty.bin": b"",
    }


@pytest.fixture
def exported(site: DataFolder) -> DataFolder:
    """Two sessions of the project P."""
    for study in (1, 2):
        site.bring(layout(f"S{study}", study), session=f"S{study}")
    return site


def export(site: DataFolder, name: str, to: Path | None = None) -> tuple[int, dict[str, Any]]:
    """Exit code and result of an export."""
    done = call_in_process("export", name, "--data", site.data, "--to", to or site.root / "out", "--json")
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def files(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): sha256(path.read_bytes())
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink()
    }


def problems(result: Mapping[str, Any]) -> dict[str, str]:
    return {problem["path"]: problem["kind"] for problem in result["problems"]}


@pytest.mark.postgresql
def test_a_project_and_a_session_are_exported_as_the_archive_has_them(tmp_path, monkeypatch, database_url) -> None:
    site = make_data_folder(tmp_path, monkeypatch, database_url)
    environment = {} if database_url.startswith("sqlite") else {"SCANDOCK_DATABASE_URL": database_url}
    for study in (1, 2):
        site.bring(layout(f"S{study}", study), session=f"S{study}")
    site.bring(layout("S3", 3), session="S3", destination="prearchive")
    for name, labels in (("S2", {"S2"}), ("P", {"S1", "S2"})):
        to = tmp_path / f"out-{name}"
        done = call_in_process("export", name, "--data", site.data, "--to", to, "--json", **environment)
        assert done.returncode == 0, done.stderr
        archived = {path: told for path, told in files(site.data / "archive").items() if path.split("/")[1] in labels}
        assert files(to) == archived
        result = json.loads(done.stdout)
        assert (result["sessions"], result["written"], result["present"]) == (len(labels), len(archived), 0)
        assert result["problems"] == []
        for path in archived:
            own, stored = (to / path).stat(), (site.data / "archive" / path).stat()
            assert (own.st_nlink, own.st_ino) != (stored.st_nlink + 1, stored.st_ino)
            assert own.st_ino != stored.st_ino, "a hard link: who writes to the export would write to the archive"
            assert own.st_mode & 0o111 == 0
    with site.catalog() as catalog, catalog.read() as connection:
        lines = connection.execute(select(audit.c.actor, audit.c.kind).where(audit.c.action == "download")).all()
    assert lines == [("system", "session")] * 3


def test_names_of_sessions_and_projects(exported: DataFolder, subtests: pytest.Subtests) -> None:
    exported.bring(layout("S1", 5), project="Q", session="S1")
    exported.bring(layout("Q", 6), session="Q")
    with exported.catalog() as catalog, catalog.read() as connection:
        uuid = connection.execute(select(session.c.uuid).where(session.c.label == "S2")).scalar_one()
        for name in (
            uuid, "s2", "P/S2", "p/s2/", "archive/P/S2", "/data/archive/projects/P/subjects/x/experiments/S2",
            "/data/experiments/S2", "http://host:8080/projects/P/sessions/S2", "https://host/api/v1/tree/P/S2/",
            f"/api/v1/sessions/{uuid}", "XNAT_E00002", "/data/experiments/XNAT_E00002",
        ):  # fmt: skip
            with subtests.test(name):
                chosen = choose_sessions(connection, name)
                assert (chosen.project, list(chosen.sessions)) == ("P", [uuid])
        for name in ("P", "p", "P/", "archive/P", "/projects/P", "/data/projects/P", "/api/v1/tree/P/"):
            with subtests.test(name):
                assert set(choose_sessions(connection, name).sessions.values()) == {"S1", "S2", "Q"}
        with subtests.test("Q/"):
            assert choose_sessions(connection, "Q/").project == "Q"
    exported.bring(layout("W", 7), session="W", destination="prearchive")
    for name, code, words in (
        ("S1", "export_ambiguous", "archive/P/S1, archive/Q/S1"),
        ("Q", "export_ambiguous", "archive/Q/, archive/P/Q"),
        ("W", "export_waits", "prearchive"),
        ("nobody", "export_unknown", "nobody"),
        ("P/nobody", "export_unknown", "P/nobody"),
        ("../../etc", "export_unknown", "etc"),
        ("", "export_unknown", "''"),
    ):
        with subtests.test(name):
            done = call_in_process("export", name, "--data", exported.data, "--to", exported.root / "out")
            assert done.returncode == 2
            assert words in done.stderr, code
    assert not (exported.root / "out").exists()


def stamps(folder: Path) -> dict[str, tuple[int, int, int]]:
    """What changes with each write of a file: its inode, and when it was written and renamed."""
    every = {path: path.stat() for path in folder.rglob("*") if path.is_file()}
    return {str(path): (status.st_ino, status.st_mtime_ns, status.st_ctime_ns) for path, status in every.items()}


def test_an_export_goes_on_and_replaces_nothing(exported: DataFolder) -> None:
    out = exported.root / "out"
    assert export(exported, "P")[0] == 0
    scan = out / "P/S1" / DICOM
    first, second, third = sorted(scan.iterdir())
    first.unlink()
    second.write_bytes(b"another's")
    third.write_bytes(third.read_bytes()[:-1])
    shutil.rmtree(out / "P/S2/scans/1/resources")
    (out / "P/S2/scans/1/resources").symlink_to(exported.data / "archive/P/S2/scans/1/resources")
    note = out / "P/S1/resources/NOTES/files" / STORED
    note.unlink()
    note.symlink_to(exported.data / "archive/P/S1/resources/NOTES/files" / STORED)
    (out / "P/S2/resources/NOTES/files/sub/deep/empty.bin").unlink()
    (out / "P/S2/resources/NOTES/files/sub/deep/empty.bin").mkdir()
    before = stamps(out)

    code, result = export(exported, "P")
    assert code == 3
    assert (result["written"], result["present"]) == (1, 2)
    assert {path.removeprefix("P/"): kind for path, kind in problems(result).items()} == dict.fromkeys(
        (
            *(f"S1/{DICOM}/{path.name}" for path in (second, third)),
            "S2/scans/1/resources",
            f"S1/resources/NOTES/files/{STORED}",
            "S2/resources/NOTES/files/sub/deep/empty.bin",
        ),
        "occupied",
    ), "one for the thing in the way, however many files belong below it"
    assert [problem["files"] for problem in result["problems"]] == [1, 1, 1, 3, 1]
    after = stamps(out)
    assert after.pop(str(first)) not in before.values()
    assert after == before
    assert second.read_bytes() == b"another's"
    exported.check()  # nothing was written through a link
    for path in (second, third, note):
        path.unlink()
    assert set(problems(export(exported, "S1")[1])) == set()
    assert files(out / "P/S1") == files(exported.data / "archive/P/S1")


def test_what_is_damaged_is_named_and_not_written(exported: DataFolder) -> None:
    changed, missing, shorter = sorted((exported.data / "archive/P/S1" / DICOM).iterdir())
    changed.write_bytes(changed.read_bytes()[:-1] + b"?")
    missing.unlink()
    shorter.write_bytes(b"")
    shutil.rmtree(exported.data / "archive/P/S2")
    code, result = export(exported, "P")
    folder = f"P/S1/{DICOM}/"
    assert code == 3
    assert problems(result) == {
        folder + changed.name: "changed",
        folder + missing.name: "missing",
        folder + shorter.name: "changed",
        "P/S2": "gone",
    }
    out = exported.root / "out"
    assert sorted(files(out)) == sorted(
        [f"P/S1/resources/NOTES/files/{STORED}", "P/S1/resources/NOTES/files/sub/deep/empty.bin"]
    )
    with exported.catalog() as catalog, catalog.read() as connection:
        asked = connection.execute(select(verification.c.asked).where(verification.c.asked.is_not(None))).all()
    assert len(asked) == 2, "the list of damage is to tell of it, too"


@pytest.mark.parametrize("name", ["../../../../../../../../evil", "/evil", "a/../../evil", "a\nb", "a//b", "." * 2])
def test_no_name_of_the_catalog_leads_out_of_the_folder(exported: DataFolder, name: str) -> None:
    with exported.catalog() as catalog, catalog.write() as connection:
        (tree_id,) = connection.execute(select(session.c.tree_id).where(session.c.label == "S1")).scalars()
        change_files(connection, tree_id, {0: {"name": name}})
    code, result = export(exported, "S1", exported.root / "deep/er/out")
    assert code == 3
    assert list(problems(result).values()) == ["name"]
    assert not list(exported.root.rglob("evil*"))


@pytest.mark.parametrize("table", [resource, session, project])
def test_no_label_of_the_catalog_leads_out_of_the_folder(exported: DataFolder, table: Any) -> None:
    column = table.c.name if table is project else table.c.label
    with exported.catalog() as catalog:
        with catalog.read() as connection:
            choice = choose_sessions(connection, "S1")
        (uuid,) = choice.sessions
        tree_id = select(session.c.tree_id).where(session.c.uuid == uuid).scalar_subquery()
        wheres = {resource: resource.c.tree_id == tree_id, session: session.c.uuid == uuid, project: project.c.id > 0}
        with catalog.write() as connection:
            connection.execute(update(table).where(wheres[table], column != "NOTES").values({column: "../evil"}))
    code, result = export(exported, uuid, exported.root / "deep/er/out")
    assert (code, result["written"]) == (3, 0)
    assert not list(exported.root.rglob("evil*"))


def test_the_folder_and_the_data_folder_are_apart(exported: DataFolder) -> None:
    link = exported.root / "link"
    link.symlink_to(exported.data / "archive")
    before = files(exported.data)
    for to in (exported.data, exported.data / "archive", exported.data / "x/y", link, link / "x", exported.root):
        done = call_in_process("export", "P", "--data", exported.data, "--to", to)
        assert (done.returncode, "one in the other" in done.stderr) == (2, True), to
    assert {path for path in files(exported.data) if not path.startswith("scandock.db")} == {
        path for path in before if not path.startswith("scandock.db")
    }


def test_a_disk_that_fills_up_ends_it_and_the_next_one_goes_on(exported: DataFolder, monkeypatch) -> None:
    written = durability.write_all
    left = [2]

    def write_some(fd: int, data: Any) -> int:
        if not left[0]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        left[0] -= 1
        return written(fd, data)

    with monkeypatch.context() as patch:
        patch.setattr(output_folder, "write_all", write_some)
        done = call_in_process("export", "P", "--data", exported.data, "--to", exported.root / "out")
    assert (done.returncode, "no space left" in done.stderr) == (1, True), done.stderr
    kept = stamps(exported.root / "out")
    assert len(kept) == 2
    code, result = export(exported, "P")
    assert (code, result["present"]) == (0, 2)
    assert kept.items() <= stamps(exported.root / "out").items()
    assert files(exported.root / "out") == files(exported.data / "archive")


def test_a_session_that_is_replaced_or_deleted_meanwhile(exported: DataFolder, monkeypatch) -> None:
    """One that has begun is exported as it was; one whose turn comes, as it is then."""
    before = files(exported.data / "archive")
    reads = session_exports._read_chunks  # noqa: SLF001
    left = [True]

    def read(*given: Any) -> Iterator[bytes]:
        if left:
            left.clear()
            for study in (1, 2):
                new = layout(f"S{study}", study) | {f"S{study}/resources/NOTES/files/{NAME}": b"new"}
                exported.bring(new, session=f"S{study}", overwrite="delete")
        yield from reads(*given)

    exported.checked = False  # as a snapshot is held
    monkeypatch.setattr(session_exports, "_read_chunks", read)
    assert export(exported, "P")[0] == 0
    now = files(exported.data / "archive")
    assert now != before
    wanted = {path: (before if path.startswith("P/S1/") else now)[path] for path in before}
    assert files(exported.root / "out") == wanted


def test_what_is_printed(exported: DataFolder) -> None:
    out = exported.root / "out"
    done = call_in_process("export", "S1", "--data", exported.data, "--to", out)
    assert done.returncode == 0
    assert done.stdout.startswith(f"Exported to {out}: 1 session of P, 5 files written (")
    notes = out / "P/S1/resources/NOTES/files"
    (notes / STORED).write_bytes(b"?")
    (notes / "sub/deep/empty.bin").unlink()
    (notes / "sub/deep/empty.bin").symlink_to("elsewhere")
    shutil.rmtree(out / "P/S1/scans")
    (out / "P/S1/scans").write_bytes(b"?")
    done = call_in_process("export", "S1", "--data", exported.data, "--to", out)
    assert done.stdout.splitlines() == [
        "occupied: P/S1/scans: a file, where a folder belongs: 3 files below it are not written",
        f"occupied: P/S1/resources/NOTES/files/{STORED}: a file of 1 byte, where the archive's file has 8 bytes",
        "occupied: P/S1/resources/NOTES/files/sub/deep/empty.bin: a link, where a file of the archive belongs",
        "What is occupied is left as it is. Move it away, and run the command again.",
        f"Exported to {out}: 1 session of P, 0 files written (0 B), 0 there already, 3 problems: 5 files are not there",
    ]
    (notes / STORED).write_bytes("?rüße\n".encode())
    done = call_in_process("export", "S1", "--data", exported.data, "--to", out)
    assert f"{STORED}: another file of 8 bytes, which are not those of the archive's file" in done.stdout


@pytest.mark.parametrize("below", ["", "/sub", "/sub/deep"])
def test_a_file_in_place_of_the_folder_is_wrong_usage(exported: DataFolder, below: str) -> None:
    place = exported.root / "place"
    place.write_bytes(b"a person's")
    done = call_in_process("export", "S1", "--data", exported.data, "--to", f"{place}{below}")
    assert done.returncode == 2
    assert done.stderr == (
        f"Error: --to '{place}{below}' is no folder that can be written to. Name a folder, or a new name.\n"
    )
    assert place.read_bytes() == b"a person's"


def test_files_are_on_the_disk_before_they_have_their_names(exported: DataFolder, monkeypatch) -> None:
    """So that no power cut leaves short files under the names of whole ones."""
    out = exported.root / "out"
    synced: list[list[str]] = []
    syncfs = syscalls.syncfs

    def sync(fd: int) -> None:
        synced.append(sorted(files(out)))
        syncfs(fd)

    monkeypatch.setattr(syscalls, "syncfs", sync)
    monkeypatch.setattr(output_folder, "UNNAMED_FILES", 4)
    assert export(exported, "P")[0] == 0
    assert [len(names) for names in synced] == [0, 4, 8, 10], "before each batch of names, and at the end"
    assert files(out) == files(exported.data / "archive")


def test_two_exports_to_one_folder_at_once(exported: DataFolder, monkeypatch) -> None:
    """What another export has named meanwhile is there already; what somebody else has, is in the way."""
    out = exported.root / "out"
    name = output_folder.OutputFolder.name_files
    mine = True

    def name_files(self: output_folder.OutputFolder) -> Any:
        nonlocal mine
        if mine:
            mine = False
            assert export(exported, "S1")[0] == 0
            (out / "P/S1/resources/NOTES/files" / STORED).write_bytes(b"?")
        return name(self)

    monkeypatch.setattr(output_folder.OutputFolder, "name_files", name_files)
    code, result = export(exported, "S1")
    assert (code, result["written"], result["present"], result["bytes"]) == (3, 0, 4, 0)
    assert problems(result) == {f"P/S1/resources/NOTES/files/{STORED}": "occupied"}


@pytest.mark.processes
@pytest.mark.crash
def test_killed_anywhere_it_leaves_whole_files_alone_and_goes_on(site: DataFolder) -> None:
    site.bring(layout("S1", 1, count=COUNT), session="S1")
    archived = files(site.data / "archive")
    kills = 0
    for number in range(ROUNDS):
        out = site.root / f"out-{number}"
        words: list[str | Path] = [SCANDOCK, "export", "P", "--data", site.data, "--to", out, "--json"]
        before: dict[str, tuple[int, int, int]] = {}
        for share in (number / ROUNDS, (number + 1) / ROUNDS):
            command = Command(words)
            while command.process.poll() is None and sum(1 for _ in out.rglob("*.dcm")) < share * COUNT:
                pass
            command.signal(signal.SIGKILL)
            kills += command.wait().code == KILLED
            assert files(out).items() <= archived.items(), "whole or not there"
            assert before.items() <= stamps(out).items(), "written twice"
            before = stamps(out)
        done = run(words)
        assert done.code == 0, str(done)
        assert done.report["present"] == len(before)
        assert files(out) == archived
        assert before.items() <= stamps(out).items()
        assert [path.name for path in site.root.glob(".scandock-*")] == []
    assert kills > ROUNDS / 2
    site.check()
