"""xnat4tests fills a server, whose containers it is not asked for: prints what it left there as one JSON object.

Run by the Python of the client's environment. Arguments: the server's address, and the names of data sets. The login
is the client's own. Its images are made by another package, a gigabyte of them: of each series a few are made here.
"""

import importlib
import json
import sys
from urllib.parse import urlsplit

from xnat4tests import add_data
from xnat4tests.base import connect
from xnat4tests.config import Config

SERIES = {"t1w": 3, "dwi": 4, "fmap": 2}


def main(url, *names):
    for kind, count in SERIES.items():
        series = importlib.import_module(f"medimages4tests.dummy.dicom.mri.{kind}.siemens.skyra.syngo_d13c")
        vars(series)["num_vols"] = count
    where = urlsplit(url)
    config = Config(docker_host=where.hostname, xnat_port=str(where.port))
    for name in names:
        add_data(name, config)
    seen = {}
    with connect(config) as login:
        for project in login.projects.values():
            for session in project.experiments.values():
                seen[f"{project.id}/{session.subject.label}/{session.label}"] = {
                    scan.type: {one.label: len(one.files) for one in scan.resources.values()}
                    for scan in session.scans.values()
                }
    print(json.dumps(seen))


if __name__ == "__main__":
    main(*sys.argv[1:])
