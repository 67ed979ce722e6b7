"""A tour of a server by pyxnat: run by its own Python, it prints what it saw as one JSON object.

Arguments: the server's address, a zip with one session, the project, a folder to download into.
"""

import hashlib
import json
import pathlib
import sys

import pyxnat


def main(url, archive, project, folder):
    server = pyxnat.Interface(server=url, user="admin", password="secret")
    seen = {"version": server.version(), "projects": list(server.select.projects().get())}
    seen["import"] = send(server, archive, project)
    label = seen["import"].rstrip().rsplit("/", 1)[1]
    experiment = server.select.project(project).experiment(label)
    seen["exists"] = [experiment.exists(), server.select.project(project).experiment("not there").exists()]
    seen["id"], seen["label"] = experiment.id(), experiment.label()
    seen["subjects"] = server.select.project(project).subjects().get("label")
    seen["scans"] = sorted(experiment.scans().get())
    seen["files"] = read(experiment, pathlib.Path(folder))
    seen["xml"] = experiment.get()[:20].decode() if isinstance(experiment.get(), bytes) else str(experiment.get())[:60]
    seen["code"] = server.select.project(project).prearchive_code()
    seen["waiting"] = server.manage.prearchive(project).get() if hasattr(server.manage, "prearchive") else None
    experiment.delete()
    seen["left"] = server.select.project(project).experiments().get("label")
    server.disconnect()
    print(json.dumps(seen))


def send(server, archive, project):
    """The import service, as pyxnat's users call it."""
    answer = server.post(
        "/data/services/import",
        params={"dest": f"/archive/projects/{project}", "overwrite": "append"},
        data=pathlib.Path(archive).read_bytes(),
        headers={"Content-Type": "application/zip"},
    )
    assert answer.status_code == 200, answer.text
    return answer.text


def read(experiment, folder):
    """Name, size and MD5 of each file."""
    seen = []
    for scan in experiment.scans():
        for resource in scan.resources():
            for one in resource.files():
                where = one.get(str(folder / one.label()))
                seen.append([one.label(), int(one.size()), hashlib.md5(pathlib.Path(where).read_bytes()).hexdigest()])
    return seen


if __name__ == "__main__":
    main(*sys.argv[1:])
