"""DICOMDIR, the directory of a disc (PS3.3 Annex F): which files it says are there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from scandock.formats.dicom_encoding import BIG, LITTLE, DeclinedError, ShortError
from scandock.formats.dicom_items import Item, elements, items
from scandock.formats.dicom_scan import encoding_of, read_meta
from scandock.formats.dicom_sniff import has_preamble
from scandock.formats.dicom_text import decode_value
from scandock.model.tags import NUMBERS

if TYPE_CHECKING:
    from collections.abc import Iterator

_RECORDS: Final = 0x00041220
_FILE_ID: Final = 0x00041500
MAX_FILES: Final = 1_000_000
MAX_BYTES: Final = 256 * 1024 * 1024


def dicomdir_files(data: bytes | memoryview) -> list[str]:
    """The files that a DICOMDIR lists, as paths relative to its folder, in its order and each once.

    Components are joined by `/`. At most MAX_FILES of the first MAX_BYTES; what is cut or damaged ends the list.
    """
    return list(dict.fromkeys(name for name, _ in zip(_names(data[:MAX_BYTES]), range(MAX_FILES), strict=False)))


def _names(data: bytes | memoryview) -> Iterator[str]:
    try:
        meta, at = read_meta(data, 132 if has_preamble(data) else 0, frozenset(), whole=True)
        syntax = decode_value(meta.get(NUMBERS["TransferSyntaxUID"], b""), "UI", None, big_endian=False)
        explicit, big = encoding_of(data, at, syntax)
    except (DeclinedError, ShortError, IndexError):
        return
    order = BIG if big else LITTLE
    for element in elements(data, Item(at, len(data), explicit), order):
        if element.number != _RECORDS:
            continue
        records = data[element.start : element.end]
        for record in items(records, order, explicit=explicit):
            for entry in elements(records, record, order):
                if entry.number == _FILE_ID:
                    name = decode_value(bytes(records[entry.start : entry.end]), "CS", None, big_endian=big)
                    path = "/".join(part for part in name.split("\\") if part)
                    if path:
                        yield path
        return
