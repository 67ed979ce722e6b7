"""A session that stands is what an import takes: it moves, and the tree that it has goes as its new one is placed.

Its folder is read as an archive in the documented layout, and every step is that of imports. What only the catalog
knows of it is carried along here: its identity, what people said, what its objects were before they were de-identified.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from typing import Final

from sqlalchemy import Connection, update

from scandock.catalog.engine import Catalog
from scandock.catalog.file_rows import FileAnnotations, FileRow
from scandock.catalog.records import SessionRecord
from scandock.catalog.sessions import find_session
from scandock.catalog.tables import session
from scandock.catalog.trees import ResourceRow, ScanRow, files_of, resources_of, scans_of
from scandock.model.import_report import ImportReport
from scandock.model.series import SERIES_KEYS, SeriesTally
from scandock.pipeline.job import Job, JobContext
from scandock.pipeline.tallies import Tallies
from scandock.publishing.deletes import Removal, new_trash_id
from scandock.publishing.errors import MovedSessionChanged
from scandock.publishing.intents import Placement, SessionRow
from scandock.publishing.locks import locks_of
from scandock.publishing.recover import recover
from scandock.publishing.reserve import find_holders, lock_projects, reserve
from scandock.queue.leases import Lease
from scandock.rules.choices import REASONS, is_still_held
from scandock.rules.labels import label_key
from scandock.rules.notices import SESSION_WARNINGS, Notice, PrintableText, make_notice
from scandock.rules.privacy import PrivacyRules
from scandock.store.errors import TreeDamaged
from scandock.store.paths import path_below, resource_folder, tree_path
from scandock.store.port import Mark, Store

IMAGE_LABELS: Final = ("DICOM", "secondary", "ECAT")
"""Resources of scans whose words an import makes as they are everywhere."""
WAIT_SECONDS: Final = 0.05
RECOVER_SECONDS: Final = 2.0
NOT_MOVED: Final = "not_moved"
"""Code of the warning that a session was to move and could not."""
_N: Final = 2_000_000
"""The removals of what moves are numbered beside placements and other removals, from here on."""


def hold_moved_session(
    catalog: Catalog, store: Store, lease: Lease, uuid: str, check: Callable[[], None]
) -> SessionRecord:
    """Reserve what a session is known by, so that nobody changes it while it is read, and give it.

    Waits for whoever changes it now. Usage `moved_session_changed` where it has gone or is archived.
    """
    recovered = time.monotonic()
    while True:
        check()
        with catalog.read() as connection:
            project = _find_waiting(connection, uuid).project
        with catalog.write() as connection:
            lock_projects(connection, [project])
            source = _find_waiting(connection, uuid)
            if source.project == project:
                names = locks_of(source)
                holders = find_holders(connection, lease, names)
                if not holders:
                    reserve(catalog, connection, lease, names)
                    return source
        if time.monotonic() - recovered > RECOVER_SECONDS:
            stuck = recover(catalog, store).stuck
            for holder in sorted(holders & stuck.keys()):
                raise stuck[holder]
            recovered = time.monotonic()
        time.sleep(WAIT_SECONDS)


def _find_waiting(connection: Connection, uuid: str) -> SessionRecord:
    source = find_session(connection, uuid)
    if source is None or source.place != "prearchive":
        raise MovedSessionChanged
    return source


def check_unchanged(connection: Connection, moved: SessionRecord) -> None:
    """Usage `moved_session_changed` where the session is not any more as it was read."""
    source = find_session(connection, moved.uuid)
    if source is None or (source.tree_id, source.parts) != (moved.tree_id, moved.parts):
        raise MovedSessionChanged


def moved_study_keys(moved: SessionRecord | None) -> Mapping[str, str]:
    """The keyed hash of the study of a session that was de-identified before, by the UID that it has now."""
    if moved is None or moved.study_uid is None or not moved.study_key:
        return {}
    return {moved.study_uid: moved.study_key}


# -- what it was, and what people said of it ---------------------------------------------------------------------------


def load_moved_files(context: JobContext) -> Notice | None:
    """Note in the ledger what the catalog knows of the files that move; gives why they can't, if not all are there.

    A file that is damaged, or gone from the store, would be lost with the tree that it is of.
    """
    moved, ledger = context.moved, context.ledger
    if moved is None:
        return None
    with context.catalog.read() as connection:
        scans = {scan.n: scan for scan in scans_of(connection, moved.tree_id)}
        resources = {resource.n: resource for resource in resources_of(connection, moved.tree_id)}
        context.moved_series.update(
            (facts.series_uid, facts.nested[SERIES_KEYS])
            for facts in (scan.facts for scan in scans.values())
            if isinstance(facts, SeriesTally) and SERIES_KEYS in facts.nested
        )
        ledger.run(
            "CREATE TEMP TABLE moved_file (path TEXT PRIMARY KEY, scan TEXT, sha256 BLOB, origin BLOB, rules BLOB,"
            " sop_key INTEGER, content TEXT, format TEXT, tags TEXT, ordinal BLOB)"
        )
        ledger.many(
            "INSERT INTO moved_file VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, NULL)",
            (
                (
                    _path(scans, resources[row.resource_n], row),
                    _scan_id(scans, resources[row.resource_n]),
                    row.sha256,
                    row.origin,
                    row.rules,
                    row.sop_key,
                    *_words(resources[row.resource_n], row),
                )
                for row in files_of(connection, moved.tree_id)
            ),
        )
    ledger.many("UPDATE moved_file SET ordinal = ? WHERE path = ?", context.moved_paths())
    ledger.run("CREATE INDEX moved_ordinal ON moved_file (ordinal)")
    count, first = ledger.rows(
        "SELECT COUNT(*), MIN(m.path) FROM moved_file m WHERE NOT EXISTS (SELECT 1 FROM entry e"
        " WHERE e.ordinal = m.ordinal AND (e.sha256 = m.sha256 OR LENGTH(e.sha256) = 0))"
    )[0]
    if not count:
        return None
    rules = context.privacy_of(context.request.project or "")
    if rules is not None and not rules.policy.is_open:  # names of files may not be known
        number = ledger.rows("SELECT COUNT(*) FROM moved_file WHERE path <= ?", (first,))[0][0]
        first = f"#{number}"
    return make_notice("session_damaged", label=moved.label, count=count, file=first)


def unite_studies(context: JobContext, tallies: Tallies) -> None:
    """Let all images be of the study that their session is of.

    Those that came before a project de-identified have its old StudyInstanceUID, those that came later its new one.
    """
    moved = context.moved
    if moved is None or moved.study_uid is None or context.privacy_of(context.request.project or "") is None:
        return
    if tallies.study_uids() <= {moved.study_uid}:
        return
    tallies.unite(moved.study_uid)
    context.ledger.run("UPDATE entry SET study = ? WHERE content = 'dicom'", (moved.study_uid,))


def carry_words(context: JobContext, jobs: list[Job]) -> None:
    """Let what people said of scans and of single files stand with them."""
    if context.moved is None:
        return
    words = {
        number: (content, file_format, tags)
        for number, content, file_format, tags in context.ledger.stream(
            "SELECT ordinal, content, format, tags FROM moved_file WHERE COALESCE(content, format, tags) IS NOT NULL"
        )
    }
    for job in jobs:
        job.words, job.keeps_scan_ids = words, True


def _words(resource: ResourceRow, row: FileRow) -> FileAnnotations:
    """What was said of a file, or of its resource, whose own words an import would make anew."""
    if resource.scan_n is not None and resource.label in IMAGE_LABELS:
        return row.words
    content = resource.content if resource.content != resource.label else ""
    return row.content or content or None, row.format or resource.format or None, row.tags or resource.tags or None


def _path(scans: Mapping[int, ScanRow], resource: ResourceRow, row: FileRow) -> str:
    """The path of a file below its session's folder."""
    return path_below(resource_folder(_scan_id(scans, resource), resource.label), row.name)


