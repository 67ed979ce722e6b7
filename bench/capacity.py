"""Measures a catalog of 20 million files in PostgreSQL: python -m bench.capacity [--sessions 40000] [--large 1000000].

Sessions of 10 scans with 50 files each, and one of a million files in 40 scans, are written by the catalog's own
functions, as imports write them; nothing of them is in the store. Then it asks over HTTP, in this process: for pages of
sessions, right after PostgreSQL has started with nothing of its files in memory, and again; for pages of files; for
what is searched. The large session is deleted and its trash emptied, and the tables are measured before that.
PostgreSQL syncs what it commits, and has 32 MB of shared buffers.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import httpx
from sqlalchemy import Connection, select, text, update

from bench import report
from bench.listings import LISTS, PROJECT, ask, spread
from scandock.catalog.dicom_listings import point_listing
from scandock.catalog.engine import Catalog, open_catalog
from scandock.catalog.file_rows import FileRow
from scandock.catalog.object_index import merge_blocks
from scandock.catalog.project_sums import write_sums
from scandock.catalog.tables import session
from scandock.catalog.trees import BATCH, ResourceRow, ScanRow, add_files, find_objects, write_files, write_structure
from scandock.model.series import SeriesTally
from scandock.model.tags import NUMBERS
from scandock.services.cleaning.trash import empty_trash
from scandock.services.settings import load_settings
from scandock.store.paths import archive_path
from scandock.web import urls
from tests.integration.many_rows import seed
from tests.integration.web import Web, serve_in_process
from tests.postgres import DurableCluster

LARGE = "Large"
"""The project of the large session."""
SCANS, FILES_OF_SCAN, SCANS_OF_LARGE = 10, 50, 40
IN_TRANSACTION = 10
"""Sessions of which the files are written in one."""
PROCESSES = 2
DATABASE = "capacity"
DATA, SIZES = "postgresql", "sizes.md"
"""What is in a folder that is kept: the files of the stopped cluster, and a table."""
BEGIN, END = "<!-- capacity:begin -->", "<!-- capacity:end -->"
_SIZES = """
SELECT relname, pg_total_relation_size(oid) FROM pg_class
WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY 2 DESC
"""
_OF_FILES = ("manifest", "object_block")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=int, default=40_000)
    parser.add_argument("--large", type=int, default=1_000_000, help="files of the large session")
    parser.add_argument("--rounds", type=int, default=20, help="of each page")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="fill a new folder and keep it, and measure no times")
    parser.add_argument(
        "--from", type=Path, metavar="DIR", dest="kept", help="measure a copy of a folder that was kept"
    )
    parser.add_argument("--write", action="store_true", help="write docs/performance.md")
    arguments = parser.parse_args()
    if arguments.keep:
        arguments.keep.mkdir()
        make_catalog(arguments.keep, arguments.sessions, arguments.large)
        return
    folder = Path(tempfile.mkdtemp(prefix="scandock-capacity-", dir=arguments.kept and arguments.kept.parent))
    try:
        if arguments.kept:
            subprocess.run(["cp", "--archive", f"{arguments.kept}/.", folder], check=True)
        else:
            make_catalog(folder, arguments.sessions, arguments.large)
        lines = [(folder / SIZES).read_text()]
        lines += measure_cold(folder, arguments.rounds)
        lines += ["", f"{report.machine(folder)}; {arguments.rounds} of each page."]
    finally:
        shutil.rmtree(folder)
    print("\n".join(lines))
    if arguments.write:
        report.write("\n".join(lines), BEGIN, END)


def make_catalog(folder: Path, sessions: int, large: int) -> None:
    """Fill a cluster in a folder, stop it, and write beside it how large its tables are."""
    folder.chmod(0o755)  # PostgreSQL is another user
    cluster = DurableCluster(folder / "socket", folder / DATA)
    try:
        cluster.start()
        cluster.make_database(DATABASE)
        seconds = fill(cluster.url(DATABASE), sessions, large)
        files = sessions * SCANS * FILES_OF_SCAN + large
        lines = [f"{files:,} files in {sessions + 1:,} sessions, written and indexed in {seconds:.0f} s.", ""]
        lines += [*size_table(cluster.url(DATABASE), files), ""]
        (folder / SIZES).write_text("\n".join(lines))
        print("\n".join(lines), file=sys.stderr, flush=True)
        cluster.stop()
    finally:
        cluster.kill()


def measure_cold(folder: Path, rounds: int) -> list[str]:
    """Tables of milliseconds, from a start with nothing in memory on."""
    lines = []
    cluster = DurableCluster(folder / "socket", folder / DATA)
    drop_from_memory(cluster.data)
    try:
        cluster.start()
        for line in measure(folder / "data", cluster.url(DATABASE), rounds):
            print(f"bench: {line}", file=sys.stderr, flush=True)
            lines.append(line)
    finally:
        cluster.kill()
    return lines


# -- filling -----------------------------------------------------------------------------------------------------------


def fill(url: str, sessions: int, large: int) -> float:
    """Write the sessions and their files, merge the index as a worker does meanwhile; in how many seconds."""
    began = time.perf_counter()
    with opened(url) as catalog:
        seed(catalog, sessions, name=PROJECT)
        seed(catalog, 1, name=LARGE)
        with catalog.read() as connection:
            rows = connection.execute(select(session.c.id).order_by(session.c.id)).scalars().all()
        shares = [(url, rows[start:-1:PROCESSES]) for start in range(PROCESSES)]
        with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as pool:
            running = [pool.submit(fill_sessions, *share) for share in shares]
            running.append(pool.submit(fill_large, url, rows[-1], large))
            while not all(each.done() for each in running):
                merge_blocks(catalog, lambda: False)
                time.sleep(1)
            for each in running:
                each.result()
        merge_blocks(catalog, lambda: False)
        with catalog.write() as connection:
            for number in connection.execute(select(session.c.project_id).distinct()).scalars():
                write_sums(connection, number)
            connection.exec_driver_sql("ANALYZE")  # as its own upkeep does within a minute
    return time.perf_counter() - began


@contextmanager
def opened(url: str) -> Iterator[Catalog]:
    catalog = open_catalog(url)
    try:
        yield catalog
    finally:
        catalog.dispose()


def fill_sessions(url: str, numbers: Sequence[int]) -> None:
    """Write the files of sessions, some in a transaction."""
    with opened(url) as catalog:
        for at in range(0, len(numbers), IN_TRANSACTION):
            with catalog.write() as connection:
                for number in numbers[at : at + IN_TRANSACTION]:
                    fill_session(connection, number, SCANS, FILES_OF_SCAN)
            if at % 5_000 == 0:
                print(f"bench: session {numbers[at]:,}", file=sys.stderr, flush=True)


def fill_session(connection: Connection, number: int, scans: int, files: int) -> None:
    tree_id = connection.execute(select(session.c.tree_id).where(session.c.id == number)).scalar_one()
    rows = list(make_files(number, scans, files))
    for at in range(0, len(rows), BATCH):
        add_files(connection, tree_id, rows[at : at + BATCH])
    describe(connection, number, tree_id, scans, files)


def fill_large(url: str, number: int, files: int) -> None:
    """Write the large session, as an import does: some files in a transaction."""
    with opened(url) as catalog:
        with catalog.read() as connection:
            tree_id = connection.execute(select(session.c.tree_id).where(session.c.id == number)).scalar_one()
        write_files(catalog, tree_id, make_files(number, SCANS_OF_LARGE, files // SCANS_OF_LARGE))
        with catalog.write() as connection:
            describe(connection, number, tree_id, SCANS_OF_LARGE, files // SCANS_OF_LARGE)


def make_files(number: int, scans: int, files: int) -> Iterator[FileRow]:
    """The files of a session as a scanner names them: UIDs that differ from each other in their last eight digits."""
    chance = random.Random(number)
    for scan_n in range(scans):
        uids = series_uid(number, scan_n)
        for n in range(scan_n * files, (scan_n + 1) * files):
            drawn = chance.randbytes(37)  # one call: drawing numbers takes longer than writing them
            uid = f"{uids}.{int.from_bytes(drawn[:4]) % 10**8:08}"
            yield FileRow(n, scan_n, f"{uid}.dcm", 150_000 + drawn[4] % 100, drawn[5:], uid, 1, 348)


def series_uid(number: int, scan_n: int) -> str:
    return f"1.3.12.2.1107.5.2.19.45152.{number:010}.{scan_n}"


def describe(connection: Connection, number: int, tree_id: int, scans: int, files: int) -> None:
    """Write what a session has beside its files, and have it listed."""
    study_uid = f"1.3.12.2.1107.5.2.19.45152.{number:010}"
    described = [make_scan(number, study_uid, n, files) for n in range(scans)]
    resources = [ResourceRow(n, n, "DICOM", "RAW", "DICOM", files, one.bytes) for n, one in enumerate(described)]
    write_structure(connection, tree_id, described, resources)
    sums = {"scans": scans, "files": scans * files, "bytes": sum(one.bytes for one in described)}
    row = update(session).where(session.c.id == number).values(study_uid=study_uid, **sums)
    point_listing(
        connection, number, tree_id, connection.execute(row.returning(session.c.project_id)).scalar_one(), "archive"
    )


def make_scan(number: int, study_uid: str, n: int, files: int) -> ScanRow:
    values = {
        "StudyDate": f"20{number % 26:02}{number % 12 + 1:02}{number % 28 + 1:02}", "StudyTime": "101112",
        "AccessionNumber": f"ACC{number}", "PatientID": f"PAT{number // 3}", "PatientName": f"Doe{number // 3}^Jane",
        "PatientBirthDate": "19500101", "PatientSex": "F", "ReferringPhysicianName": f"House{number % 50}^Gregory",
        "StudyDescription": f"Study {number % 40}", "Modality": "MR", "SeriesNumber": str(n + 1),
        "SeriesDescription": f"T1 MPRAGE {n}", "Manufacturer": "SIEMENS", "BitsAllocated": "16", "Rows": "256",
        "Columns": "256", "RepetitionTime": "2300", "EchoTime": "2.98", "FlipAngle": "9", "SliceThickness": "1",
    }  # fmt: skip
    tally = SeriesTally(
        study_uid, series_uid(number, n), objects=files, frames=files,
        values={NUMBERS[keyword]: {value: files} for keyword, value in values.items()},
    )  # fmt: skip
    attributes = {"series_description": f"T1 MPRAGE {n}", "startTime": "10:11:12", "parameters/tr": "2300.0"}
    return ScanRow(
        n, str(n + 1), tally.series_uid, "MR", "xnat:mrScanData", "T1", attributes, tally, files, files, files * 150_000
    )


# -- measuring ---------------------------------------------------------------------------------------------------------


def size_table(url: str, files: int) -> list[str]:
    """Bytes a file of the tables, with their indexes and all that deleted rows have left behind."""
    with opened(url) as catalog, catalog.read() as connection:
        sizes = dict(map(tuple, connection.execute(text(_SIZES))))
    lines = ["| table, with its indexes | bytes a file |", "|---|---|"]
    of_files = sum(sizes[name] for name in _OF_FILES)
    lines.append(f"| **what grows with files** ({', '.join(_OF_FILES)}) | **{of_files / files:.1f}** |")
    lines += [f"| {name} | {size / files:.1f} |" for name, size in sizes.items() if size / files >= 0.5]
    lines.append(f"| all | {sum(sizes.values()) / files:.1f} |")
    return lines


def drop_from_memory(folder: Path) -> None:
    """Let the kernel keep nothing of a stopped cluster's files in memory."""
    os.sync()
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def measure(data: Path, url: str, rounds: int) -> Iterator[str]:
    """Tables of milliseconds."""
    settings = load_settings().model_copy(update={"database_url": url})
    with serve_in_process(data, settings) as web, web.client() as client:
        client.get("/api/v1/projects").raise_for_status()  # the password is checked once
        lists = {title: (title.partition(",")[0].split()[0], params) for title, params in LISTS.items()}
        del lists["prearchive"]
        lists["sessions, a part of the label"] = ("sessions", {"search": "ess_00"})
        lists["sessions, a part of one label alone"] = ("sessions", {"search": "s_00390"})
        yield from ("| page of 50 | first, nothing in memory (ms) | then (ms) |", "|---|---|---|")
        for title, (kind, params) in {**lists, **lists_of_files(web)}.items():
            yield f"| {title} | {page_times(client, kind, params, rounds)} |"
        yield from ("", "| | ms |", "|---|---|")
        for title, times in lookups(web, client, rounds):
            yield f"| {title} | {spread(times)} |"
        for title, took in deletion(web, client):
            yield f"| {title} | {took:,.0f} |"


