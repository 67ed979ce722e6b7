"""A session that xnatpy imports, reviews in the prearchive, archives, browses, downloads and deletes."""

import hashlib
import inspect
from typing import Any

OPENED = 2
"""Files of each scan that are read one by one; all are read by the download of the session."""


def tour(session, archive, project, folder):
    seen: dict[str, Any] = {"projects": [one.id for one in session.projects.values()]}
    seen["waiting"] = wait_and_archive(session, str(archive), project)
    found = session.projects[project].experiments[seen["waiting"]["label"]]
    seen["session"] = look(found)
    seen["opened"], seen["listed"] = verified(found)
    seen["subjects"] = [one.label for one in session.projects[project].subjects.values()]
    found.download_dir(str(folder))
    seen["downloaded"] = digests(folder)
    first = next(iter(found.scans.values()))
    first.download(str(folder / "one.zip"))
    seen["zip"] = (folder / "one.zip").stat().st_size
    seen["scanners"] = session.scanners
    seen["table"] = [list(row) for row in found_table(session)]
    found.delete()
    session.clearcache()
    seen["left"] = [one.label for one in session.projects[project].experiments.values()]
    return seen


def wait_and_archive(session, archive, project):
    """Import into the prearchive, look at it there, and archive it."""
    waiting = session.services.import_(archive, project=project, destination="/prearchive", overwrite="append")
    seen = {
        "uri": waiting.uri,
        "label": waiting.label,
        "status": str(waiting.status),
        "scans": sorted(one.id for one in waiting.scans),
        "listed": [one.label for one in session.prearchive.sessions(project)],
        "dumped": dumped(waiting),
        "files": sum(len(list(res.files)) for one in waiting.scans for res in getattr(one, "resources", ())),
    }
    archived = waiting.archive(overwrite="append")
    seen["archived"] = archived.uri
    session.clearcache()
    return seen


def dumped(waiting):
    """An element of a scan that waits, where this version asks for it."""
    (scan, *_) = waiting.scans
    return [one["value"] for one in scan.dicom_dump(fields=["PatientID"])] if hasattr(scan, "dicom_dump") else None


def look(found):
    """What the session and its scans say."""
    return {
        "id": found.id,
        "label": found.label,
        "type": type(found).__name__,
        "date": str(found.date),
        "subject": found.subject.label if hasattr(found, "subject") else None,
        "scans": {
            one.id: {
                "type": one.type,
                "kind": type(one).__name__,
                "frames": one.frames,
                "quality": one.quality,
                "description": one.series_description,
                "resources": {res.label: [int(res.file_count), int(res.file_size)] for res in one.resources.values()},
            }
            for one in found.scans.values()
        },
    }


def verified(found):
    """MD5s of some files as they were read and as they are listed, and of all files as they are listed."""
    opened, listed = [], []
    for scan in found.scans.values():
        for res in scan.resources.values():
            for number, one in enumerate(res.files.values()):
                listed.append(one.digest)
                if number < OPENED:
                    with one.open() as stream:
                        opened.append([hashlib.md5(stream.read()).hexdigest(), one.digest])
    return opened, sorted(listed)


def digests(folder):
    return sorted(hashlib.md5(path.read_bytes()).hexdigest() for path in folder.rglob("*") if path.is_file())


def found_table(session):
    if "columns" not in inspect.signature(session.experiments.tabulate).parameters:
        return []
    return session.experiments.tabulate(columns=("ID", "label", "project"))