def _scan_id(scans: Mapping[int, ScanRow], resource: ResourceRow) -> str | None:
    scan = scans.get(resource.scan_n) if resource.scan_n is not None else None
    return scan.scan_id if scan is not None else None


def carry_origins(context: JobContext, job: Job, rules: PrivacyRules | None) -> None:
    """Let a session that was de-identified before be known by what it was then; of files made by these very rules the
    ledger says so.
    """
    moved = context.moved
    if moved is None:
        return
    if rules is None or rules.policy.study_uid != "drop":
        job.study_key = moved.study_key or job.study_key
    if moved.patient_key and (rules is None or rules.policy.patient != "drop"):
        job.patient_key = moved.patient_key
        job.patient_tokens = (moved.patient_key,)
        naming = job.final_naming
        patients = replace(naming.patients, ids=job.patient_tokens, common_id=moved.patient_key)
        job.naming = replace(naming, patients=patients)
    if rules is None:
        for tally in job.tallies:
            if keys := context.moved_series.get(tally.series_uid):
                tally.nested[SERIES_KEYS] = keys
    own = () if rules is None else tuple(rules.fingerprints)
    is_own = "1" if rules is None else f"m.rules IN ({', '.join('?' * len(own))})"
    statement = (
        "UPDATE entry SET origin = (SELECT m.origin FROM moved_file m WHERE m.ordinal = entry.ordinal),"  # noqa: S608  marks alone
        " sop_key = (SELECT m.sop_key FROM moved_file m WHERE m.ordinal = entry.ordinal),"
        f" rules = (SELECT m.rules FROM moved_file m WHERE m.ordinal = entry.ordinal AND {is_own})"
        " WHERE job = ? AND content IN ('dicom', 'ecat')"
        " AND EXISTS (SELECT 1 FROM moved_file m WHERE m.ordinal = entry.ordinal AND m.origin IS NOT NULL)"
    )
    context.ledger.run(statement, (*own, job.n))


