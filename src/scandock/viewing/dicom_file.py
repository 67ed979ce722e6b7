"""A DICOM file opened for its pixels: its elements up to the pixel data, and where those begin."""

from __future__ import annotations

import io
import os
import zlib
from typing import TYPE_CHECKING, Any, BinaryIO, Final, NamedTuple

from scandock.formats.dicom_encoding import TooOddError
from scandock.formats.dicom_header import Unparseable, read_header
from scandock.formats.dicom_repair import repair_header
from scandock.formats.dicom_scan import encoding_of
from scandock.formats.dicom_sniff import has_preamble
from scandock.model.dataclass import dataclass
from scandock.viewing.frames import NotViewable

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

PIXELS: Final = {0x7FE00008: "FloatPixelData", 0x7FE00009: "DoubleFloatPixelData", 0x7FE00010: "PixelData"}
MAX_INFLATED: Final = 384 * 1024**2
"""What a deflated data set may come to."""

_CHARSET: Final = 0x00080005
_HEAD: Final = 65_536
_PREAMBLE: Final = 132
_SHORTEST: Final = 8
_UNDEFINED: Final = 0xFFFFFFFF
DEFLATED: Final = "1.2.840.10008.1.2.1.99"
_IMPLICIT: Final = "1.2.840.10008.1.2"
_EXPLICIT: Final = "1.2.840.10008.1.2.1"
_BIG: Final = "1.2.840.10008.1.2.2"
NATIVE: Final = frozenset({_IMPLICIT, _EXPLICIT, _BIG, DEFLATED})
"""Transfer syntaxes that do not encapsulate pixels. What a private one does to them nobody knows."""


@dataclass(slots=True)
class PixelElement:
    """Where the pixel data's value begins; `length` is None where it is encapsulated."""

    keyword: str
    vr: str
    start: int
    length: int | None


@dataclass(slots=True)
class DicomFile:
    """`stream` holds the data set, inflated where the file is deflated; `pixels` is None where it has none."""

    data: Dataset
    syntax: str
    stream: BinaryIO
    pixels: PixelElement | None


class _FileEncoding(NamedTuple):
    """How a file is written: where its meta information and its data set begin, and in which encoding the latter is."""

    start: int
    at: int
    explicit: bool
    big: bool


def open_dicom(stream: BinaryIO, *, only: list[int] | None = None) -> DicomFile:
    """Read the elements before the pixel data (all, or `only` some). NotViewable where the file can't be read."""
    from pydicom.filereader import _read_file_meta_info, read_dataset
    from pydicom.uid import UID

    head, written = _find_encoding(stream)
    source: BinaryIO = _repair_for_pydicom(stream, head, written)
    source.seek(written.start)
    meta = _read_file_meta_info(source)
    syntax = str(meta.get("TransferSyntaxUID", "") or "")
    at, explicit, big = written.at, written.explicit, written.big
    if syntax == DEFLATED:
        stream, at = io.BytesIO(_inflate(stream, at)), 0
        head = stream.getvalue()
        if len(head) < _SHORTEST:
            raise NotViewable("The file ends before its data set.")
        explicit, big = encoding_of(head, 0, syntax)
        source = _repair_for_pydicom(stream, head, _FileEncoding(0, 0, explicit, big))
    if not syntax or (big and syntax in (_EXPLICIT, _IMPLICIT)):
        syntax = implied_syntax(explicit=explicit, big=big)
    source.seek(at)
    pixel_elements: list[tuple[int, str | None, int]] = []

    def stop(tag: Any, vr: str | None, length: int) -> bool:  # noqa: ANN401  pydicom's BaseTag
        if int(tag) in PIXELS:
            pixel_elements.append((int(tag), vr, length))
            return True
        return False

    data = read_dataset(
        source, is_implicit_VR=not explicit, is_little_endian=not big, stop_when=stop, specific_tags=only
    )  # fmt: skip
    data.file_meta = meta
    meta.TransferSyntaxUID = UID(syntax)
    pixels = None
    if pixel_elements:
        tag, vr, length = pixel_elements[-1]
        start = source.tell() + (8 if not explicit else 12)
        pixels = PixelElement(PIXELS[tag], vr or "OW", start, None if length == _UNDEFINED else length)
    return DicomFile(data, syntax, stream, pixels)


