"""Objects that name what is stored of their study by the UIDs that de-identification has given it.

Viewers know these alone. So UIDs that the session's own objects have stay as they are in what is added to it, wherever
they stand; all others are replaced as ever.
"""

from __future__ import annotations

import re
from contextlib import suppress
from itertools import chain
from typing import Final

from scandock.catalog.file_rows import FileRow
from scandock.catalog.records import SessionRecord
from scandock.catalog.sessions import existing_session
from scandock.catalog.trees import files_of, resources_of, scans_of
from scandock.catalog.view import SqlView
from scandock.pipeline.healing import open_stored_files
from scandock.pipeline.job import Job, JobContext
from scandock.publishing.tree_files import damaged_paths_of, file_paths
from scandock.rules.keyed_values import uuid_version
from scandock.rules.privacy import PrivacyRules
from scandock.rules.stored_uids import is_made_uid, pack_uids
from scandock.store.paths import tree_path

_HEAD: Final = 256 * 1024
"""Bytes of an object of each series in which other UIDs are looked for, as that of its frame of reference."""
_TRIES: Final = 3
"""Objects of a series, the first of which that can be read is."""
_UID: Final = re.compile(rb"(?<![0-9.])2\.25\.[1-9][0-9]{0,38}(?![0-9.])")
_KEYED_VERSION: Final = 8


def join_stored_study(context: JobContext, job: Job) -> bytes:
    """The UIDs that stay in a job's objects, which name their study as it is stored; b"" where they don't.

    Study and patient of the job are from then on those that the stored objects were of.
    """
    rules, study_uid = job.privacy, job.study.study_uid
    if rules is None or study_uid is None or context.moved is not None:
        return b""
    if not rules.changes_uids or not is_made_uid(study_uid):
        return b""
    with context.catalog.read() as connection:
        known = SqlView(connection, context.lease.upload_id).sessions_of_study(job.final_decision.project, study_uid)
        sessions = [existing_session(connection, session.uuid) for session in known]
    sessions = [session for session in sessions if _has_new_uid(rules, session, study_uid)]
    uids = {uid for session in sessions for uid in _read_session(context, session, study_uid)}
    if not uids:
        return b""
    _take_keys(job, rules, sessions)
    return pack_uids({study_uid, *uids})


def _has_new_uid(rules: PrivacyRules, session: SessionRecord, study_uid: str) -> bool:
    """Whether the UID of a session's study stands for another one.

    Where no hash of that is kept it is told by its form alone, and by what the session's objects say.
    """
    if session.study_key:
        return session.study_key not in rules.study_keys(study_uid)
    return uuid_version(study_uid.encode()) == _KEYED_VERSION


def _read_session(context: JobContext, session: SessionRecord, study_uid: str) -> set[str]:
    """The UIDs that de-identified objects of a session have: their own, and of one of each series all in its header.

    None where these are of another study than the session, which is from before the rules then.
    """
    uids: set[str] = set()
    firsts: dict[str, list[FileRow]] = {}
    with context.catalog.read() as connection:
        scans = {scan.n: scan.series_uid for scan in scans_of(connection, session.tree_id)}
        resources = resources_of(connection, session.tree_id)
        series = {row.n: scans[row.scan_n] for row in resources if row.scan_n is not None}
        for row in files_of(connection, session.tree_id):
            series_uid = series.get(row.resource_n)
            if row.rules is not None and row.sop_uid and series_uid:
                first = firsts.setdefault(series_uid, [])
                if len(first) < _TRIES:
                    first.append(row)
                uids.add(row.sop_uid)
        paths = file_paths(connection, session.tree_id, chain.from_iterable(firsts.values()))
        damaged = damaged_paths_of(connection, session.tree_id)
    named: set[str] = set()
    with open_stored_files(context.store, tree_path(session.parts)) as stored_files:
        for rows in firsts.values():
            for path in (paths[row.n] for row in rows if paths[row.n] not in damaged):
                context.check()
                with suppress(OSError), stored_files.open(path) as file:
                    named.update(uid.decode() for uid in _UID.findall(file.read(_HEAD)))
                    break
    if named and not session.study_key and study_uid not in named:
        return set()
    return {*uids, *firsts, *named}


def _take_keys(job: Job, rules: PrivacyRules, sessions: list[SessionRecord]) -> None:
    """Let a job be of the study that the stored objects were of, and of their patient where its objects name none else.

    By their own they would be another study and patient, which the session would be of as they join it.
    """
    base = job.base
    session = next((one for one in sessions if base is not None and one.uuid == base.uuid), sessions[0])
    if job.study_key:
        job.study_key = session.study_key
    stored_tokens = {rules.patient_token(session.patient_id), *rules.older_tokens(session.patient_id)}
    if stored_tokens.issuperset(job.patient_tokens):
        job.patient_key = session.patient_key if job.patient_key else ""
        job.patient_tokens = (session.patient_key,) if job.patient_key else ()
