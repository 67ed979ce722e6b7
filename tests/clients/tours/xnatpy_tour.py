"""A tour of a server by xnatpy, whatever its version: run by its own Python, it prints what it saw as one JSON object.

Arguments: the server's address, a zip with one session, the project, a folder to download into.
"""

import hashlib
import inspect
import json
import pathlib
import sys

import xnat


def main(url, archive, project, folder):
    seen = {"version": xnat.__version__}
    with xnat.connect(url, user="admin", password="secret") as session:
        seen["projects"] = [one.id for one in session.projects.values()]
        seen["waiting"] = wait_and_archive(session, archive, project)
        found = session.projects[project].experiments[seen["waiting"]["label"]]
        seen["session"] = look(found)
        seen["files"] = verified(found)
        seen["subjects"] = [one.label for one in session.projects[project].subjects.values()]
        found.download_dir(folder)
        seen["downloaded"] = digests(pathlib.Path(folder))
        first = next(iter(found.scans.values()))
        first.download(str(pathlib.Path(folder) / "one.zip"))
        seen["zip"] = (pathlib.Path(folder) / "one.zip").stat().st_size
        seen["scanners"] = session.scanners
        seen["table"] = [list(row) for row in found_table(session)]
        found.delete()
        session.clearcache()
        seen["left"] = [one.label for one in session.projects[project].experiments.values()]
    print(json.dumps(seen))


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
    """Name and MD5 of each file, of the bytes that were read and of what the listing says."""
    seen = []
    for scan in found.scans.values():
        for res in scan.resources.values():
            for one in res.files.values():
                with one.open() as stream:
                    read = hashlib.md5(stream.read()).hexdigest()
                seen.append([one.path, read, one.digest])
    return seen


def digests(folder):
    return sorted(hashlib.md5(path.read_bytes()).hexdigest() for path in folder.rglob("*") if path.is_file())


def found_table(session):
    if "columns" not in inspect.signature(session.experiments.tabulate).parameters:
        return []
    return session.experiments.tabulate(columns=("ID", "label", "project"))


if __name__ == "__main__":
    main(*sys.argv[1:])