# -- its new tree ------------------------------------------------------------------------------------------------------


def find_heir(context: JobContext, jobs: list[Job]) -> Job | None:
    """The job whose session is the one that moves: the first that makes a new one; None where all join others."""
    if context.moved is None:
        return None
    return next((job for job in jobs if job.base is None and job.plan is not None), None)


def inherit(moved: SessionRecord, row: SessionRow, job: Job) -> SessionRow:
    """The row of the session that moves, as it is to be: its identity, and what people set.

    What it is held for in any project it stays held for; told by its code alone where the old words may say too much.
    """
    changes = {
        "project": job.final_decision.project != moved.project,
        "label": row.key != label_key(moved.label),
        "subject": label_key(row.subject) != label_key(moved.subject),
    }
    held, state = row.held, row.state
    if not held[0] and row.place == "prearchive" and is_still_held(moved.held[0], **changes):
        code, message, remedy = moved.held
        if _is_discarded(job):
            message, remedy = f"Session {row.label}: {REASONS.get(code, code)}.", ""
        held, state = (code, message, remedy), "conflict"
    return replace(
        row,
        warnings=[*row.warnings, *_earlier_warnings(moved, row, job)],
        uuid=moved.uuid,
        new=False,
        held=held,
        state=state,
        type_by_hand=moved.type_by_hand,
        xsi_type=moved.xsi_type if moved.type_by_hand else row.xsi_type,
        folder=row.folder or moved.folder,
    )


def _earlier_warnings(moved: SessionRecord, row: SessionRow, job: Job) -> list[dict[str, str]]:
    """The warnings that it had and that the import has not found itself, without those that it would find.

    By their codes alone where the old words may say too much.
    """
    known = {warning["code"] for warning in row.warnings} | SESSION_WARNINGS | {NOT_MOVED}
    earlier = [warning for warning in moved.warnings if warning["code"] not in known]
    if not _is_discarded(job):
        return earlier
    said = f"Session {row.label} had this warning before its files were changed."
    return [{"code": code, "message": said, "remedy": ""} for code in {warning["code"]: None for warning in earlier}]


def replace_tree(context: JobContext, job: Job, placement: Placement) -> Placement:
    """The placement of the session that moves, and in the job what becomes of the tree that it has now."""
    moved = context.moved
    assert moved is not None
    if placement.name != tree_path(moved.parts):
        job.moved_removal = _removal(context, job, moved, stays=True)
        return placement
    return replace(
        placement,
        base_tree_id=moved.tree_id,
        base_mark=_mark(context, moved),
        keep_base=True,
        discard=_is_discarded(job),
    )


def remove_joined(context: JobContext, jobs: list[Job]) -> None:
    """Let the session that moves go where others take all its files in."""
    if context.moved is not None:
        jobs[0].moved_removal = _removal(context, jobs[0], context.moved, stays=False)


def _removal(context: JobContext, job: Job, moved: SessionRecord, *, stays: bool) -> Removal:
    return Removal(
        n=_N,
        uuid=moved.uuid,
        name=tree_path(moved.parts),
        mark=_mark(context, moved),
        tree_id=moved.tree_id,
        project_id=moved.project_id,
        trash=new_trash_id(context.catalog, context.store),
        keep=False,
        stays=stays,
        discard=_is_discarded(job),
    )


def _mark(context: JobContext, moved: SessionRecord) -> Mark:
    mark = context.store.current(tree_path(moved.parts))
    if mark is None:
        raise TreeDamaged(f"{tree_path(moved.parts)} is not where it was stored.", "Run `scandock check`.")
    return mark


def _is_discarded(job: Job) -> bool:
    """Whether what its objects were may stand nowhere any more, not in the trash either."""
    return job.privacy is not None and not job.privacy.policy.is_open


# -- why it stays ------------------------------------------------------------------------------------------------------


def note_not_moved(catalog: Catalog, moved: SessionRecord, report: ImportReport) -> None:
    """Warn of a session that was to move why it has stayed where it is."""
    why = next((one.message for one in report.sessions if one.code), report.message)
    notice = make_notice(NOT_MOVED, why=PrintableText(why))
    with catalog.write() as connection:
        source = find_session(connection, moved.uuid)
        if source is None:
            return
        earlier = [warning for warning in source.warnings if warning["code"] != NOT_MOVED]
        connection.execute(
            update(session)
            .where(session.c.id == source.id)
            .values(warnings=json.dumps([*earlier, asdict(notice)]), modified=catalog.now())
        )
