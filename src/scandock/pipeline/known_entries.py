"""Where a project's objects are de-identified: what the session that a job joins has of them already.

Told by the bytes themselves, as an exported session has them, or by what an object was before it was de-identified.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from functools import partial
from typing import IO

from scandock.formats.dicom_header import Unparseable, read_header
from scandock.model.entry import Content
from scandock.pipeline.duplicates import META_BYTES, Clashes
from scandock.pipeline.job import Job, JobContext
from scandock.pipeline.ledger import Ledger
from scandock.pipeline.moved_session import carry_origins
from scandock.pipeline.staging import StageFiles, hash_dataset
from scandock.rules.hidden_labels import hide_labels
from scandock.rules.naming import StudyNaming
from scandock.rules.petmr import Side
from scandock.rules.privacy import PrivacyRules, hide_patients
from scandock.store.paths import RelPath

ECAT_SYNTAX = "ecat"


def origins_of_ecat(rules: PrivacyRules, sha256: bytes) -> list[bytes]:
    """All that an ECAT file may be known by, whatever is done to it, the newest first."""
    return [rules.origin(sha256, ECAT_SYNTAX), *rules.older_origins(sha256, ECAT_SYNTAX)]


def is_to_scrub(context: JobContext, job: Job) -> bool:
    """Whether a job's objects are de-identified before they are stored: an inspection stores none."""
    return context.scrubber is not None and job.privacy is not None


def apply_privacy(context: JobContext, job: Job, naming: StudyNaming) -> None:
    """Give a job whose project is named the rules of that, its origins and keys.

    From here on patients are tokens, and labels say no more than the project's policy allows.
    """
    job.keeps_resources = context.keeps_resources(naming.project.label)
    rules = context.privacy_of(naming.project.label)
    if rules is None:
        carry_origins(context, job, None)
        return
    job.privacy = rules
    job.naming = hide_patients(hide_labels(naming, job.study, rules), rules, context.patients)
    job.study_key = rules.stored_study_key(job.study.study_uid) if job.study.study_uid is not None else ""
    if rules.policy.patient != "drop":
        job.patient_key = job.naming.patients.common_id
        job.patient_tokens = job.naming.patients.ids
    note_origins(context.ledger, context.stage, job, rules)
    carry_origins(context, job, rules)
    if context.scrubber is not None:  # what clashes is known once it is de-identified
        job.clashes = Clashes()
        context.ledger.run("UPDATE entry SET verdict = '', code = '' WHERE job = ? AND verdict = 'conflict'", (job.n,))


def note_origins(ledger: Ledger, stage: StageFiles, job: Job, rules: PrivacyRules) -> None:
    """Note what each of a job's images is known by, whatever is done to it."""
    unhashed = "SELECT ordinal, staged, dataset_at FROM entry WHERE job = ? AND content = 'dicom' AND facts = ''"
    for number, staged, dataset_at in ledger.rows(f"{unhashed} AND verdict = ''", (job.n,)):
        digest = hash_dataset(partial(stage.read_at, staged), dataset_at)  # the rules came after the reading began
        ledger.run("UPDATE entry SET facts = ? WHERE ordinal = ?", (digest.hex(), number))

    def origin_of(digest: str, syntax: str) -> bytes:
        return rules.origin(bytes.fromhex(digest), syntax)

    ledger.db.create_function("origin_of", 2, origin_of, deterministic=True)
    ledger.run(
        "UPDATE entry SET origin = origin_of(facts, syntax) WHERE job = ? AND content = 'dicom' AND facts <> ''",
        (job.n,),
    )
    ledger.run(
        "UPDATE entry SET origin = origin_of(HEX(sha256), ?) WHERE job = ? AND content = 'ecat'", (ECAT_SYNTAX, job.n)
    )
    if rules.older_keys:
        _note_older_origins(ledger, job, rules)


def _note_older_origins(ledger: Ledger, job: Job, rules: PrivacyRules) -> None:
    """Note what a job's images were known by while the site had other keys."""
    rows = ledger.rows(
        "SELECT DISTINCT CASE content WHEN 'ecat' THEN HEX(sha256) ELSE facts END,"
        " CASE content WHEN 'ecat' THEN ? ELSE syntax END, origin FROM entry WHERE job = ? AND origin IS NOT NULL",
        (ECAT_SYNTAX, job.n),
    )
    ledger.many(
        "INSERT OR IGNORE INTO older_origin VALUES (?, ?)",
        (
            (older, origin)
            for digest, syntax, origin in rows
            for older in rules.older_origins(bytes.fromhex(digest), syntax)
        ),
    )


def renew_origins(ledger: Ledger, job: Job) -> None:
    """Let the files of the joined session that were hashed by an older key have the origins of the newest one."""
    ledger.run(
        "UPDATE base SET origin = (SELECT o.origin FROM older_origin o WHERE o.older = base.origin)"
        " WHERE job = ? AND origin IN (SELECT older FROM older_origin)",
        (job.n,),
    )