def implied_syntax(*, explicit: bool, big: bool) -> str:
    """The transfer syntax that the encoding of a data set says, where the file names none."""
    return _BIG if big else _EXPLICIT if explicit else _IMPLICIT


def _find_encoding(stream: BinaryIO) -> tuple[bytes, _FileEncoding]:
    """The head of a file with its whole header, and how it is written: as an import reads it, by the same code.

    An object that an import refuses (it has no UIDs, say) is read as it says that it is written.
    """
    heads = [_read_first(stream, _HEAD)]
    size = stream.seek(0, os.SEEK_END)

    def more(count: int) -> bytes:
        heads.append(_read_first(stream, count))
        return heads[-1]

    start = _PREAMBLE if has_preamble(heads[0]) else 0
    try:
        header = read_header(heads[0], size, frozenset(), more)
    except Unparseable:
        return heads[-1], _stated_encoding(stream, start)
    start = _PREAMBLE if header.preamble else 0
    return heads[-1], _FileEncoding(start, header.dataset_at, not header.implicit, header.big_endian)


def _stated_encoding(stream: BinaryIO, start: int) -> _FileEncoding:
    from pydicom.filereader import _read_file_meta_info

    stream.seek(start)
    meta = _read_file_meta_info(stream)
    at = stream.tell()
    first = stream.read(_SHORTEST)
    if len(first) < _SHORTEST:
        raise NotViewable("The file ends before its data set.")
    explicit, big = encoding_of(first, 0, str(meta.get("TransferSyntaxUID", "") or ""))
    return _FileEncoding(start, at, explicit, big)


def _repair_for_pydicom(stream: BinaryIO, head: bytes, written: _FileEncoding) -> BinaryIO:
    """The file; where pydicom would misread its header, a copy of the header in which that is set right."""
    try:
        right = repair_header(head, written.start, written.at, "", (written.explicit, written.big))
    except TooOddError:
        raise NotViewable("Too many of its elements have a value representation that does not exist.") from None
    return stream if right is None else io.BytesIO(right)


def _read_first(stream: BinaryIO, count: int) -> bytes:
    stream.seek(0)
    return stream.read(count)


def _inflate(stream: BinaryIO, at: int) -> bytes:
    """A deflated data set, as far as it is allowed to come to."""
    stream.seek(at)
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    pieces, remaining = [], MAX_INFLATED
    try:
        while remaining > 0 and not inflater.eof and (chunk := inflater.unconsumed_tail or stream.read(1 << 20)):
            piece = inflater.decompress(chunk, remaining)
            pieces.append(piece)
            remaining -= len(piece)
    except zlib.error as error:
        raise NotViewable("Its deflated data set is damaged.") from error
    if remaining <= 0:
        raise NotViewable(f"Its deflated data set comes to more than {MAX_INFLATED // 1024**2} MB.")
    return b"".join(pieces)


def get_integer(data: Any, keyword: str, default: int) -> int:  # noqa: ANN401  a Dataset
    """An element's whole number; the default where it is missing or none."""
    try:
        return int(data.get(keyword, default) or default)
    except (TypeError, ValueError, OverflowError):
        return default


def parse_numbers(value: Any) -> list[float]:  # noqa: ANN401  whatever an element holds
    """An element's value as finite numbers; none where it is anything else."""
    if value is None or isinstance(value, str | bytes):
        return []
    try:
        numbers = [float(number) for number in value] if hasattr(value, "__iter__") else [float(value)]
    except (TypeError, ValueError, OverflowError):
        return []
    return numbers if all(abs(number) < 1e300 for number in numbers) else []


def format_text(value: Any) -> str:  # noqa: ANN401
    """An element's value as text; empty where there is none."""
    return "" if value is None else str(value).strip("\0 ")


def get_charsets(data: Dataset) -> bytes:
    """The data set's own SpecificCharacterSet, as it is written."""
    if _CHARSET not in data:
        return b""
    element = data.get_item(_CHARSET)
    value = element.value if element is not None else None
    if isinstance(value, bytes):
        return value
    return "\\".join([value] if isinstance(value, str) else [str(name) for name in value or ()]).encode(
        "ascii", "replace"
    )


def get_raw_value(data: Dataset, tag: Any) -> bytes:  # noqa: ANN401  a BaseTag
    """The bytes of an element's value as they stand in the file; none of a sequence's."""
    value = getattr(data.get_item(tag), "value", None)
    return value if isinstance(value, bytes) else b""
