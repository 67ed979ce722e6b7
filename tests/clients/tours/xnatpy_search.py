"""What xnatpy finds by queries, and what it asks for to connect: run by its own Python, it prints one JSON object.

Arguments: the server's address, the project.
"""

import json
import sys
from unittest import mock
from urllib.parse import urlsplit

import requests
import xnat

asked: list[str] = []
send = requests.Session.send


def counted(self, request, **more):
    asked.append(urlsplit(request.url).path)
    return send(self, request, **more)


def main(url, project):
    counting = mock.patch.object(requests.Session, "send", counted)
    with counting, xnat.connect(url, user="admin", password="secret") as session:
        seen = {"asked": list(asked), "types": session.inspect.datatypes()}
        seen["fields"] = session.inspect.datafields("xnat:mrSessionData", "SUB*")
        kind = session.classes.MrSessionData
        here = kind.query().filter(kind.project == project)
        seen["all"] = names(here)
        seen["like"] = names(here.filter(kind.label.like("S%2")))
        seen["either"] = names(here.filter((kind.label == "S1") | (kind.label == "S3")))
        seen["subjects"] = subjects(session, project)
    print(json.dumps(seen))


def names(query):
    """Labels of sessions, or their ids where a version makes no objects of what it found."""
    return sorted(one["id"] if isinstance(one, dict) else one.label for one in query.all())


def subjects(session, project):
    kind = session.classes.SubjectData
    query = kind.query().filter(kind.project == project)
    return sorted(one["id"] if isinstance(one, dict) else one.label for one in query.all())


if __name__ == "__main__":
    main(*sys.argv[1:])
