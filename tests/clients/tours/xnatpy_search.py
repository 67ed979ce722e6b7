"""What xnatpy finds by queries."""


def tour(session, project):
    seen = {
        "types": session.inspect.datatypes(),
        "fields": session.inspect.datafields("xnat:mrSessionData", "SUB*"),
    }
    kind = session.classes.MrSessionData
    here = kind.query().filter(kind.project == project)
    seen["all"] = names(here)
    seen["like"] = names(here.filter(kind.label.like("S%2")))
    seen["either"] = names(here.filter((kind.label == "S1") | (kind.label == "S3")))
    seen["subjects"] = subjects(session, project)
    assessors = session.projects[project].experiments["S1"].assessors
    seen["assessors"] = {one.label: type(one).__name__ for one in assessors.values()}
    return seen


def names(query):
    """Labels of sessions, or their ids where a version makes no objects of what it found."""
    return sorted(one["id"] if isinstance(one, dict) else one.label for one in query.all())


def subjects(session, project):
    kind = session.classes.SubjectData
    query = kind.query().filter(kind.project == project)
    return sorted(one["id"] if isinstance(one, dict) else one.label for one in query.all())
