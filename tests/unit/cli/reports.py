"""Reports as the engine makes them (design: fixed surface), for the tests of what the command line shows."""

from __future__ import annotations

from scandock.model.verdicts import EXIT_CODES, ImportState, Verdict


def session(label="MR_001", state="archive", **changes):
    """One session of a report; `path` and `uri` are null where it is refused, as the surface has it."""
    project, subject = changes.get("project", "BRAIN"), changes.get("subject", "DOE_JOHN")
    kept = state != "refused"
    scan = {
        "id": "1",
        "series_uid": "1.2.3",
        "modality": "MR",
        "type": "t1",
        "resources": [{"name": "DICOM", "files": 100, "bytes": 20_000_000}],
    }
    return {
        "uri": f"/data/archive/projects/{project}/subjects/{subject}/experiments/{label}" if kept else None,
        "path": f"{'archive' if state == 'archive' else 'prearchive'}/{project}/{label}" if kept else None,
        "project": project,
        "subject": subject,
        "label": label,
        "study_uid": "1.2",
        "state": state,
        "code": "",
        "message": "",
        "warnings": [],
        "files": 100 if kept else 0,
        "bytes": 20_000_000 if kept else 0,
        "scans": [scan] if kept else [],
    } | changes


def report(*sessions, state="placed", archive="exam.zip", entries=None, **changes):
    """One archive's object."""
    counts = {verdict.value: 0 for verdict in Verdict} | (entries or {})
    return {
        "upload": "0190",
        "archive": archive,
        "state": state,
        "code": "",
        "message": "",
        "warnings": [],
        "sessions": list(sessions),
        "entries": counts,
        "bytes": {"received": 333_000_000, "unpacked": 556_000_000, "stored": 550_000_000},
        "seconds": {"total": 3.21},
    } | changes


class FakeResult:
    """What the engine returns: a report, its state, and a receipt."""

    def __init__(self, report, lines=("first", "second")):
        self.report = report
        self.state = ImportState(report["state"])
        self._lines = lines

    @property
    def code(self):
        return EXIT_CODES[self.state]

    def write_receipt(self, fileobj, fmt="jsonl"):
        if fmt == "csv":
            fileobj.write("archive,path\r\n")
        for line in self._lines:
            fileobj.write(f"{self.report['archive']},{line}\r\n" if fmt == "csv" else f'{{"path": "{line}"}}\n')
