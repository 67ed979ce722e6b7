"""What xnatpy shows to who has no name on the server: run by its own Python, it prints what it saw as JSON.

Arguments: the server's address, a project that is public.
"""

import json
import sys

import xnat


def main(url, project):
    with xnat.connect(url) as session:
        found = session.projects[project].experiments
        seen = {"user": session.logged_in_user, "sessions": {one.label: len(one.scans) for one in found.values()}}
        seen["projects"] = [one.id for one in session.projects.values()]
    print(json.dumps(seen))


if __name__ == "__main__":
    main(*sys.argv[1:])
