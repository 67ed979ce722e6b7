"""All tours of pyxnat in one process: prints what they saw as one JSON object.

Run by the Python of the client's environment. Arguments: the server's address, the administrator's password, the
archive of a session, the folder of what else is sent, a folder to download into.
"""

import json
import pathlib
import sys

import pyxnat
import pyxnat_importing
import pyxnat_own_files
import pyxnat_search


def main(url, password, archive, sent, into):
    sent, into = pathlib.Path(sent), pathlib.Path(into)
    server = pyxnat.Interface(server=url, user="admin", password=password)
    seen = {
        "imported": pyxnat_importing.tour(server, archive, "TOUR", sent, into),
        "own files": pyxnat_own_files.tour(server, "OWN", sent / "own", sent / "own.zip", into),
        "found": pyxnat_search.tour(server, "SEARCHED"),
    }
    server.disconnect()
    print(json.dumps(seen, default=lambda one: one.decode() if isinstance(one, bytes) else list(one)))


if __name__ == "__main__":
    main(*sys.argv[1:])
