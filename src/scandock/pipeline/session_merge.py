"""A session that stands joins another one: its files go through the very steps that an archive's entries do.

Its tree is read into a ledger as if it had just come as a zip in the documented layout; comparing, arranging and
writing are those of imports (`duplicates.py`, `tree_arranger.py`, `session_trees.py`). Nothing is shown here: the
caller records what comes of it, or only looks at it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import groupby
from operator import itemgetter
from typing import Any, Literal

from scandock.catalog.file_rows import NO_ANNOTATIONS, FileAnnotations, FileRow
from scandock.catalog.records import SessionRecord
from scandock.catalog.trees import ResourceRow, ScanRow, files_of, resources_of, scans_of
from scandock.formats.dicom_header import Unparseable, read_header
from scandock.model.dataclass import dataclass
from scandock.model.entry import Content, Entry, ordinal
from scandock.model.series import EcatFacts, SeriesTally
from scandock.pipeline.duplicates import Clashes, compare_with_base
from scandock.pipeline.job import EcatEntry, Job, JobContext
from scandock.pipeline.known_entries import find_known, mark_known, note_old_origins
from scandock.pipeline.plan import find_ecat_duplicates, find_policy, load_base, read_policies
from scandock.pipeline.session_trees import build_job_trees, plan_tree, plan_trees
from scandock.pipeline.tree_arranger import TreeArranger
from scandock.rules.decisions import Decision
from scandock.rules.notices import Notice
from scandock.rules.petmr import Side
from scandock.rules.study import StudyFacts
from scandock.store.paths import (
    ECAT,
    IMAGES,
    LOOSE,
    RelPath,
    image_folder,
    path_below,
    resource_folder,
    tree_path,
    uid_key,
    unchecked_path,
)

KeepChoice = Literal["ask", "old", "new", "both"]
"""Which of two objects with one SOP UID and other content is kept; `ask` leaves them, and tells how many clash."""

_META = 128 * 1024


@dataclass(frozen=True, slots=True)
class MergeResult:
    """What a merge would do: the job with its placement (None: nothing is new), and how the objects compare."""

    job: Job
    new: int
    duplicates: int
    clashes: int
    replaced: int
    replacing: int = 0
    """Files of what comes that take the place of `replaced` ones."""
    undecided: bool = False
    """Objects clash, and nobody has said which to keep: nothing was prepared."""


@dataclass(frozen=True, slots=True)
class _Tree:
    """What stands at the source, by the numbers of its rows."""

    scans: dict[int, ScanRow]
    resources: dict[int, ResourceRow]

    def folder(self, resource: ResourceRow) -> RelPath:
        scan = self.scans.get(resource.scan_n) if resource.scan_n is not None else None
        return resource_folder(scan.scan_id if scan is not None else None, resource.label)

    def series(self, resource: ResourceRow) -> ScanRow | None:
        """The scan of a resource that holds DICOM images or ECAT."""
        scan = self.scans.get(resource.scan_n) if resource.scan_n is not None else None
        if scan is None:
            return None
        labels = ("DICOM", "secondary") if scan.series_uid is not None else ("ECAT",)
        return scan if resource.label in labels else None


def merge_sessions(
    context: JobContext,
    source: SessionRecord,
    target: SessionRecord,
    overwrite: Literal["append", "delete"],
    keep: KeepChoice,
    *,
    dry_run: bool = False,
) -> MergeResult:
    """Prepare in the stage the tree that `target` has once `source` has joined it; only plan it with `dry_run`.

    With `ask` and clashes nothing is prepared, unless `delete` replaces the target's. `delete` goes for resource files
    too, `new` for objects alone.
    """
    job = _read_source(context, source)
    job.decision = Decision(
        study_key=job.study.key,
        study_uid=source.study_uid or target.study_uid,
        project=target.project,
        subject=target.subject,
        label=target.label,
        place="archive",
        side=_merged_side(source, target),
        existing=target.uuid,
        archived=target.uuid,
        warnings=tuple(dict.fromkeys(Notice(**row) for row in (*target.warnings, *source.warnings))),
        overwrite=overwrite,
        patient_id=target.patient_id or source.patient_id,
    )
    with context.catalog.read() as connection:
        job.project_id, job.policy = find_policy(read_policies(connection, context.site.petmr), target.project)
        load_base(context, connection, job)
    context.check()
    inner, outer = _compare(context, job, overwrite, keep)
    clashes = inner + outer
    if keep == "ask" and (inner or (outer and overwrite != "delete")):
        return MergeResult(job, 0, len(job.duplicates), clashes, 0, undecided=True)
    plan_trees(context, [job])
    if not dry_run:
        build_job_trees(context, [job])
    placed = context.ledger.rows("SELECT COUNT(*) FROM entry WHERE verdict IN ('stored', 'conflict', 'resource')")[0][0]
    repeats = context.ledger.rows("SELECT COUNT(*) FROM entry WHERE verdict = 'duplicate'")[0][0]
    replacing = len({number for number, _ in job.replaced})
    return MergeResult(job, placed, repeats, clashes, len(job.replaced), replacing)


def _merged_side(source: SessionRecord, target: SessionRecord) -> Side:
    """The side of a session that another one joins; one without a study has none yet."""
    return source.side if target.study_uid is None else target.side


def keep_one_version(context: JobContext, source: SessionRecord, keep: Literal["old", "new"]) -> Job:
    """Prepare a session's own tree with one object for each SOP UID: the one that came first, or last.

    The others are dropped from it; the tree that stands goes to the trash whole.
    """
    job = _read_source(context, source)
    job.decision = Decision(
        study_key=job.study.key,
        study_uid=source.study_uid,
        project=source.project,
        subject=source.subject,
        label=source.label,
        place="prearchive" if source.place == "prearchive" else "archive",
        side=source.side,
        existing=source.uuid,
        timestamp=source.timestamp or None,
        warnings=tuple(Notice(**row) for row in source.warnings),
        patient_id=source.patient_id,
    )
    context.ledger.run("DELETE FROM entry")
    context.stage.remove(IMAGES)
    with context.catalog.read() as connection:
        job.project_id, job.policy = find_policy(read_policies(connection, context.site.petmr), source.project)
        load_base(context, connection, job)
    job.replaced = [(b"", n) for n in _find_discarded(context, _IN_BASE, keep)]
    arranger = TreeArranger(context.ledger, context.stage, job)
    arranger.begin()
    arranger.start()
    plan_tree(context, job, arranger)
    build_job_trees(context, [job])
    return job


_IN_BASE = (
    "SELECT n, sop FROM base WHERE sop IN (SELECT sop FROM base WHERE sop <> '' GROUP BY sop HAVING COUNT(*) > 1)"
    " ORDER BY sop, n"
)
_INCOMING = (
    "SELECT ordinal, sop FROM entry WHERE sop IN (SELECT sop FROM entry WHERE sop <> '' GROUP BY sop"
    " HAVING COUNT(*) > 1) ORDER BY sop, ordinal"
)


def _find_discarded(context: JobContext, query: str, keep: KeepChoice) -> list[Any]:
    """Of objects with one SOP UID all but the first, or the last, that came."""
    lost: list[Any] = []
    for _, group in groupby(context.ledger.rows(query), itemgetter(1)):
        numbers = [number for number, _ in group]
        lost += numbers[1:] if keep == "old" else numbers[:-1]
    return lost


# -- the source, as entries --------------------------------------------------------------------------------------------


def _read_source(context: JobContext, source: SessionRecord) -> Job:
    """Fill the ledger with the source's files, and the stage with links to them; gives its job."""
    with context.catalog.read() as connection:
        tree = _Tree(
            {scan.n: scan for scan in scans_of(connection, source.tree_id)},
            {resource.n: resource for resource in resources_of(connection, source.tree_id)},
        )
        files = list(files_of(connection, source.tree_id))
    ecat: list[EcatEntry] = []
    spare = {scan.n: list(scan.facts) for scan in tree.scans.values() if isinstance(scan.facts, list)}
    entries = [_entry(tree, source, row, ecat, spare) for row in files]
    words = {entry.ordinal: _words(tree, row) for row, entry in zip(files, entries, strict=True)}
    words = {number: file_words for number, file_words in words.items() if file_words != NO_ANNOTATIONS}
    context.ledger.add(entries)
    context.ledger.many(
        "UPDATE entry SET origin = ?, rules = ? WHERE ordinal = ?",
        ((row.origin, row.rules, entry.ordinal) for row, entry in zip(files, entries, strict=True) if row.origin),
    )
    context.ledger.index()
    context.stage.adopt(tree_path(source.parts), _pairs(tree, files, entries))
    tallies = [scan.facts for scan in tree.scans.values() if isinstance(scan.facts, SeriesTally)]
    context.ledger.run("UPDATE entry SET job = 0 WHERE content IN ('dicom', 'ecat')")
    return Job(
        n=0,
        study=StudyFacts(
            key=source.study_uid or source.uuid,
            study_uid=source.study_uid,
            series=tuple(tallies),
            ecat=tuple(ecat_entry.facts for ecat_entry in ecat),
            session_folders={source.label: len(files)},
        ),
        ecat=ecat,
        clashes=Clashes(),
        words=words,
        study_key=source.study_key,
        patient_key=source.patient_key,
        patient_tokens=(source.patient_key,) if source.patient_key else (),
    )


