"""Known junk and names that look like images: asked where the content is no image (rules.md, "Which entries" 1, 3).

Junk never fails an import. What may be data is none: .bval, .bvec, .json, .pdf, .txt, .xml, pictures, raw data.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Final

from scandock.rules.layout import parse_layout

JUNK: Final = "junk_name"
DICOMDIR: Final = "dicomdir"

LITTER_NAMES: Final = frozenset(
    {
        ".ds_store",
        ".localized",
        ".apdisk",
        ".volumeicon.icns",
        "icon\r",
        "thumbs.db",
        "ehthumbs.db",
        "ehthumbs_vista.db",
        "desktop.ini",
        "autorun.inf",
        ".directory",
        ".hidden",
    }
)
"""What file managers of macOS, Windows and Linux leave behind, casefolded."""

LITTER_FOLDERS: Final = frozenset(
    {
        "__macosx",
        ".appledouble",
        ".spotlight-v100",
        ".trashes",
        ".fseventsd",
        ".temporaryitems",
        ".documentrevisions-v100",
        "$recycle.bin",
        "system volume information",
        "@eadir",
    }
)

_PROGRAMS: Final = """
exe dll ocx sys drv scr msi msm msp cab bat cmd vbs lnk pif manifest
jar jnlp class so dylib nib chm hlp
html htm xhtml mht mhtml css js mjs swf xsl xslt woff woff2 ttf otf eot ico icns cur url webloc
"""
PROGRAM_SUFFIXES: Final = frozenset(_PROGRAMS.split())
"""Viewer programs and web pages of discs. Not among them: scripts (.sh, .py), settings (.ini, .cfg), pictures, .json,
.xml, .txt and .pdf, which as often are data."""

PROGRAM_FOLDERS: Final = frozenset({"ihe_pdi"})
"""Folders that hold nothing but a disc's web pages (IHE Portable Data for Imaging)."""

_CATALOG: Final = re.compile(r".*_catalog\.xml|catalog\.xml|(dcm|ecat)toxnat\.log", re.DOTALL)
_CHECKSUMS: Final = re.compile(
    r"(sha|md5|sha1|sha224|sha256|sha384|sha512|b2|blake2b?|blake3)[-_]?sums?([.](txt|asc))?"
    r"|(check|cksum|hash)sums?[.](txt|csv|md5|sha\d*)"
    r"|checksums?|md5sums?[.]txt|(tag)?manifest-(md5|sha\d+)[.]txt"
    r"|.+[.](md5|md5sum|sha1|sha224|sha256|sha384|sha512|sfv|sha256sum|sha1sum)",
    re.DOTALL,
)
_IMAGE_NAME: Final = re.compile(r".*\.(dcm|dicom|dic|dc3|ima|v)(\.gz)?", re.DOTALL)
_ISO_VERSION: Final = re.compile(r";\d{1,5}$")


def junk_code(path: str) -> str | None:
    """`junk_name` or `dicomdir` for an entry that is no image by content and junk by its name; None for all else.

    In a folder of resources (`resources/NIFTI/files` and the like) only the litter of file managers and XNAT's own
    catalogs are junk: a report in HTML or a checksum file that someone put there is a resource.
    """
    place = parse_layout(path)
    base = _plain(place.base)
    folders = [folder.casefold() for folder in place.folders]
    if base in LITTER_NAMES or base.startswith("._") or not LITTER_FOLDERS.isdisjoint(folders):
        return JUNK
    if _CATALOG.fullmatch(base):
        return JUNK
    if place.is_resource_folder:
        return None
    if base == "dicomdir":
        return DICOMDIR
    if base.rpartition(".")[2] in PROGRAM_SUFFIXES and "." in base:
        return JUNK
    if _CHECKSUMS.fullmatch(base) or _in_program(folders):
        return JUNK
    return None


def is_named_like_image(path: str) -> bool:
    """Whether the name promises an image (.dcm, .dicom, .dic, .dc3, .ima, .v, also gzipped)."""
    return _IMAGE_NAME.fullmatch(_plain(parse_layout(path).base)) is not None


def _plain(base: str) -> str:
    """Casefolded, without the version number that ISO 9660 appends (`DICOMDIR;1`)."""
    return _ISO_VERSION.sub("", base).casefold()


def _in_program(folders: list[str]) -> bool:
    """Whether a folder above belongs to a program: IHE_PDI, a macOS application's bundle, a Java runtime."""
    if not PROGRAM_FOLDERS.isdisjoint(folders):
        return True
    return any(
        (outer.endswith(".app") and inner == "contents")
        or (outer.startswith("jre") and inner in {"bin", "lib", "conf", "legal"})
        for outer, inner in pairwise(folders)
    )
