"""What is read of an archive while it comes is what is read of it at once, or nothing: each row of the bad inputs.

Archives come to thread readers in steps, with small limits, so that bombs go off soon.
"""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import os
import signal
import struct
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import pytest
import zstandard
from pydicom.datadict import dictionary_VR

from scandock.access.principal import SYSTEM
from scandock.model.errors import Fault
from scandock.queue.tokens import new_token, new_uuid
from scandock.rules.import_request import ImportRequest
from scandock.rules.privacy import PrivacyRules
from scandock.rules.privacy_policy import Policy
from scandock.rules.series_filters import read_document
from scandock.services.import_filters import set_filter
from scandock.services.settings import Settings, load_settings
from scandock.testing.privacy import given_privacy
from scandock.testing.readers import thread_readers
from scandock.workers import followed_spool
from scandock.workers.archive_reader import ArchiveReader, ReadEntries
from scandock.workers.context import make_context
from scandock.workers.followed_spool import FollowedSpool, FollowVoid
from scandock.workers.import_progress import ImportProgress
from scandock.workers.readers import start_process, use_reader_start
from tests.badinput import CASES, tars, zips
from tests.badinput.case import good_pairs
from tests.crash.archives import Study
from tests.crash.case_share import choose_cases
from tests.crash.processes import process_name
from tests.integration.test_import_corpus import EXPECTED
from tests.integration.upload_server import UploadServer
from tests.unit.deidentification.script.script_objects import Elements, object_bytes, with_version
from tests.unit.deidentification.script.test_golden_scripts import CASES as GOLDEN_SCRIPTS
from tests.unit.rules_sessions.test_series_filters import CASES as GOLDEN_FILTERS

pytestmark = pytest.mark.long

LIMITS = {"ratio_from_bytes": 8_000_000, "max_unpacked_bytes": 60_000_000, "max_entries": 20_000}
STEPS = 9
Look = Callable[[], tuple[int, int]]
"""How many bytes are here, and of how many."""
COLUMNS = (
    "ordinal, path, size, hex(sha256), content, code, message, folder, session_folder, scan_folder, resource, study,"
    " series, sop, sop_class, frames, dataset_at, syntax, facts, left_out_by"
)
EARLY_COLUMNS = (
    "ordinal, state, message, size, hex(sha256), study, series, sop, sop_class, frames, dataset_at, syntax, facts,"
    " warnings"
)
HIDING = PrivacyRules(key=b"k" * 32, policy=Policy(study_uid="hash", patient="hash"))