def newest_origins(ledger: Ledger, origins: Iterable[bytes]) -> set[bytes]:
    """Origins, those that an older key made as the newest one does where the upload has the same object."""
    newest = dict(ledger.rows("SELECT older, origin FROM older_origin"))
    return {newest.get(origin, origin) for origin in origins}


def older_origins(ledger: Ledger, origins: Iterable[bytes]) -> set[bytes]:
    """What objects of the upload that have these origins were known by while the site had other keys."""
    chosen = set(origins)
    return {older for older, origin in ledger.stream("SELECT older, origin FROM older_origin") if origin in chosen}


def match_series(ledger: Ledger, study_uid: str, stored: Iterable[tuple[bytes, Side]]) -> dict[str, Side]:
    """The sides of a study's series by files that sessions have of it, told by their origins."""
    ledger.run("CREATE TEMP TABLE stored_origin (origin BLOB PRIMARY KEY, side TEXT) WITHOUT ROWID")
    ledger.many("INSERT OR IGNORE INTO stored_origin VALUES (?, ?)", stored)
    ledger.run(
        "INSERT OR IGNORE INTO stored_origin"
        " SELECT o.origin, s.side FROM stored_origin s JOIN older_origin o ON o.older = s.origin"
    )
    rows = ledger.rows(
        "SELECT e.series, MIN(s.side) FROM entry e CROSS JOIN stored_origin s ON s.origin = e.origin"
        " WHERE e.study = ? AND e.content = 'dicom' GROUP BY e.series",
        (study_uid,),
    )
    ledger.run("DROP TABLE stored_origin")
    return dict(rows)


def match_data_sets(ledger: Ledger, job: Job, rules: PrivacyRules, open_base: Callable[[RelPath], IO[bytes]]) -> None:
    """Give files of the joined session that are from before the rules the origins of entries with their data sets.

    Verification gives all such files theirs in time (`services/file_verification.py`). Read are those alone of which
    an entry has the SOP Instance UID and other bytes. What is gone, or can't be read, is known by nothing.
    """
    rows = ledger.rows(
        "SELECT DISTINCT b.n, b.path, b.dataset_at FROM base b CROSS JOIN entry e"
        " ON e.job = b.job AND e.sop = b.sop AND e.content = 'dicom' AND e.verdict = ''"
        " WHERE b.job = ? AND b.sop <> '' AND b.origin IS NULL AND b.rules IS NULL AND b.broken = 0"
        " AND e.sha256 <> b.sha256",
        (job.n,),
    )
    origins: list[tuple[bytes, int, int]] = []
    for n, path, dataset_at in rows:
        origin = read_origin(rules, partial(open_base, path), dataset_at)
        if origin is not None:
            origins.append((origin, job.n, n))
    ledger.many("UPDATE base SET origin = ? WHERE job = ? AND n = ?", origins)


def match_stored_objects(
    ledger: Ledger, job: Job, rules: PrivacyRules, open_base: Callable[[RelPath], IO[bytes]]
) -> None:
    """Give entries that are de-identified files of the joined session in another file meta the origins of these.

    Who receives an object by DICOM's network writes that anew. Read are the files of which an entry has the UID.
    """
    rows = ledger.rows(
        "SELECT e.ordinal, e.origin, b.origin, b.path, b.dataset_at FROM entry e CROSS JOIN base b INDEXED BY base_sop"
        " ON b.job = e.job AND b.sop = e.sop AND b.origin IS NOT NULL AND b.rules IS NOT NULL AND b.broken = 0"
        " WHERE e.job = ? AND e.content = 'dicom' AND e.verdict = '' AND e.own_sha256 IS NULL AND e.sha256 <> b.sha256"
        " AND e.origin IS NOT NULL",
        (job.n,),
    )
    ledger.many(
        "UPDATE entry SET origin = ? WHERE ordinal = ?",
        [
            (stored_origin, number)
            for number, origin, stored_origin, path, dataset_at in rows
            if origin is not None and origin == read_origin(rules, partial(open_base, path), dataset_at)
        ],
    )


def note_old_origins(
    ledger: Ledger, job: Job, rules: PrivacyRules, stage: StageFiles, open_base: Callable[[RelPath], IO[bytes]]
) -> None:
    """Give the files of a session that joins another one, or of that, their origins where the other's have some.

    Those that have none are from before the rules; they are read for it.
    """
    has_joining = ledger.rows("SELECT 1 FROM entry WHERE job = ? AND origin IS NOT NULL LIMIT 1", (job.n,))
    has_joined = ledger.rows("SELECT 1 FROM base WHERE job = ? AND origin IS NOT NULL LIMIT 1", (job.n,))
    of_entries: list[tuple[bytes | None, bytes]] = []
    of_base: list[tuple[bytes | None, int]] = []
    if has_joined:
        for number, content, sha256, staged, dataset_at in ledger.rows(
            "SELECT ordinal, content, sha256, staged, dataset_at FROM entry WHERE job = ? AND origin IS NULL"
            " AND rules IS NULL AND content IN ('dicom', 'ecat')",
            (job.n,),
        ):
            if content == Content.ECAT:
                of_entries.append((rules.origin(sha256, ECAT_SYNTAX), number))
            else:
                of_entries.append((hash_origin(rules, partial(stage.read_at, staged), dataset_at), number))
    if has_joining:
        for n, sop, sha256, path, dataset_at in ledger.rows(
            "SELECT n, sop, sha256, path, dataset_at FROM base WHERE job = ? AND origin IS NULL AND rules IS NULL"
            " AND broken = 0",
            (job.n,),
        ):
            if sop:
                of_base.append((read_origin(rules, partial(open_base, path), dataset_at), n))
            else:  # of what is no ECAT nothing else has the like
                of_base.append((rules.origin(sha256, ECAT_SYNTAX), n))
    ledger.many("UPDATE entry SET origin = ? WHERE ordinal = ?", of_entries)
    ledger.many("UPDATE base SET origin = ? WHERE job = ? AND n = ?", ((origin, job.n, n) for origin, n in of_base))


