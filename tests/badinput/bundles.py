"""Rows of the table, bundle: archives of sessions inside an archive."""

from __future__ import annotations

from tests.badinput import tars, zips
from tests.badinput.case import Made, Pair, climbs, good, good_pairs, made, partly, placed, row
from tests.badinput.objects import Image
from tests.badinput.packing import gzipped

SECTION = "bundle"
HTML = b"<!DOCTYPE html><html><body><h1>404 Not Found</h1></body></html>\n"


def _session(case: str, study: int) -> tuple[list[Pair], bytes]:
    """One object of a patient of its own, in the documented layout."""
    data = Image(case=case, study=study, patient_id=b"P%d" % study, patient_name=b"P%d" % study).file()
    return [(b"P%d/scans/1/resources/DICOM/files/1.dcm" % study, data)], data


def _two(case: str, names: tuple[bytes, bytes], pack: object) -> Made:
    pairs, kept = [], []
    for study, name in enumerate(names, 1):
        inside, data = _session(case, study)
        pairs.append((name, pack(*inside)))  # type: ignore[operator]
        kept.append(data)
    return made(zips.plain(*pairs), *kept)


@row(SECTION, "bundle_and_loose_mixed.zip", placed(stored=3, duplicate=3))
def loose_too() -> Made:
    loose = good_pairs("loose too")
    return made(zips.plain(*loose, (b"again.zip", zips.plain(*loose))), *good("loose too"))


@row(SECTION, "bundle_inner_empty.zip", placed(stored=3, says=(("inner_empty",), ("empty.zip",))))
def inner_empty() -> Made:
    case = "inner empty"
    pairs = ((b"good.zip", zips.plain(*good_pairs(case))), (b"empty.zip", zips.archive([])))
    return made(zips.plain(*pairs), *good(case))


@row(SECTION, "bundle_inner_named_dcm.zip", placed(stored=2, sessions=((1,), (1,))))
def inner_named_dcm() -> Made:
    return _two("inner named dcm", (b"a.dcm", b"b"), zips.plain)


@row(SECTION, "bundle_inner_targz.zip", placed(stored=2, sessions=((1,), (1,))))
def inner_targz() -> Made:
    return _two("inner targz", (b"a.tar.gz", b"b.tgz"), lambda *pairs: gzipped(tars.plain(*pairs)))


@row(SECTION, "bundle_inner_traversal.zip", placed(stored=4, named=climbs("scandock-escape.dcm")))
def inner_traversal() -> Made:
    """An inner zip whose own name climbs, with an entry whose name climbs further."""
    case = "inner traversal"
    evil = Image(case=case, number=9).file()
    inner = zips.plain((b"../../../scandock-escape.dcm", evil))
    return made(zips.plain(*good_pairs(case), (b"../../evil.zip", inner)), *good(case), evil)


@row(
    SECTION,
    "bundle_one_inner_damaged.zip",
    partly(
        stored=3,
        says=(("bad.zip",), ("html.zip",)),
        sessions=((3,),),
        refused=2,
        named=(("bad.zip", "refused", "truncated"), ("html.zip", "refused", "not_an_archive")),
    ),
)
def inner_damaged() -> Made:
    case = "inner damaged"
    bad = zips.plain(*good_pairs("inner damaged, bad"))
    pairs = ((b"good.zip", zips.plain(*good_pairs(case))), (b"bad.zip", bad[: len(bad) // 2]), (b"html.zip", HTML))
    return made(zips.plain(*pairs), *good(case))


@row(SECTION, "bundle_same_study_twice.zip", placed(stored=3, duplicate=3))
def twice() -> Made:
    inner = zips.plain(*good_pairs("twice"))
    return made(zips.plain((b"a.zip", inner), (b"b.zip", inner)), *good("twice"))


@row(SECTION, "bundle_study_split_over_two_zips.zip", placed(stored=3))
def split() -> Made:
    first, *rest = good_pairs("split")
    return made(zips.plain((b"a.zip", zips.plain(first)), (b"b.zip", zips.plain(*rest))), *good("split"))