def _words(tree: _Tree, row: FileRow) -> FileAnnotations:
    """What people said of a file, or of its resource: in the session that it joins that may be called otherwise."""
    resource = tree.resources[row.resource_n]
    if tree.series(resource) is not None:  # whose words are the same everywhere
        return row.words
    content = resource.content if resource.content != resource.label else ""
    return row.content or content or None, row.format or resource.format or None, row.tags or resource.tags or None


def _pairs(tree: _Tree, files: list[FileRow], entries: list[Entry]) -> Iterator[tuple[RelPath, RelPath]]:
    for row, entry in zip(files, entries, strict=True):
        yield path_below(tree.folder(tree.resources[row.resource_n]), row.name), unchecked_path(entry.staged)


def _entry(
    tree: _Tree, source: SessionRecord, row: FileRow, ecat: list[EcatEntry], spare: dict[int, list[EcatFacts]]
) -> Entry:
    """One file of the source as the reading of an archive would have told it."""
    resource = tree.resources[row.resource_n]
    path = f"{source.label}/{path_below(tree.folder(resource), row.name)}"
    folder = path.rpartition("/")[0] + "/"
    number = ordinal(b"", row.n)
    scan = tree.series(resource)
    common = (number, path, row.bytes, row.sha256)
    where = (folder, source.label, scan.scan_id if scan is not None else "", resource.label)
    if scan is not None and scan.series_uid is not None and row.sop_uid is not None:
        kind = "D" if resource.label == "DICOM" else "S"
        study = source.study_uid or ""
        staged = path_below(image_folder(uid_key(study), uid_key(scan.series_uid), kind), row.name)
        return Entry(
            *common, Content.DICOM, staged, "", "", *where, study, scan.series_uid, row.sop_uid, "", row.frames,
            row.dataset_at,
        )  # fmt: skip
    if scan is not None and scan.series_uid is None and spare.get(scan.n):
        facts = spare[scan.n].pop(0)
        ecat.append(EcatEntry(number, path, row.sha256, source.label, scan.scan_id, facts))
        return Entry(*common, Content.ECAT, path_below(ECAT, str(row.n)), "", "", *where, frames=row.frames)
    return Entry(*common, Content.LOOSE, path_below(LOOSE, str(row.n)), "", "", *where)