def read_origin(rules: PrivacyRules, open_file: Callable[[], IO[bytes]], dataset_at: int) -> bytes | None:
    """What a stored DICOM file is known by where it comes as it is stored; None where it is gone or can't be read."""
    try:
        file = open_file()
    except FileNotFoundError:
        return None
    with file:

        def read_at(at: int, length: int) -> bytes:
            file.seek(at)
            return file.read(length)

        return hash_origin(rules, read_at, dataset_at)


def hash_origin(rules: PrivacyRules, read_at: Callable[[int, int], bytes], dataset_at: int) -> bytes | None:
    """The same of bytes that `read_at` gives."""
    syntax = _read_syntax(read_at(0, META_BYTES))
    return None if syntax is None else rules.origin(hash_dataset(read_at, dataset_at), syntax)


def _read_syntax(head: bytes) -> str | None:
    """The transfer syntax that an object's first bytes say; None where they can't be read."""
    try:
        return read_header(head, len(head), frozenset(), None).transfer_syntax
    except Unparseable:
        return None


class OriginHash:
    """Gives the origin of a stored file that was never de-identified, from chunks of it as they are read."""

    def __init__(self, rules: PrivacyRules, dataset_at: int | None) -> None:
        """`dataset_at`: where the data set of a DICOM object begins; None of an ECAT file."""
        self._rules = rules
        self._dataset_at = dataset_at
        self._digest = hashlib.sha256()
        self._at = 0
        self._head = b""

    def add(self, chunk: bytes) -> None:
        """Take the next bytes of the file."""
        if self._dataset_at is None:
            return
        if len(self._head) < META_BYTES:
            self._head += chunk[: META_BYTES - len(self._head)]
        self._digest.update(memoryview(chunk)[max(0, self._dataset_at - self._at) :])
        self._at += len(chunk)

    def origin(self, sha256: bytes) -> bytes | None:
        """The origin of the file, of which all was read and this is the sha256; None where its meta can't be read."""
        if self._dataset_at is None:
            return self._rules.origin(sha256, ECAT_SYNTAX)
        syntax = _read_syntax(self._head)
        return None if syntax is None else self._rules.origin(self._digest.digest(), syntax)


def mark_known(ledger: Ledger, job: Job, *, scrubbed: bool = False) -> None:
    """Note of each of a job's images which file of the joined session it repeats, if any.

    By the bytes that it came with; else by its origin, where that file is whole. One whose file is broken is to be
    de-identified once more, since that may heal it: known is it once it is (`scrubbed`).
    """
    ledger.run("UPDATE entry SET known = NULL WHERE job = ? AND known IS NOT NULL", (job.n,))
    if job.base is None:
        return
    ledger.run(
        "UPDATE entry SET known = COALESCE("
        "(SELECT MIN(b.n) FROM base b INDEXED BY base_sha256 WHERE b.job = entry.job"
        " AND b.sha256 = COALESCE(entry.own_sha256, entry.sha256) AND (b.sop <> '' OR entry.content = 'ecat')),"
        " (SELECT MIN(b.n) FROM base b INDEXED BY base_origin WHERE b.job = entry.job AND b.origin = entry.origin"
        " AND (? OR b.broken = 0)))"
        " WHERE job = ? AND content IN ('dicom', 'ecat') AND verdict = ''",
        (scrubbed, job.n),
    )


def find_known(ledger: Ledger, job: Job) -> list[tuple[bytes, int]]:
    """A job's images that repeat files of the joined session: (entry's ordinal, number of the base file)."""
    return ledger.rows(
        "SELECT ordinal, known FROM entry WHERE job = ? AND known IS NOT NULL AND verdict = '' ORDER BY ordinal",
        (job.n,),
    )


def has_other_rules(ledger: Ledger, job: Job, rules: PrivacyRules) -> bool:
    """Whether files that a job repeats were de-identified by other rules than these, or by none."""
    known = ledger.rows(
        "SELECT DISTINCT b.rules FROM entry e JOIN base b ON b.job = e.job AND b.n = e.known WHERE e.job = ?"
        " AND e.verdict = '' AND (b.rules IS NULL OR b.origin = e.origin)",
        (job.n,),
    )
    return any(fingerprint not in rules.fingerprints for (fingerprint,) in known)
