from __future__ import annotations

from scandock.rules.junk import is_named_like_image, junk_code

JUNK = [
    ".DS_Store",
    "a/b/.DS_Store",
    "__MACOSX/Export/._1.dcm",
    "x/__MACOSX/anything",
    "._1.dcm",
    "a/._IM0001",
    "Thumbs.db",
    "THUMBS.DB",
    "desktop.ini",
    "autorun.inf",
    "AUTORUN.INF;1",
    "Icon\r",
    "$RECYCLE.BIN/S-1-5/x.dcm",
    "System Volume Information/IndexerVolumeGuid",
    "@eaDir/1.dcm@SynoEAStream",
    "viewer.exe",
    "VIEWER/LIB/CORE.DLL",
    "weasis/weasis.jar",
    "index.htm",
    "INDEX.HTM;1",
    "web/js/app.js",
    "web/style.css",
    "IHE_PDI/pages/logo.gif",
    "OsiriX Lite.app/Contents/Info.plist",
    "jre1.8/lib/tzdb.dat",
    "S/SCANS/4/DICOM/scan_4_catalog.xml",
    "S/SCANS/4/secondary/scan_4_secondary_catalog.xml",
    "S/scans/4/resources/NIFTI/files/NIFTI_catalog.xml",
    "S/scans/4/resources/NIFTI/files/.DS_Store",
    "dcmtoxnat.log",
    "SHA256SUMS",
    "sha1sums.txt",
    "md5sum.txt",
    "checksums.md5",
    "archive.zip.sha256",
    "scan.md5",
    "disc.sfv",
    "manifest-sha256.txt",
    "tagmanifest-md5.txt",
]
DATA = [
    "sub-01.bval",
    "sub-01.bvec",
    "sub-01.json",
    "report.pdf",
    "physio/log.txt",
    "Physio_RESP.puls",
    "meas_MID00042.dat",
    "raw/P12345.7",
    "README",
    "README.txt",
    "events.tsv",
    "photo.jpg",
    "photo.png",
    "x.nii.gz",
    "protocol.xml",
    "settings.ini",
    "analysis.sh",
    "notes.exe.txt",
    "exe",
    "html",
    "manifest.json",
    "my.app.txt",
    "jre/notes.txt",
    "catalogue.xml",
    "autorun.inf.txt",
    "",
    "S/resources/QC/files/report.html",
    "S/resources/QC/files/SHA256SUMS",
    "S/resources/QC/files/tool.exe",
]


DICOMDIRS = ["DICOMDIR", "dicomdir", "disc/DICOMDIR", "DICOMDIR;1"]
LIKE_IMAGES = [
    *("1.dcm", "a/1.DCM", "1.ima", "1.IMA;1", "pet.v", "1.dicom", "1.dcm.gz", "x.v.gz", "1.dic", "A\\B.dcm"),
]
UNLIKE_IMAGES = ["1.dcm/readme", "dcm", "1.dcm.txt", "x.vv", "x.dcmx", "", "1.dcm/", "v"]


def codes(paths):
    return {path: junk_code(path) for path in paths}


def test_junk_is_known_by_its_name():
    assert codes(JUNK) == dict.fromkeys(JUNK, "junk_name")


def test_what_may_be_data_is_no_junk():
    assert codes(DATA) == dict.fromkeys(DATA)


def test_a_dicomdir_is_known_by_its_name_where_its_content_is_no_image():
    assert codes(DICOMDIRS) == dict.fromkeys(DICOMDIRS, "dicomdir")


def test_names_that_promise_an_image():
    assert [path for path in LIKE_IMAGES if not is_named_like_image(path)] == []


def test_names_that_promise_none():
    assert [path for path in UNLIKE_IMAGES if is_named_like_image(path)] == []
