"""Where a project's objects are de-identified: what the session that a job joins has of them already.

Told by the bytes themselves, as an exported session has them, or by what an object was before it was de-identified.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from scandock.pipeline.duplicates import Clashes
from scandock.pipeline.job import Job, JobContext
from scandock.pipeline.ledger import Ledger
from scandock.pipeline.moved_session import carry_origins
from scandock.pipeline.staging import StageFiles, hash_dataset
from scandock.rules.hidden_labels import hide_labels
from scandock.rules.naming import StudyNaming
from scandock.rules.petmr import Side
from scandock.rules.privacy import PrivacyRules, hide_patients

_ECAT_SYNTAX = "ecat"


def origin_of_ecat(rules: PrivacyRules, sha256: bytes) -> bytes:
    """What an ECAT file is known by, whatever is done to it."""
    return rules.origin(sha256, _ECAT_SYNTAX)


def is_to_scrub(context: JobContext, job: Job) -> bool:
    """Whether a job's objects are de-identified before they are stored: an inspection stores none."""
    return context.scrubber is not None and job.privacy is not None


def apply_privacy(context: JobContext, job: Job, naming: StudyNaming) -> None:
    """Give a job whose project is named the rules of that, its origins and keys.

    From here on patients are tokens, and labels say no more than the project's policy allows.
    """
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
        "UPDATE entry SET origin = origin_of(HEX(sha256), ?) WHERE job = ? AND content = 'ecat'", (_ECAT_SYNTAX, job.n)
    )


def match_series(ledger: Ledger, study_uid: str, stored: Iterable[tuple[bytes, Side]]) -> dict[str, Side]:
    """The sides of a study's series by files that sessions have of it, told by their origins."""
    ledger.run("CREATE TEMP TABLE stored_origin (origin BLOB PRIMARY KEY, side TEXT) WITHOUT ROWID")
    ledger.many("INSERT OR IGNORE INTO stored_origin VALUES (?, ?)", stored)
    rows = ledger.rows(
        "SELECT e.series, MIN(s.side) FROM entry e CROSS JOIN stored_origin s ON s.origin = e.origin"
        " WHERE e.study = ? AND e.content = 'dicom' GROUP BY e.series",
        (study_uid,),
    )
    ledger.run("DROP TABLE stored_origin")
    return dict(rows)


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
        " (SELECT MIN(b.n) FROM base b WHERE b.job = entry.job AND b.origin = entry.origin AND (? OR b.broken = 0)))"
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
    """Whether files that a job repeats by their origin were de-identified by other rules than these."""
    return bool(
        ledger.rows(
            "SELECT 1 FROM entry e JOIN base b ON b.job = e.job AND b.n = e.known WHERE e.job = ? AND e.verdict = ''"
            " AND b.origin = e.origin AND b.rules <> ? LIMIT 1",
            (job.n, rules.fingerprint),
        )
    )
