"""All tours of xnatpy in one process, by one login and one as a guest: prints what they saw as one JSON object.

Run by the Python of a client's environment, whatever its version of xnatpy. Arguments: the server's address, the
administrator's password, the archive of a session, the folder of what else is sent, a folder to download into.
"""

import json
import pathlib
import sys
from unittest import mock
from urllib.parse import urlsplit

import requests
import xnat
import xnatpy_importing
import xnatpy_making
import xnatpy_own_files
import xnatpy_search

asked: list[str] = []
send = requests.Session.send


def counted(self, request, **more):
    asked.append(urlsplit(request.url).path)
    return send(self, request, **more)


def main(url, password, archive, sent, into):
    sent, into = pathlib.Path(sent), pathlib.Path(into)
    with mock.patch.object(requests.Session, "send", counted):
        session = xnat.connect(url, user="admin", password=password)
    seen = {"version": xnat.__version__, "asked": asked}
    with session:
        seen["imported"] = xnatpy_importing.tour(session, archive, "TOUR", folder(into / "session"))
        seen["made"] = xnatpy_making.tour(session, "MADE", sent / "images")
        seen["own files"] = xnatpy_own_files.tour(session, "OWN", sent / "own", folder(into / "own"))
        session.clearcache()
        seen["found"] = xnatpy_search.tour(session, "SEARCHED")
    with xnat.connect(url) as session:
        seen["guest"] = looked(session)
    print(json.dumps(seen))


def folder(path):
    path.mkdir()
    return path


def looked(session):
    """What is shown to who has no name on the server."""
    found = session.projects["PUBLIC"].experiments
    return {
        "user": session.logged_in_user,
        "sessions": {one.label: len(one.scans) for one in found.values()},
        "projects": [one.id for one in session.projects.values()],
    }


if __name__ == "__main__":
    main(*sys.argv[1:])
