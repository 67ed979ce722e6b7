"""xnat-ingest's commands one after another in one process: images grouped, named and uploaded.

Run by the Python of the client's environment. Arguments: the server's address, the administrator's password, the
folder of the images, a folder to work in.
"""

import json
import pathlib
import sys

from click.testing import CliRunner
from xnat_ingest.cli import cli


def main(url, password, images, work):
    work = pathlib.Path(work)
    grouped, assigned = work / "grouped", work / "assigned"
    call("group", images, grouped, "--raise-errors")
    names = ("--constant-project-id", "MADE", "--subject", "PatientID", "--session", "PatientID")
    call("assign", grouped, assigned, *names, "--raise-errors")
    login = ("--user", "admin", "--password", password)
    call("upload", assigned, url, *login, "--always-include", "all", "--raise-errors")
    print(json.dumps(sorted(str(one.relative_to(assigned)) for one in assigned.rglob("*.dcm"))))


def call(*words):
    done = CliRunner().invoke(cli, [str(one) for one in words])
    if done.exit_code:
        print(done.output, file=sys.stderr)
        raise SystemExit(done.exception)


if __name__ == "__main__":
    main(*sys.argv[1:])
