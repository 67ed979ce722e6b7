"""What people make by hand with xnatpy, read back."""

from datetime import date


def tour(session, project, files):
    owner = session.projects[project]
    subject = session.classes.SubjectData(parent=owner, label="Made")
    experiment = session.classes.MrSessionData(parent=subject, label="Made_MR1")
    scan = session.classes.MrScanData(parent=experiment, id="7", type="T1", series_description="T1 by hand")
    resource = scan.create_resource("DICOM")
    for path in sorted(files.iterdir()):
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
    seen["said"] = said(session, project)
    return seen


def said(session, project):
    """What is said of a subject, as the client's own classes read it back; and of it again, once some is taken back."""
    subject = session.projects[project].subjects["Made"]
    subject.group = "control"
    subject.demographics.gender = "female"
    subject.demographics.yob = 1980
    subject.demographics.dob = date(1980, 2, 29)
    subject.demographics.mset({"handedness": "left", "birth_weight": "3.25"})
    session.clearcache()
    subject = session.projects[project].subjects["Made"]
    one = subject.demographics
    seen = [subject.group, one.gender, one.yob, str(one.dob), one.handedness, one.birth_weight, one.age]
    listed = session.projects[project].subjects.tabulate(columns=["label", "gender", "yob", "group"])
    seen.append([[row.label, row.gender, row.yob, row.group] for row in listed])
    subject.demographics.set("gender", "NULL")
    session.clearcache()
    return [*seen, session.projects[project].subjects["Made"].demographics.gender]
