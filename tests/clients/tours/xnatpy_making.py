"""What people make by hand with xnatpy, read back: prints it as one JSON object.

Arguments: the server's address, the project, a folder with files to send.
"""

import json
import pathlib
import sys

import xnat


def main(url, project, folder):
    files = sorted(path for path in pathlib.Path(folder).iterdir() if path.is_file())
    with xnat.connect(url, user="admin", password="secret") as session:
        owner = session.projects[project]
        subject = session.classes.SubjectData(parent=owner, label="Made")
        experiment = session.classes.MrSessionData(parent=subject, label="Made_MR1")
        scan = session.classes.MrScanData(parent=experiment, id="7", type="T1", series_description="T1 by hand")
        resource = scan.create_resource("DICOM")
        for path in files:
            resource.upload(str(path), path.name)
        session.clearcache()
        found = session.projects[project].experiments["Made_MR1"]
        seen = {
            "type": type(found).__name__,
            "subject": found.subject.label,
            "scans": {one.id: one.type for one in found.scans.values()},
            "files": {one.path: one.digest for one in found.scans["7"].resources["DICOM"].files.values()},
        }
        found.scans["7"].resources["DICOM"].files[0].delete()
        session.clearcache()
        found = session.projects[project].experiments["Made_MR1"]
        seen["after"] = len(found.scans["7"].resources["DICOM"].files)
    print(json.dumps(seen))


if __name__ == "__main__":
    main(*sys.argv[1:])
