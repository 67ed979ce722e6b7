"""Files that a project and a subject have of their own, by pyxnat, read back: prints it as one JSON object.

Arguments: the server's address, the project, a folder with two files and a zip of them, a folder to download into.
"""

import json
import pathlib
import sys

import pyxnat


def main(url, project, folder, into):
    server = pyxnat.Interface(server=url, user="admin", password="secret")
    one = server.select.project(project)
    one.subject("Own").create()
    seen = {
        name: toured(owner, pathlib.Path(folder), pathlib.Path(into) / name)
        for name, owner in (("project", one), ("subject", one.subject("Own")))
    }
    one.subject("Own").delete()
    seen["exists"] = one.subject("Own").exists()
    server.disconnect()
    print(json.dumps(seen))


def toured(owner, folder, into):
    """Insert a file, a text and a zip; read them, and take some away."""
    into.mkdir()
    one = owner.resource("ONE")
    first = min(folder.glob("*.txt"))
    one.file("sent.txt").insert(str(first), format="TXT", content="T")
    one.file("said.txt").put("said by hand\n")
    owner.resource("TWO").put_zip(str(next(folder.glob("*.zip"))), extract=True)
    seen = {
        "labels": sorted(res.label() for res in owner.resources()),
        "files": sorted(one.files().get()),
        "packed": sorted(owner.resource("TWO").files().get()),
        "exists": [one.exists(), owner.resource("NONE").exists(), one.file("sent.txt").exists()],
        "size": one.file("sent.txt").size(),
        "format": one.file("sent.txt").format(),
        "said": pathlib.Path(one.file("said.txt").get(str(into / "said.txt"))).read_text(),
        "zip": len(list(owner.resource("TWO").get(str(into), extract=True))),
    }
    one.file("sent.txt").delete()
    owner.resource("TWO").delete()
    left = {res.label(): sorted(res.files().get()) for res in owner.resources()}
    return {**seen, "left": left}


if __name__ == "__main__":
    main(*sys.argv[1:])
