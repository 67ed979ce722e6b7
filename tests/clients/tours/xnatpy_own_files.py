"""Files that a project and a subject have of their own, by xnatpy, read back."""

import hashlib


def tour(session, project, folder, into):
    session.classes.SubjectData(parent=session.projects[project], label="Own")
    session.clearcache()
    owners = {
        "project": lambda: session.projects[project],
        "subject": lambda: session.projects[project].subjects["Own"],
    }
    seen = {name: toured(session, owner, folder, into / name) for name, owner in owners.items()}
    seen["sessions"] = len(session.projects[project].experiments)
    owners["subject"]().delete()
    session.clearcache()
    seen["left"] = [one.label for one in session.projects[project].subjects.values()]
    return seen


def toured(session, owner, folder, into):
    """Make three resources, fill two, read them, and take the third away.

    Version 0.8.1 lists the files of whatever it has uploaded to, also of what it has just deleted.
    """
    into.mkdir()
    resource = owner().create_resource("ONE")
    for path in sorted(folder.iterdir()):
        resource.upload(str(path), path.name)
    other = owner().create_resource("TWO")
    if hasattr(other, "upload_dir"):
        other.upload_dir(str(folder))
    owner().create_resource("THREE")
    session.clearcache()
    found = owner().resources["ONE"]
    seen = {
        "labels": sorted(one.label for one in owner().resources.values()),
        "files": {one.path: one.digest for one in found.files.values()},
        "all": len(owner().files) if hasattr(owner(), "files") else None,
        "packed": len(session.get_json(f"{owner().resources['TWO'].uri}/files")["ResultSet"]["Result"]),
    }
    found.files[0].download(str(into / "one"))
    found.download(str(into / "all.zip"))
    found.download_dir(str(into))
    read = [into / "one", *into.rglob("files/*")]
    seen["read"] = sorted(hashlib.md5(one.read_bytes()).hexdigest() for one in read)
    seen["zip"] = (into / "all.zip").stat().st_size
    found.files[0].delete()
    owner().resources["THREE"].delete()
    session.clearcache()
    return {**seen, "left": {one.label: len(one.files) for one in owner().resources.values()}}
