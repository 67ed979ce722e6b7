"""What pyxnat prints, inspects and searches."""

MR = "xnat:mrSessionData"
SUBJECT = "xnat:subjectData"


def tour(server, project):
    seen = {"inspected": inspected(server), "searched": searched(server, project)}
    seen["printed"] = printed(server.select.project(project))
    seen["collected"] = collected(server, project)
    seen["arrays"] = arrays(server, project)
    seen["saved"] = [server.manage.search.saved(), server.manage.search.saved(with_description=True)]
    return seen


def printed(project):
    """What a notebook shows of each thing, and of one that is not there."""
    experiment = project.subject("Ann").experiment("S1")
    scan = experiment.scan("4")
    things = [project, project.subject("Ann"), experiment, scan, scan.resource("DICOM")]
    return [repr(one) for one in (*things, project.subject("nobody"))]


def inspected(server):
    return {
        "types": server.inspect.datatypes(),
        "fields": server.inspect.datatypes(MR),
        "some": server.inspect.datatypes("xnat:*Data", "SUBJECT_*"),
        "values": sorted(server.inspect.field_values(f"{SUBJECT}/SUBJECT_LABEL")),
    }


def searched(server, project):
    """Rows by columns and criteria."""
    columns = [f"{MR}/LABEL", f"{MR}/PROJECT", f"{MR}/SUBJECT_ID", f"{SUBJECT}/SUBJECT_LABEL", f"{SUBJECT}/GENDER_TEXT"]
    here = (f"{MR}/PROJECT", "=", project)
    found = server.select(MR, columns).where([here, "AND"])
    either = [(f"{MR}/LABEL", "=", "S2"), [(f"{MR}/DATE", ">", "2024-01-01"), "AND"], "OR"]
    return {
        "rows": sorted(found.data, key=lambda one: one["label"]),
        "labels": sorted(found.get("label")),
        "either": sorted(server.select(MR, columns).where([here, either, "AND"]).get("label", always_list=True)),
        "like": server.select(MR, columns).where([here, (f"{MR}/LABEL", "LIKE", "s*3"), "AND"]).get("label"),
        "text": server.select(MR, columns).where(f"{MR}/PROJECT = {project} {MR}/LABEL = S1 AND").get("label"),
        "none": len(server.select(MR, columns).where([here, (f"{MR}/LABEL", "=", "no"), "AND"])),
        "all": len([one for one in server.select(SUBJECT).all() if one["project"] == project]),
        "others": len(server.select("xnat:petSessionData", ["xnat:petSessionData/LABEL"]).all()),
    }


def collected(server, project):
    """Subjects of a collection that criteria hold for."""

    def labels(*criteria):
        return sorted(one.label() for one in server.select.project(project).subjects().where([*criteria, "AND"]))

    here = (f"{MR}/PROJECT", "=", project)
    return [labels(here), labels(here, (f"{MR}/LABEL", "LIKE", "S%")), labels((f"{MR}/LABEL", "=", "none"))]


def arrays(server, project):
    """The tables of `interface.array`."""
    here = {"project_id": project}
    wanted = server.array.search_experiments(
        **here, experiment_type=MR, columns=[f"{MR}/LABEL"], constraints=[(f"{MR}/LABEL", "=", "S1")]
    )
    label = server.array.search_experiments(**here, subject_label="Bob", experiment_type=MR, columns=[f"{MR}/LABEL"])
    dated = server.array.experiments(**here, experiment_type=MR, columns=[f"{MR}/date"], constraints={"label": "S1"})
    return {
        "experiments": len(server.array.experiments(**here)),
        "mrsessions": [one["ID"] for one in server.array.mrsessions(**here, subject_label="Ann")],
        "columns": [sorted(one) for one in dated],
        "scans": [one["xnat:imagescandata/id"] for one in server.array.scans(**here, experiment_label="S1")],
        "mrscans": [
            [one["xnat:mrscandata/id"], one["xnat:mrscandata/type"]]
            for one in server.array.mrscans(**here, experiment_label="S1", columns=["xnat:mrScanData/type"])
        ],
        "searched": wanted.get("label"),
        "of": label.get("label", always_list=True),
    }
