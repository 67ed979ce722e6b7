"""Step 4, first half: from entries and tallies to studies, each with all that is known of it."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import tzinfo

from scandock.catalog.trees import ecat_facts
from scandock.model.entry import Content
from scandock.model.series import EcatFacts
from scandock.pipeline.duplicates import Clashes
from scandock.pipeline.job import EcatEntry, Job
from scandock.pipeline.ledger import NO_OBJECT, Ledger
from scandock.pipeline.tallies import Tallies
from scandock.rules.ecat_groups import EcatFile, group_ecat
from scandock.rules.loose_files import FolderIndex, split_levels
from scandock.rules.study import StudyFacts


def collect_jobs(
    ledger: Ledger, tallies: Tallies, clashes: dict[str, Clashes], zone: tzinfo, placeholders: tuple[str, ...]
) -> list[Job]:
    """One job for each DICOM study and each ECAT session of the upload, in a fixed order."""
    series = tallies.studies()
    folders: dict[str, Counter[str]] = defaultdict(Counter)
    session_folders: dict[str, Counter[str]] = defaultdict(Counter)
    for study, folder, session_folder, count in ledger.rows(
        "SELECT study, folder, session_folder, COUNT(*) FROM entry WHERE content = ? AND verdict <> 'refused'"
        " GROUP BY study, folder, session_folder",
        (Content.DICOM,),
    ):
        folders[study][folder] += count
        if session_folder:
            session_folders[study][session_folder] += count
    studies = [
        StudyFacts(
            key=uid,
            study_uid=uid,
            series=tuple(series[uid]),
            session_folders=dict(session_folders[uid]),
            folders=frozenset(folders[uid]),
        )
        for uid in sorted(folders)
    ]
    files = _collect_ecat(ledger)
    grouping = group_ecat(
        [EcatFile(path=f.path, folder=f.session_folder, sha256=f.sha256, facts=f.facts) for f in files],
        studies,
        zone,
        placeholders,
        ledger.names.folder,
    )
    jobs: list[Job] = []
    for study in sorted(grouping.studies, key=lambda study: study.key):
        jobs.append(
            Job(
                n=len(jobs),
                study=study,
                ecat=[file for file in files if grouping.keys[file.path] == study.key],
                clashes=clashes.get(study.study_uid or "", Clashes()),
                warnings=list(grouping.warnings.get(study.key, ())),
            )
        )
    _assign_jobs(ledger, jobs)
    return jobs


def _collect_ecat(ledger: Ledger) -> list[EcatEntry]:
    """The ECAT files that are kept; the same bytes again in one session folder are duplicates of the first."""
    files: list[EcatEntry] = []
    originals: dict[tuple[bytes, str], bytes] = {}
    repeats: list[tuple[bytes, bytes]] = []
    for number, path, sha256, session_folder, scan_folder, facts in ledger.rows(
        "SELECT ordinal, path, sha256, session_folder, scan_folder, facts FROM entry"
        f" WHERE content = 'ecat' AND {NO_OBJECT} AND verdict = '' ORDER BY ordinal"
    ):
        original = originals.setdefault((sha256, session_folder), number)
        if original != number:
            repeats.append((original, number))
            continue
        files.append(EcatEntry(number, path, sha256, session_folder, scan_folder, read_ecat_facts(ledger, facts)))
    ledger.many("UPDATE entry SET verdict = 'duplicate', code = 'same_bytes', original = ? WHERE ordinal = ?", repeats)
    return files


def read_ecat_facts(ledger: Ledger, text: str) -> EcatFacts:
    """What a header of ECAT says, with what may be shown of the name that the file had once."""
    facts = ecat_facts(json.loads(text))
    return facts._replace(original_file_name=ledger.names.folder(facts.original_file_name))


def _assign_jobs(ledger: Ledger, jobs: list[Job]) -> None:
    """Note in the ledger which job each image belongs to."""
    for job in jobs:
        if job.study.study_uid is not None:
            ledger.run(
                "UPDATE entry SET job = ? WHERE study = ? AND content = ?", (job.n, job.study.study_uid, Content.DICOM)
            )
        ledger.many("UPDATE entry SET job = ? WHERE ordinal = ?", [(job.n, entry.ordinal) for entry in job.ecat])


def index_folders(ledger: Ledger, jobs: Sequence[Job]) -> list[FolderIndex]:
    """The folders that hold images, for the files that are none.

    Where PET and MR of a study are separated a second index has these as one job, that of the MR: what lies beside
    images of both goes there.
    """
    of_mr = {job.study.study_uid: job.n for job in jobs if job.study.side == "MR"}
    joined = {
        job.n: of_mr[job.study.study_uid] for job in jobs if job.study.side == "PET" and job.study.study_uid in of_mr
    }
    return [_index_folders(ledger, {}), *([_index_folders(ledger, joined)] if joined else [])]


def _index_folders(ledger: Ledger, joined: Mapping[int, int]) -> FolderIndex:
    index = FolderIndex()
    keys = {}
    # what filters and scripts have left out of a series that was de-identified still has its old UID
    renamed = dict(ledger.rows("SELECT DISTINCT own_series, series FROM entry WHERE own_series <> series"))
    for folder, levels, job, series in ledger.rows(
        "SELECT folder, LENGTH(ordinal) / 4, job, CASE WHEN content = 'ecat' THEN LOWER(HEX(sha256)) ELSE series"
        " END AS scan FROM entry WHERE job IS NOT NULL"
        " AND (verdict <> 'refused' OR code IN ('deid_failed', 'session_refused'))"  # those are nobody else's
        " GROUP BY folder, LENGTH(ordinal), job, scan ORDER BY MIN(ordinal)"
    ):
        keys[job] = str(joined.get(job, job))
        index.add_image(split_levels(folder + "x", levels), keys[job], renamed.get(series, series))
    return index
