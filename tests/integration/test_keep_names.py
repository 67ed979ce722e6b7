"""`rename=false`: objects keep the archive's own base names where these are safe and free (rules.md, "Which file")."""

from __future__ import annotations

from tests.builders import DataFolder, Image, images

NAMES = (
    "a/IM1", "b/IM1", "im1", "../../x:y*?.dcm", "c/.hidden", "d/con", "e/ümlaut 1.dcm", "f/u\u0308mlaut 1.DCM",
    "g/" + "n" * 300 + ".dcm", "h/a\x1b[31m.dcm",
)  # fmt: skip


def names(site: DataFolder, path: str) -> list[str]:
    """The files of a session's one scan, as they stand on disk."""
    found = sorted((site.data / path / "scans" / "1" / "resources" / "DICOM" / "files").rglob("*"))
    assert all(one.is_file() for one in found), "a name made a folder"
    return [one.name for one in found]


def test_names_that_clash_differ_by_case_or_are_hostile_are_made_safe_and_unique(site: DataFolder) -> None:
    objects = images(len(NAMES), case="kept")
    told = site.bring(list(zip(NAMES, objects, strict=True)), dialect=True, keep_names=True)
    assert told.state == "placed"
    found = names(site, told.session["path"])
    assert len(found) == len({one.casefold() for one in found}) == len(NAMES)
    assert {"IM1", "IM1_2", "im1_3"} <= set(found)
    assert all(one.isprintable() and len(one.encode()) <= 230 and one[0] not in ".-~" for one in found)
    assert not any(set(one) & set('/\\:*?"<>|') or one.casefold() == "con" for one in found)
    by_path = {line["path"]: line["stored_as"] for line in told.lines}
    assert (site.data / by_path["a/IM1"]).read_bytes() == objects[0]
    assert by_path["a/IM1"].endswith("/IM1")


def test_the_same_again_is_a_duplicate_under_whatever_name(site: DataFolder) -> None:
    objects = images(2, case="kept")
    first = site.bring([("a/1.dcm", objects[0]), ("a/2.dcm", objects[1])], dialect=True, keep_names=True)
    again = site.bring([("z/2.dcm", objects[0]), ("z/9.dcm", objects[1])], dialect=True, keep_names=True)
    assert again.report["entries"]["duplicate"] == 2
    assert names(site, first.session["path"]) == names(site, again.session["path"]) == ["1.dcm", "2.dcm"]


def test_what_joins_a_session_takes_no_name_that_is_there(site: DataFolder) -> None:
    objects = images(4, case="kept")
    uid = Image(case="kept", number=1).sop_uid.decode()
    site.bring([("a/1.dcm", objects[0]), ("a/2.dcm", objects[1])], destination="archive")
    told = site.bring(
        [(f"b/{uid}.DCM", objects[2]), ("b/2.dcm", objects[3])], dialect=True, keep_names=True, destination="archive"
    )
    second = Image(case="kept", number=2).sop_uid.decode()
    assert names(site, told.session["path"]) == sorted([f"{uid}.dcm", f"{uid}_2.DCM", f"{second}.dcm", "2.dcm"])


def test_objects_of_one_uid_and_other_content_both_stand(site: DataFolder) -> None:
    one = images(1, case="kept")[0]
    other = images(1, case="kept", also={0x00104000: (b"LT", b"other")})[0]
    told = site.bring([("a/1.dcm", one), ("b/1.dcm", other)], dialect=True, keep_names=True)
    assert (told.state, told.session["code"]) == ("held", "sop_clash")
    assert names(site, told.session["path"]) == ["1.dcm", "1_2.dcm"]


def test_an_object_of_an_inner_or_a_packed_archive_has_its_own_name(site: DataFolder) -> None:
    import gzip

    from tests.builders import zip_entries

    one, two = images(2, case="kept")
    told = site.bring([("in.zip", zip_entries({"deep/IM7": one})), ("IM8.dcm.gz", gzip.compress(two))],
                      dialect=True, keep_names=True)  # fmt: skip
    assert names(site, told.session["path"]) == ["IM7", "IM8.dcm"]