def steps(size: int) -> Look:
    """An archive that comes in so many steps."""
    here = iter(range(STEPS + 1))
    return lambda: (size * next(here, STEPS) // STEPS, size)


class Site:
    """A DATA in which archives are read in both ways."""

    is_private = False
    """Whether a policy is in force: `make test` plays a third of the archives there, `make crash` all of them."""

    def __init__(self, folder: Path, **limits: int) -> None:
        self.server = UploadServer(folder / "data")
        self.settings: Settings = load_settings().model_copy(update={"workers": 2, **limits})
        self.request = ImportRequest(project="P")
        self.archive = folder / "archive"

    def read(self, body: bytes, *, follow: bool, look: Look | None = None) -> tuple[Any, ...]:
        """All that the readers tell of an archive, or why it is read in the ordinary way. `look`: how it comes."""
        self.archive.write_bytes(body)
        context = make_context(self.server.catalog, self.settings, self.request, ())
        store, listening = self.server.store, ImportProgress(None)
        stage = store.begin(new_uuid(), new_token())
        reading = ArchiveReader(
            str(self.archive), self.request, self.settings, listening, threading.Event(), name="archive", readers=2
        )
        coming = self.coming(len(body), look or steps(len(body))) if follow else None
        try:
            entries = reading.read(store, stage, context.texts, lambda: False, keep=True, coming=coming)
            return self.findings(entries, listening)
        except (FollowVoid, Fault) as error:
            return ("void", error.why if isinstance(error, FollowVoid) else error.code)
        finally:
            if coming is not None:
                coming.close()
            reading.close()
            stage.clear()
            store.finish(stage)

    def coming(self, size: int, look: Look) -> FollowedSpool:
        return FollowedSpool(str(self.archive), "archive", size, self.settings.limits, 2, look, lambda: False)

    @staticmethod
    def findings(entries: ReadEntries, listening: ImportProgress) -> tuple[Any, ...]:
        rows = entries.ledger.rows(f"SELECT {COLUMNS} FROM entry ORDER BY ordinal")
        early = entries.ledger.rows(f"SELECT {EARLY_COLUMNS} FROM early ORDER BY ordinal")
        entries.close()
        if entries.refused is not None:
            return ("refused", entries.refused.code)
        notes = Counter((note.code, note.message) for note in listening.notes)
        studies = sorted(listening.tallies.study_uids())
        figures = (listening.entries_total, listening.bytes_total, listening.received)
        return ("read", rows, early, sorted(listening.damages), notes, studies, figures)


@pytest.fixture(scope="module", params=["open", "private"])
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One that stores objects as they come, and one that de-identifies them as they are read."""
    made = Site(tmp_path_factory.mktemp("site"), **LIMITS)
    made.is_private = request.param == "private"
    privacy = given_privacy(HIDING) if made.is_private else nullcontext()
    with privacy, thread_readers(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(followed_spool, "BATCH_ENTRIES", 1)
        yield made
    made.server.close()


SECTIONS = sorted({case.section for case in CASES})
FOLLOWED = 0.35
"""Of the rows of the table, at least, something is read while they come, and all of it is used."""


def test_every_bad_archive_is_read_as_ever_or_not_at_all(site: Site, subtests: pytest.Subtests) -> None:
    used = 0
    cases = choose_cases(CASES[::3], CASES) if site.is_private else CASES
    for case in cases:
        with subtests.test(case.id):
            body = case.build().archive
            ordinary, followed = site.read(body, follow=False), site.read(body, follow=True)
            assert followed == ordinary or followed[0] in ("void", "refused")
            assert ordinary[0] != "refused" or followed[0] != "read"
            used += followed[0] == "read"
    assert used >= FOLLOWED * len(cases)


def test_good_archives_are_read_while_they_come(site: Site) -> None:
    for entries in (
        zips.files(*good_pairs("good")),
        zips.files(*good_pairs("good"), descriptor=b"PK\x07\x08"),
        [zips.folder(b"good"), *zips.files(*good_pairs("good"), method=zips.STORED)],
    ):
        check_is_read_ahead(site, zips.archive(entries))


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, lzma.compress, zstandard.compress])
def test_good_tars_are_read_while_they_come(site: Site, pack: Callable[[bytes], bytes]) -> None:
    check_is_read_ahead(site, pack(tars.plain(*good_pairs("good"), (b"inner.zip", zips.plain(*good_pairs("inner"))))))


def check_is_read_ahead(site: Site, body: bytes) -> None:
    followed = site.read(body, follow=True)
    assert followed[0] == "read"
    assert followed == site.read(body, follow=False)


def test_an_entry_that_shares_bytes_with_the_next_one_is_damaged_and_not_read_ahead(site: Site) -> None:
    (first, second, *_) = zips.files(*good_pairs("nested"))
    comment = b"so that its last entry is here before its end" * 50
    body = zips.nested(first, second)[:-2] + struct.pack("<H", len(comment)) + comment
    _, rows, *_ = site.read(body, follow=False)
    assert [row[5] for row in rows] == ["overlapping_entries", ""]
    assert site.read(body, follow=True) == ("void", "its directory says something else than its entries")


UIDS: Elements = {tag: ["UI", f"1.2.{number}"] for number, tag in enumerate(("00080018", "0020000D", "0020000E"))}
EARLY_STATES = {"ok": "ok", "error": "failed", "reject": "reject"}
"""What readers tell of an object, by the result of its golden case."""


def golden_archive(elements: Elements) -> bytes:
    """A zip of the object of a golden case, with UIDs where it says none, before another one."""
    other = object_bytes({**UIDS, "00080018": ["UI", "1.2.9"]})
    return zips.archive(zips.files((b"case", object_bytes({**UIDS, **elements})), (b"other", other)))


@pytest.mark.skipif(not GOLDEN_SCRIPTS, reason="the reference is not beside the project")
def test_golden_scripts_change_what_comes_as_what_is_here(tmp_path: Path, subtests: pytest.Subtests) -> None:
    site = Site(tmp_path)
    with thread_readers():
        for case in GOLDEN_SCRIPTS:
            if case["result"] == "refused" or "vars" in case:  # it can't be set; needs labels, so is not run early
                continue
            script, lookups = with_version(case["script"]), "\n".join(case.get("lookup", []))
            rules = PrivacyRules(key=b"k" * 32, scripts=(script,), lookups=lookups)
            expected = "reject" if case.get("ignore_reject") else case["result"]
            with subtests.test(case["id"]), given_privacy(rules):
                followed = site.read(golden_archive(case["input"]), follow=True)
                assert followed[2][0][1] == EARLY_STATES[expected]
                if expected == "ok" and "newUID" not in script:  # which makes another one each time
                    assert followed == site.read(golden_archive(case["input"]), follow=False)
    site.server.close()


@pytest.mark.skipif(not GOLDEN_FILTERS, reason="the reference is not beside the project")
def test_golden_filters_leave_out_of_what_comes_what_they_leave_out_of_what_is_here(
    tmp_path: Path, subtests: pytest.Subtests
) -> None:
    site = Site(tmp_path)
    with thread_readers():
        for number, case in enumerate(GOLDEN_FILTERS):
            if case.get("refused"):  # it can't be set
                continue
            document = json.dumps({key: case[key] for key in ("mode", "list", "enabled") if key in case})
            set_filter(site.server.catalog, SYSTEM, None, read_document(document))
            elements = {tag: (dictionary_VR(int(tag, 16)), value) for tag, value in case["object"].items()}
            values: Elements = {tag: [vr, [{}] if vr == "SQ" else value] for tag, (vr, value) in elements.items()}
            with subtests.test(f"{number}: {case['note'] or case['list'][:40]}"):
                followed = site.read(golden_archive(values), follow=True)
                code = followed[1][0][5]
                assert code == ("" if case["accept"] else "filter_site")
                assert followed == site.read(golden_archive(values), follow=False)
    site.server.close()


def test_a_reader_that_is_killed_while_it_waits_is_replaced(site: Site) -> None:
    study = Study(66, 1, count=20, side=256)
    body = gzip.compress(tars.plain(*((name.encode(), data) for name, data in study.entries("S").items())), 1)
    staged = site.server.data / "work"
    killed: list[int] = []

    def look() -> tuple[int, int]:
        """Half of it is here until something of that was staged, and its reader is dead."""
        if not killed and any(name.endswith(".dcm") for _, _, names in os.walk(staged) for name in names):
            killed.extend(readers())
            for pid in killed:
                os.kill(pid, signal.SIGKILL)
        return (len(body) if killed else len(body) // 2), len(body)

    with use_reader_start(start_process):
        followed = site.read(body, follow=True, look=look)
    assert killed
    assert followed[0] == "read"
    assert followed == site.read(body, follow=False)


def readers() -> list[int]:
    """The reader processes of this one."""
    listed = [path.read_text(encoding="utf-8") for path in Path("/proc/self/task").glob("*/children")]
    return [int(pid) for line in listed for pid in line.split() if process_name(int(pid)) == "reader"]


@pytest.mark.corpus
@pytest.mark.disk
@pytest.mark.parametrize(
    ("privacy", "step"),
    [(nullcontext(), 1), (given_privacy(HIDING), choose_cases([3], [1])[0])],
    ids=["open", "private"],
)
def test_every_archive_of_real_files_is_read_while_it_comes(
    corpus_archives: Path, tmp_path: Path, subtests: pytest.Subtests, privacy: AbstractContextManager[None], step: int
) -> None:
    names = sorted(name for name in json.loads(EXPECTED.read_text(encoding="utf-8")) if not name.startswith("_"))
    assert names
    site = Site(tmp_path)
    with privacy, thread_readers():
        for name in names[::step]:
            with subtests.test(name):
                body = (corpus_archives / name).read_bytes()
                followed = site.read(body, follow=True)
                assert followed[0] == "read", followed
                assert followed == site.read(body, follow=False)
    site.server.close()
