"""A session that pyxnat imports, reads, reviews in the prearchive and deletes, and one that it makes by hand."""

import hashlib
import pathlib

OPENED = 2
"""Files of each scan that are read one by one."""


def tour(server, archive, project, sent, folder):
    seen = {"version": server.version(), "projects": list(server.select.projects().get())}
    seen["import"] = send(server, archive, project)
    label = seen["import"].rstrip().rsplit("/", 1)[1]
    experiment = server.select.project(project).experiment(label)
    seen["exists"] = [experiment.exists(), server.select.project(project).experiment("not there").exists()]
    seen["id"], seen["label"] = experiment.id(), experiment.label()
    seen["subjects"] = [one.label() for one in server.select.project(project).subjects()]
    seen["scans"] = sorted(experiment.scans().get())
    seen["files"], seen["opened"] = read(experiment, folder)
    seen["date"] = experiment.attrs.get("xnat:mrSessionData/date")
    seen["modified"] = server.select.project(project).last_modified()
    seen["members"] = [server.select.project(project).users(), server.manage.users()]
    seen["code"] = server.select.project(project).prearchive_code()
    seen["waiting"] = waiting(server, archive, project)
    seen["made"] = by_hand(server, project, sent / "notes.txt", folder)
    seen["said"] = said(server.select.project(project).subject("Hand"))
    experiment.delete()
    seen["left"] = [one.label() for one in server.select.project(project).experiments()]
    return seen


def send(server, archive, project, dest="archive"):
    """The import service, as pyxnat's users call it."""
    answer = server.post(
        "/data/services/import",
        params={"dest": f"/{dest}/projects/{project}", "overwrite": "append"},
        data=pathlib.Path(archive).read_bytes(),
        headers={"Content-Type": "application/zip"},
    )
    assert answer.status_code == 200, answer.text
    return answer.text


def waiting(server, archive, project):
    """What waits, looked at, read anew, and deleted."""
    send(server, archive, project, "prearchive")
    shelf = server.manage.prearchive
    (triple,) = [one for one in shelf.get() if one[0] == project]
    scans = shelf.get_scans(triple)
    files = [
        name
        for scan in scans
        for resource in many(shelf.get_resources(triple, scan))
        for name in shelf.get_files(triple, scan, resource)
    ]
    shelf.reset(triple)
    shelf.delete(shelf.get_uri(triple))
    return {"scans": sorted(scans), "files": len(files), "left": len(shelf.get())}


def many(found):
    """pyxnat gives a single value by itself."""
    return [found] if isinstance(found, str) else found


def by_hand(server, project, source, folder):
    """A subject, an experiment, a scan and a resource with a file, made and read back."""
    experiment = server.select.project(project).subject("Hand").experiment("Hand_MR1")
    experiment.create(experiments="xnat:mrSessionData")
    scan = experiment.scan("7")
    scan.create(scans="xnat:mrScanData")
    one = scan.resource("NOTES").file("notes.txt")
    one.put(str(source), format="TXT", content="notes", overwrite=False)
    back = pathlib.Path(one.get(str(folder / "back.txt")))
    return {"scans": experiment.scans().get(), "text": back.read_text(), "size": int(one.size())}


def said(subject):
    """What is said of a subject, by names and by a path, read back."""
    typed = "xnat:subjectData/demographics[@xsi:type=xnat:demographicData]"
    subject.attrs.set("gender", "M")
    subject.attrs.mset({f"{typed}/age": "34", "xnat:subjectData/group": "a control"})
    seen = [subject.attrs.get(one) for one in ("gender", "age", f"{typed}/age", "xnat:subjectData/group", "yob")]
    return [*seen, subject.attrs.mget(["gender", "age"])]


def read(experiment, folder):
    """How many files there are, and sizes and MD5s of some."""
    count, opened = 0, []
    for scan in experiment.scans():
        for resource in scan.resources():
            files = list(resource.files())
            count += len(files)
            for one in files[:OPENED]:
                where = pathlib.Path(one.get(str(folder / one.label())))
                opened.append([int(one.size()), hashlib.md5(where.read_bytes()).hexdigest()])
    return count, opened