def lists_of_files(web: Web) -> dict[str, tuple[str, dict[str, str]]]:
    """Of a session of 500 files, and of the large one."""
    large, small = find_uuid(web, LARGE), find_uuid(web, PROJECT)
    return {
        "files of a session of 500": ("files", {"session": small}),
        "files of the large session": ("files", {"session": large}),
        "the same, of a scan": ("files", {"session": large, "scan": "20"}),
        "the same, by name": ("files", {"session": large, "sort": "name"}),
        "the same, a part of the name": ("files", {"session": large, "search": "777"}),
    }


def find_uuid(web: Web, project: str) -> str:
    """A session of a project, from the middle."""
    with web.site.catalog.read() as connection:
        where = session.c.project_id == text("(SELECT id FROM project WHERE name = :name)").bindparams(name=project)
        uuids = connection.execute(select(session.c.uuid).where(where).order_by(session.c.id)).scalars().all()
    return str(uuids[len(uuids) // 2])


def page_times(client: httpx.Client, kind: str, params: dict[str, str], rounds: int) -> str:
    """Milliseconds of the first page, and of those that follow."""
    cursor: str | None = None
    times = []
    for _ in range(rounds + 1):
        began = time.perf_counter()
        page = ask(client, kind, params if cursor is None else {**params, "cursor": cursor})
        times.append((time.perf_counter() - began) * 1000)
        cursor = page["next"]
    return f"{times[0]:.0f} | {spread(times[1:])}"


def lookups(web: Web, client: httpx.Client, rounds: int) -> Iterator[tuple[str, list[float]]]:
    """Searches by DICOMweb, one file, and one object."""
    uuid = find_uuid(web, PROJECT)
    with web.site.catalog.read() as connection:
        number = connection.execute(select(session.c.id).where(session.c.uuid == uuid)).scalar_one()
    (row, *_) = make_files(number, 1, 1)
    asked: dict[str, tuple[str, dict[str, str]]] = {
        "DICOMweb: 50 studies, the newest first": (f"{urls.dicomweb()}/studies", {"limit": "50"}),
        "DICOMweb: studies by a part of the PatientName": (f"{urls.dicomweb()}/studies", {"PatientName": "*e50^*"}),
        "a file by its number": (f"/api/v1/sessions/{uuid}/files/400", {}),
        "the large session": (f"/api/v1/sessions/{find_uuid(web, LARGE)}", {}),
    }
    for title, (path, params) in asked.items():
        yield title, [timed(partial(answer, client, path, params)) for _ in range(rounds)]
    yield (
        "an object by its UID over all trees, as commitment asks",
        [timed(partial(find_object, web, str(row.sop_uid))) for _ in range(rounds)],
    )


def answer(client: httpx.Client, path: str, params: dict[str, str]) -> None:
    reply = client.get(path, params=params)
    reply.raise_for_status()
    assert reply.json()


def find_object(web: Web, uid: str) -> None:
    with web.site.catalog.read() as connection:
        assert len(list(find_objects(connection, [uid]))) == 1


def timed(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return (time.perf_counter() - began) * 1000


def deletion(web: Web, client: httpx.Client) -> Iterator[tuple[str, float]]:
    """The large session goes to the trash by a request, and its rows go with the trash."""
    uuid = find_uuid(web, LARGE)
    with web.site.catalog.read() as connection:
        label = connection.execute(select(session.c.label).where(session.c.uuid == uuid)).scalar_one()
    (Path(web.site.data) / archive_path(LARGE, label)).mkdir(parents=True)  # without files: of the catalog alone
    yield "the large session is deleted", timed(lambda: client.delete(f"/api/v1/sessions/{uuid}").raise_for_status())
    emptied: list[str] = []
    yield "its trash is emptied", timed(lambda: emptied.extend(empty_trash(web.site.catalog, web.site.store, 0)))
    assert emptied == [uuid]


if __name__ == "__main__":
    main()
