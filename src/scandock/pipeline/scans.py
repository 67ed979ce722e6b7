"""Step 5: every series and ECAT file of a job gets its scan, with an id that never changes again."""

from __future__ import annotations

from scandock.catalog.trees import ScanRow
from scandock.model.series import SeriesTally
from scandock.pipeline.job import Job
from scandock.pipeline.ledger import NO_OBJECT, Ledger
from scandock.rules.scan_ids import EcatScan, assign_ecat_scan_ids, assign_scan_ids, new_series
from scandock.rules.session_types import ECAT_SCAN


def assign_scans(ledger: Ledger, job: Job) -> None:
    """Fill `job.scans` and `job.scan_of` for what is new to the session; scans that are there keep their ids."""
    existing = {scan.series_uid: scan.scan_id for scan in job.scans if scan.series_uid}
    ecat_ids = {scan.scan_id for scan in job.scans if scan.series_uid is None}
    live = {
        uid
        for (uid,) in ledger.rows(
            "SELECT DISTINCT series FROM entry WHERE job = ? AND content = 'dicom' AND verdict IN ('', 'conflict')",
            (job.n,),
        )
    }
    tallies = {tally.series_uid: tally for tally in job.tallies if tally.series_uid in live}
    kept = _find_kept_ids(ledger, job) if job.keeps_scan_ids and job.base is None else {}
    others = [new_series(tally) for uid, tally in tallies.items() if uid not in kept]
    ids = {**kept, **assign_scan_ids(others, {**existing, **kept}, ecat_ids)}
    by_series = {scan.series_uid: scan for scan in job.scans if scan.series_uid}
    for uid, tally in sorted(tallies.items()):
        scan = by_series.get(uid)
        if scan is None:
            scan = ScanRow(_next(job), ids[uid], uid, facts=tally)
            job.scans.append(scan)
        elif isinstance(scan.facts, SeriesTally):
            scan.facts.merge(tally)
        job.scan_of[uid] = scan
    _assign_ecat_scans(ledger, job)


def _find_kept_ids(ledger: Ledger, job: Job) -> dict[str, str]:
    """The scan of each series that has one to itself in the session that moves, by series UID."""
    rows = ledger.rows(
        "SELECT m.scan, MIN(e.series) FROM entry e JOIN moved_file m ON m.ordinal = e.ordinal WHERE e.job = ?"
        " AND e.content = 'dicom' AND e.verdict IN ('', 'conflict') AND m.scan IS NOT NULL"
        " GROUP BY m.scan HAVING COUNT(DISTINCT e.series) = 1",
        (job.n,),
    )
    scans: dict[str, list[str]] = {}
    for scan_id, series in rows:
        scans.setdefault(series, []).append(scan_id)
    return {series: ids[0] for series, ids in scans.items() if len(ids) == 1}


def _assign_ecat_scans(ledger: Ledger, job: Job) -> None:
    fresh = {
        sha.hex()
        for (sha,) in ledger.rows(
            f"SELECT sha256 FROM entry WHERE job = ? AND content = 'ecat' AND {NO_OBJECT} AND verdict = ''", (job.n,)
        )
    }
    files = {entry.sha256.hex(): entry for entry in job.ecat if entry.sha256.hex() in fresh}
    if not files:
        return
    names = ledger.names
    scans = [
        EcatScan(sha256=sha, scan_folder=names.folder(e.scan_folder), start=e.facts.scan_start_time, path=e.path)
        for sha, e in files.items()
    ]
    used_ids = [scan.scan_id for scan in job.scans if scan.series_uid is not None]
    by_id = {scan.scan_id: scan for scan in job.scans if scan.series_uid is None}
    for sha, scan_id in assign_ecat_scan_ids(scans, ecat_scan_ids(ledger, job), used_ids).items():
        scan = by_id.get(scan_id)
        if scan is None:
            scan = by_id[scan_id] = ScanRow(_next(job), scan_id, None, xsi_type=ECAT_SCAN, facts=[])
            job.scans.append(scan)
        if isinstance(scan.facts, list):
            scan.facts.append(files[sha].facts)
        job.scan_of[sha] = scan


def ecat_scan_ids(ledger: Ledger, job: Job) -> dict[str, str]:
    """The scan of each ECAT file that the joined session has, by the file's sha256."""
    by_n = {scan.n: scan.scan_id for scan in job.scans}
    resources = {r.n: by_n[r.scan_n] for r in job.base_resources if r.label == "ECAT" and r.scan_n is not None}
    return {
        sha.hex(): resources[resource_n]
        for sha, resource_n in ledger.rows("SELECT sha256, resource_n FROM base WHERE job = ?", (job.n,))
        if resource_n in resources
    }


def _next(job: Job) -> int:
    return max((scan.n for scan in job.scans), default=-1) + 1
