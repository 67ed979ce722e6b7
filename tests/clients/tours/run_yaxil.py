"""What yaxil and tools on it (ArcGet, dcm2bids wrappers) ask: prints what they saw as one JSON object.

Run by the Python of the client's environment. Arguments: the server's address, the administrator's password, a folder
to download into.
"""

import hashlib
import json
import pathlib
import sys

import yaxil


def main(url, password, into):
    login = yaxil.XnatAuth(url=url, username="admin", password=password, cookie=None)
    seen = {"login": yaxil.test_auth(login), "wrong": yaxil.test_auth(login._replace(password="wrong"))}
    seen["subjects"] = [one.label for one in yaxil.subjects(login, project="SEARCHED")]
    found = list(yaxil.experiments(login, project="SEARCHED"))
    seen["experiments"] = [(one.label, one.subject_label, one.project) for one in found]
    seen["ranges"] = [
        [one.label for one in matched(login, dates)]
        for dates in (("2000-01-01", "2100-01-01"), ("1900-01-01", "1900-12-31"))
    ]
    session = yaxil.accession(login, "S1", "SEARCHED")
    seen["exists"] = [yaxil.exists(login, session), session == found[0].id]
    seen["scans"] = [one["id"] for one in yaxil.scans(login, label="S1", project="SEARCHED")]
    seen["mrscans"] = [one["id"] for one in yaxil.mrscans(login, label="S1", project="SEARCHED")]
    yaxil.download(login, "S1", ["4"], project="SEARCHED", out_dir=into)
    seen["files"] = sorted(hashlib.md5(one.read_bytes()).hexdigest() for one in pathlib.Path(into).iterdir())
    print(json.dumps(seen))


def matched(login, dates):
    try:
        return list(yaxil.experiments(login, project="SEARCHED", daterange=dates))
    except yaxil.exceptions.NoExperimentsError:
        return []


if __name__ == "__main__":
    main(*sys.argv[1:])
