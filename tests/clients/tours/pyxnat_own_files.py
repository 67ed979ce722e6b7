"""Files that a project and a subject have of their own, by pyxnat, read back."""

import pathlib


def tour(server, project, folder, archive, into):
    one = server.select.project(project)
    one.subject("Own").create()
    seen = {
        name: toured(owner, folder, archive, into / name)
        for name, owner in (("project", one), ("subject", one.subject("Own")))
    }
    one.subject("Own").delete()
    seen["exists"] = one.subject("Own").exists()
    return seen


def toured(owner, folder, archive, into):
    """Insert a file, a text and a zip; read them, and take some away."""
    into.mkdir()
    one = owner.resource("ONE")
    first = min(folder.glob("*.txt"))
    one.file("sent.txt").insert(str(first), format="TXT", content="T")
    one.file("said.txt").put("said by hand\n")
    owner.resource("TWO").put_zip(str(archive), extract=True)
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
