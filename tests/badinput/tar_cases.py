"""Rows of the table: tar, and tars under other compressions."""

from __future__ import annotations

import bz2
import lzma

from tests.badinput import tars
from tests.badinput.case import Expect, Made, add, climbs, good, good_pairs, made, placed, refused, row
from tests.badinput.objects import Image
from tests.badinput.packing import gzipped

SECTION = "tar"
ESCAPE = b"scandock-escape.dcm"


def _members(case: str) -> list[tars.Member]:
    return [tars.Member(name=name, data=data) for name, data in good_pairs(case)]


def _around(case: str, *parts: tars.Member | bytes) -> bytes:
    """A tar.gz with the parts between the first and the other good objects."""
    first, *others = _members(case)
    return gzipped(tars.tar([first, *parts, *others]))


def _fourth(case: str, **values: object) -> Made:
    """A fourth object in a member of this kind."""
    data = Image(case=case, number=9).file()
    member = tars.Member(**{"name": b"good/9.dcm", "data": data, **values})  # type: ignore[arg-type]
    return made(_around(case, member), *good(case), data)


def _special(name: str, member: tars.Member) -> None:
    """A member that is no file: never made, and said."""
    case = "tar " + name
    expected = placed(stored=3, ignored=1, named=((member.name.decode(), "ignored", "ignored_link"),))
    add(SECTION, f"tar_{name}.tar.gz", lambda: made(_around(case, member), *good(case)), expected)


def _placed(kind: str, expected: Expect, **values: object) -> None:
    add(SECTION, f"tar_{kind}.tar.gz", lambda: _fourth("tar " + kind, **values), expected)


add(SECTION, "plain.tar", lambda: made(tars.tar(_members("plain tar")), *good("plain tar")), placed(stored=3))
add(
    "other compression",
    "tar_bz2.tar.bz2",
    lambda: made(bz2.compress(tars.tar(_members("bz2"))), *good("bz2")),
    placed(stored=3),
)
add(
    "other compression",
    "tar_xz.tar.xz",
    lambda: made(lzma.compress(tars.tar(_members("xz"))), *good("xz")),
    placed(stored=3),
)

_placed("absolute", placed(stored=4, named=climbs("scandock-escape")), name=b"/scandock-escape/" + ESCAPE)
_placed("dotdot", placed(stored=4, named=climbs("scandock-escape")), name=b"../../../../" + ESCAPE)
_placed("mode000", placed(stored=4), mode=0)
_placed("setuid", placed(stored=4), mode=0o6755)
_special("blockdev", tars.Member(name=b"good/disk.dcm", kind=tars.BLOCKDEV, device=(8, 0), mode=0o666))
_special("chardev", tars.Member(name=b"good/zero.dcm", kind=tars.CHARDEV, device=(1, 5), mode=0o666))
_special("fifo", tars.Member(name=b"good/pipe.dcm", kind=tars.FIFO))
_special("symlink", tars.Member(name=b"good/link.dcm", kind=tars.SYMLINK, link=b"/etc/passwd"))
_special("hardlink", tars.Member(name=b"good/hard.dcm", kind=tars.HARDLINK, link=b"/etc/passwd"))
_special("hardlink_inside", tars.Member(name=b"good/hard.dcm", kind=tars.HARDLINK, link=b"good/1.dcm"))


@row(SECTION, "tar_dir_mode000.tar.gz", placed(stored=4))
def folder_mode() -> Made:
    case = "folder mode"
    data = Image(case=case, number=9).file()
    shut = tars.Member(name=b"shut/", kind=tars.FOLDER, mode=0)
    return made(_around(case, shut, tars.Member(name=b"shut/9.dcm", data=data, mode=0)), *good(case), data)


LONG = "long/" + "n" * 300 + "/" + "m" * 400 + ".dcm"
PAX_NAME = "R\u00f6ntgen/" + "\u5199\u771f" * 100 + ".dcm"


@row(SECTION, "tar_gnu_long_names.tar.gz", placed(stored=4, paths=frozenset({LONG})))
def gnu_long_names() -> Made:
    case = "gnu long"
    data = Image(case=case, number=9).file()
    member = tars.Member(name=LONG.encode()[:100], data=data)
    return made(_around(case, tars.long_name(LONG.encode()), member), *good(case), data)


@row(SECTION, "tar_pax_long_utf8_names.tar.gz", placed(stored=4, paths=frozenset({PAX_NAME})))
def pax_names() -> Made:
    case = "pax names"
    data = Image(case=case, number=9).file()
    member = tars.Member(name=b"short", data=data)
    return made(_around(case, tars.pax({"path": PAX_NAME}), member), *good(case), data)


@row(SECTION, "tar_gnu_sparse_1TiB.tar.gz", refused("sparse", "good/sparse.dcm"))
def sparse() -> Made:
    """A member of 1 TiB that is all hole but for its last 512 bytes."""
    return made(_around("sparse", tars.sparse(b"good/sparse.dcm", claimed=1 << 40, data=b"\1" * 512)))


@row(SECTION, "tar_pax_size_override.tar.gz", refused("truncated", "good/9.dcm"))
def pax_size() -> Made:
    """After the good ones a member whose pax record says 8 GiB where its header says the truth."""
    case = "pax size"
    data = Image(case=case, number=9).file()
    member = tars.Member(name=b"good/9.dcm", data=data)
    return made(gzipped(tars.tar([*_members(case), tars.pax({"size": str(8 << 30)}), member])))


@row(SECTION, "tgz_two_tars_one_after_other.tar.gz", placed(stored=3, says=(("archive_note",),)))
def two_tars() -> Made:
    """The tar ends at its first end mark; what follows is no part of it."""
    case = "two tars"
    second = tars.plain((b"second/9.dcm", Image(case=case, number=9).file()))
    return made(gzipped(tars.tar(_members(case)) + second), *good(case))
