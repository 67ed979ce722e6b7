"""Rows of the table: compression, damaged, empty, encrypted - what stands between a zip's headers."""

from __future__ import annotations

import struct
import zlib
from functools import partial

from tests.badinput import packing, tars, zips
from tests.badinput.case import Made, add, beside_good, good, good_pairs, made, placed, refused, row
from tests.badinput.objects import Image, series

_UNREADABLE = {"ppmd": 98, "shrink": 1, "unknown77": 77, "xz": zips.XZ}
_READ = {"bzip2": zips.BZIP2, "deflate64": zips.DEFLATE64, "lzma": zips.LZMA, "zstd": zips.ZSTD}
NAMED = "odd.dcm"


def _method(method: int, *, kept: bool) -> Made:
    """Two objects, the second packed by `method`; long enough that each method has something to do."""
    case = f"method {method}"
    first = Image(case=case).file()
    second = Image(case=case, number=2, also={0x7FE00010: (b"OW", b"\0\1\2\3\0\1\0\7" * 20_000)}).file()
    entries = [zips.Entry(name=b"s/1.dcm", data=first), zips.Entry(name=b"s/odd.dcm", data=second, method=method)]
    return made(zips.archive(entries), *((first, second) if kept else ()))


for _name, _number in _READ.items():
    add("compression", f"zip_method_{_name}.zip", partial(_method, _number, kept=True), placed(stored=2))
for _name, _number in _UNREADABLE.items():
    add(
        "compression",
        f"zip_method_{_name}.zip",
        partial(_method, _number, kept=False),
        refused("unknown_method", NAMED, str(_number), named=((NAMED, "refused", "unknown_method"),), lines=2),
    )


@row("damaged", "cd_claims_65535_entries.zip", refused("damaged", "65535"))
def claims_entries() -> Made:
    return made(zips.archive(zips.files(*good_pairs("claims entries")), count=65535))


@row("damaged", "tgz_bad_crc.tar.gz", refused("damaged", ("crc", "checksum")))
def tgz_bad_crc() -> Made:
    return made(packing.gzipped(tars.plain(*good_pairs("tgz bad crc")), crc=0x12345678))


def _damaged(case: str, **lies: object) -> Made:
    data = Image(case=case, number=9).file()
    return made(beside_good(case, zips.Entry(name=b"odd.dcm", data=data, **lies)))  # type: ignore[arg-type]


DAMAGED = refused("damaged", NAMED, named=((NAMED, "refused", "damaged"),), lines=4)


@row("damaged", "zip_bad_deflate_stream.zip", DAMAGED)
def bad_deflate() -> Made:
    """A block of the type that does not exist after a good beginning."""
    data = Image(case="bad deflate", number=9).file()
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    head = packer.compress(data[:300]) + packer.flush(zlib.Z_FULL_FLUSH)
    return _damaged("bad deflate", body=head + b"\xff" * 40)


add("damaged", "zip_size_lies_larger.zip", lambda: _damaged("lies larger", size=0x7FFFFFFF), DAMAGED)
add("damaged", "zip_size_lies_smaller.zip", lambda: _damaged("lies smaller", size=200), DAMAGED)
add("damaged", "zip_wrong_crc_one.zip", lambda: _damaged("wrong crc", crc=0xDEADBEEF), DAMAGED)

NOTHING = "no image"
add("empty", "zip_empty.zip", lambda: made(zips.archive([])), refused(NOTHING))


@row(
    "empty",
    "zip_only_junk.zip",
    refused(NOTHING, "a.dcm", lines=4),
    refused(
        "unparseable_entries", "a.dcm", args=("--no-ignore-unparsable",), named=(("a.dcm", "refused", "empty_entry"),)
    ),
)
def only_junk() -> Made:
    return made(
        zips.plain(
            (b".DS_Store", b"\0\0\0\1Bud1" + bytes(100)),
            (b"__MACOSX/._a", bytes.fromhex("00051607") + bytes(80)),
            (b"Thumbs.db", bytes.fromhex("d0cf11e0a1b11ae1") + bytes(504)),
            (b"s/a.dcm", b""),
        )
    )


def _locked(case: str, number: int, image: Image) -> zips.Entry:
    """An entry in traditional encryption, password "secret"."""
    data = image.file()
    body = packing.zipcrypto(packing.raw_deflate(data), b"secret", zlib.crc32(data))
    return zips.Entry(name=b"%s/%d.dcm" % (case.encode(), number), data=data, body=body, flags=zips.ENCRYPTED)


@row("encrypted", "zip_encrypted_zipcrypto.zip", refused("encrypted", "locked/1.dcm", lines=3))
def all_encrypted() -> Made:
    return made(zips.archive(_locked("locked", n, Image(case="locked", number=n)) for n in (1, 2, 3)))


@row(
    "encrypted",
    "zip_encrypted_one_of_four.zip",
    refused("encrypted", "odd/9.dcm", named=(("odd/9.dcm", "refused", "encrypted"),), lines=4),
)
def one_encrypted() -> Made:
    case = "one encrypted"
    return made(beside_good(case, _locked("odd", 9, Image(case=case, number=9))))


@row("encrypted", "zip_encrypted_aes_method99.zip", refused("encrypted", lines=3))
def aes() -> Made:
    """WinZip's method 99 and its extra field; what stands there is no real payload."""
    extra = struct.pack("<HHH2sBH", 0x9901, 7, 2, b"AE", 3, zips.DEFLATE)
    entries = [
        zips.Entry(
            name=b"s/%d.dcm" % n, data=data, method=99, flags=zips.ENCRYPTED, extra=extra, local_extra=extra, crc=0
        )
        for n, data in enumerate(series("aes"))
    ]
    return made(zips.archive(entries))


@row(
    "encrypted",
    "zip_strong_encryption_cd.zip",
    refused("encrypted", NAMED, named=((NAMED, "refused", "encrypted"),), lines=4),
)
def strong() -> Made:
    """PKWARE's strong encryption of one entry, and the bit of a masked directory."""
    case = "strong"
    data = Image(case=case, number=9).file()
    flags = zips.ENCRYPTED | zips.STRONG | zips.MASKED
    extra = struct.pack("<HHHHHH", 0x0017, 8, 2, 0x6610, 256, 1)
    return made(beside_good(case, zips.Entry(name=b"odd.dcm", data=data, flags=flags, extra=extra)))


@row("gzip", "tgz_concatenated_members.tar.gz", placed(stored=3))
def concatenated() -> Made:
    """A tar cut in three at no special place, each part a gzip member."""
    case = "concatenated"
    data = tars.plain(*good_pairs(case))
    return made(b"".join(packing.gzipped(part) for part in (data[:700], data[700:1900], data[1900:])), *good(case))


@row("gzip", "tgz_trailing_garbage.tar.gz", placed(stored=3, says=(("archive_note",),)))
def trailing() -> Made:
    case = "trailing garbage"
    return made(packing.gzipped(tars.plain(*good_pairs(case))) + b"garbage\0" * 20, *good(case))