# -- against the target ------------------------------------------------------------------------------------------------


def _compare(context: JobContext, job: Job, overwrite: str, keep: KeepChoice) -> tuple[int, int]:
    """Find duplicates and clashes, and settle them as `keep` says.

    Gives how many SOP UIDs clash within what comes, and with the target.
    """
    ledger = context.ledger
    assert job.base is not None
    _read_syntaxes(context)
    rules = context.privacy_of(job.final_decision.project)
    with context.store.snapshot(job.name) as snapshot:
        if rules is not None:
            note_old_origins(ledger, job, rules, context.stage, snapshot.open)
        if ledger.rows("SELECT 1 FROM entry WHERE origin IS NOT NULL LIMIT 1"):
            mark_known(ledger, job, scrubbed=True)
        job.duplicates, clashes = compare_with_base(ledger, job.n, context.stage, snapshot.open)
    job.duplicates += find_known(ledger, job)
    job.duplicates += find_ecat_duplicates(context, job)
    inner = ledger.rows(
        "SELECT COUNT(*) FROM (SELECT 1 FROM entry WHERE content = 'dicom' GROUP BY sop HAVING COUNT(*) > 1)"
    )[0][0]
    if keep == "new":
        _drop(context, job, _find_discarded(context, _INCOMING, keep))
        remaining = {number for (number,) in ledger.rows("SELECT ordinal FROM entry")}
        job.replaced = [(number, n) for number, n in clashes.base if number in remaining]
    elif keep == "old":
        losers = _find_discarded(context, _INCOMING, keep)
        _drop(context, job, [*losers, *{number for number, _ in clashes.base}])
    elif keep == "ask" and overwrite == "delete":
        job.replaced = clashes.base
    return int(inner), len(clashes.sops)


def _drop(context: JobContext, job: Job, numbers: Collection[bytes]) -> None:
    """Leave entries out of the merge: another one with their SOP UID is kept."""
    for number in numbers:
        for (staged,) in context.ledger.rows("SELECT staged FROM entry WHERE ordinal = ?", (number,)):
            context.stage.remove(staged)
        context.ledger.run("DELETE FROM entry WHERE ordinal = ?", (number,))
    gone = set(numbers)
    job.duplicates = [(number, n) for number, n in job.duplicates if number not in gone]


def _read_syntaxes(context: JobContext) -> None:
    """Note the transfer syntax of objects that the target has with other bytes: the catalog does not keep it."""
    differing = context.ledger.rows(
        "SELECT DISTINCT e.ordinal, e.staged FROM entry e JOIN base b ON b.sop = e.sop AND b.sha256 <> e.sha256"
        " WHERE e.content = 'dicom'"
    )
    for number, staged in differing:
        head = context.stage.read_at(staged, 0, _META)
        try:
            syntax = read_header(head, len(head), frozenset(), None).transfer_syntax
        except Unparseable:
            syntax = ""
        context.ledger.run("UPDATE entry SET syntax = ? WHERE ordinal = ?", (syntax, number))
