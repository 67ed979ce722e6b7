"""Step 6, what goes with it: a session that was left in conflict, of which an import brings every file once more."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Final

from scandock.catalog.records import SessionRecord
from scandock.catalog.sessions import find_session, to_delete
from scandock.catalog.trees import NOTHING_SAID, files_of
from scandock.pipeline.job import Job, Tools
from scandock.placing.deletes import Removal
from scandock.rules.notices import notice
from scandock.store.paths import tree_path

_N: Final = 1_000_000
"""Removals are numbered beside the placements of an import, from here on."""


def settle_conflict(tools: Tools, job: Job) -> None:
    """Let a session go to the trash that waits for an answer which this import gives, where it brings all of it.

    By the right of whoever sent it to archive what waits. What it does not bring stays where it is, whole; what people
    said of it is such a thing.
    """
    known, decision = job.settled.settles, job.settled
    if known is None or not tools.may_archive(decision.project):
        return
    with tools.catalog.read() as connection:
        waiting = find_session(connection, known.uuid)
        if waiting is None or waiting.held[0] != known.held or waiting.timestamp != known.timestamp:
            return
        rows = list(files_of(connection, waiting.tree_id))
        row = to_delete(connection, waiting)
    inode = tools.store.current(tree_path(waiting.parts))
    if inode is None or not {one.sha256 for one in rows} <= _brought(tools, job):
        return
    if _is_said(tools, job, waiting) or row.edits or any(one.words != NOTHING_SAID for one in rows):
        return
    job.quarantined = waiting.quarantined
    job.removal = Removal(
        n=_N + job.n,
        uuid=waiting.uuid,
        name=tree_path(waiting.parts),
        inode=inode,
        tree_id=waiting.tree_id,
        project_id=waiting.project_id,
        trash=tools.store.new_trash_id(),
        keep=True,
        row=row,
    )
    _say(job, waiting)


def _brought(tools: Tools, job: Job) -> set[bytes]:
    """The contents of which the archived session has each one, or one that is no other object."""
    rows = tools.ledger.stream(
        "SELECT DISTINCT sha256 FROM entry WHERE job = ? AND verdict IN ('stored', 'duplicate', 'resource')", (job.n,)
    )
    return {bytes(sha256) for (sha256,) in rows}


def _is_said(tools: Tools, job: Job, waiting: SessionRecord) -> bool:
    """Whether people said something of what waits that the import neither says nor finds in the archive."""
    names = set(waiting.fields_by_hand) - set(tools.request.said)
    return any(job.attributes.get(name) != waiting.attributes.get(name) for name in names)


def _say(job: Job, waiting: SessionRecord) -> None:
    """The warning that it was left alone is no more true."""
    other = f"{waiting.timestamp}/{waiting.label}"
    left = notice("session_in_prearchive_left", other=other)
    said = tuple(one for one in job.settled.warnings if one != left)
    if job.base is not None:
        job.base = replace(job.base, warnings=[one for one in job.base.warnings if one != asdict(left)])
    job.decision = replace(job.settled, warnings=(*said, notice("conflict_settled", other=other)))
