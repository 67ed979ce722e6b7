"""All elements of a file as rows of text: tag, name, VR, value and depth. Nothing binary, nothing endless."""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from scandock.formats.dicom_charset import decode_text
from scandock.formats.dicom_text import ENCODED
from scandock.formats.ecat import looks_like_ecat
from scandock.viewing.dicom_file import get_charsets, get_raw_value, open_dicom
from scandock.viewing.frames import NotViewable

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

Row = tuple[int, str, str, str, str]
"""Depth, tag, name, VR, value."""

MOST_ROWS: Final = 20_000
_MOST_CHARACTERS: Final = 300
_DEEPEST: Final = 16
_BINARY: Final = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})
_TEXTS: Final = ENCODED - {"UN"}
_SHOWN_BYTES: Final = 64


def read_header_rows(stream: BinaryIO) -> tuple[list[Row], str]:
    """The rows, and a note where there are more than are told. NotViewable where the file has no header."""
    head = os.pread(stream.fileno(), 1024, 0)
    if looks_like_ecat(head):
        return _read_ecat_rows(stream), ""
    from scandock.viewing.frame_sources import is_dicom

    if not is_dicom(head):
        raise NotViewable("It has no header: it is neither DICOM nor ECAT 7.")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        file = open_dicom(stream)
        rows: list[Row] = []
        whole = _add_rows(rows, file.data.file_meta, 0) and _add_rows(rows, file.data, 0)
    if file.pixels is not None:
        tag = {"PixelData": "(7FE0,0010)", "FloatPixelData": "(7FE0,0008)"}.get(file.pixels.keyword, "(7FE0,0009)")
        size = "compressed frames" if file.pixels.length is None else _format_size(file.pixels.length)
        rows.append((0, tag, _split_keyword(file.pixels.keyword), file.pixels.vr, size))
    return rows, "" if whole else f"The header goes on; the first {MOST_ROWS} elements are shown."


def _add_rows(rows: list[Row], data: Dataset, depth: int, charsets: bytes = b"") -> bool:
    """The elements of a data set, those of its sequences beneath; False where they are too many.

    `charsets` is the SpecificCharacterSet of the data set around it, which holds where it has none of its own.
    """
    charsets = get_charsets(data) or charsets
    for tag in sorted(data.keys()):
        if len(rows) >= MOST_ROWS:
            return False
        name, vr, value, items = _element(data, tag, charsets)
        rows.append((depth, f"({tag.group:04X},{tag.element:04X})", name, vr, value))
        if depth >= _DEEPEST:
            continue
        for number, item in enumerate(items):
            if len(rows) >= MOST_ROWS:
                return False
            rows.append((depth + 1, "", f"Item {number + 1}", "", ""))
            if not _add_rows(rows, item, depth + 2, charsets):
                return False
    return True


def _element(data: Dataset, tag: Any, charsets: bytes) -> tuple[str, str, str, list[Any]]:  # noqa: ANN401  a BaseTag
    """Name, VR, value as text and the items of one element, whatever is wrong with it."""
    raw = get_raw_value(data, tag)
    try:
        element = data[tag]
        name = element.name.strip("[]") if element.tag.is_private else element.name
        if element.VR == "SQ":
            items = list(element.value)
            return name, "SQ", f"{len(items)} item{'' if len(items) == 1 else 's'}", items
        if raw and element.VR in _TEXTS:  # by the decoder that an import uses: pydicom knows fewer character sets
            return name, element.VR, shorten(decode_text(raw, charsets, element.VR).rstrip("\0 ")), []
        return name, element.VR, _value(element.VR, element.value), []
    except RecursionError:
        return "Too deep to be shown", "SQ", "", []
    except Exception:  # noqa: BLE001  any element of a stranger's file may be anything
        return _name(tag), "", f"{_format_size(len(raw))}: not a value of its representation.", []


def _name(tag: Any) -> str:  # noqa: ANN401  a BaseTag
    """What the dictionary calls an element."""
    from pydicom.datadict import dictionary_description

    try:
        return dictionary_description(tag)
    except KeyError:
        return "Unknown element"


def _value(vr: str, value: Any) -> str:  # noqa: ANN401  whatever an element holds
    if value is None:
        return ""
    if isinstance(value, bytes | bytearray):
        text = bytes(value).rstrip(b"\0 ")
        if vr == "UN" and len(text) <= _SHOWN_BYTES and text.isascii() and text.decode("ascii").isprintable():
            return text.decode("ascii")
        return _format_size(len(value))
    if vr in _BINARY:
        return _format_size(len(value)) if hasattr(value, "__len__") else shorten(str(value))
    if isinstance(value, str):
        name = str(getattr(value, "name", value)) if vr == "UI" else value
        return shorten(f"{value} {name}" if name != value else value)
    if hasattr(value, "__iter__") and not hasattr(value, "family_name"):
        many = list(value)
        return shorten(
            "\\".join(str(part) for part in many[:64]) + (f"\\… ({len(many)} values)" if len(many) > 64 else "")
        )
    return shorten(str(value))


def shorten(text: str) -> str:
    """A value with its control characters made visible, and told where it was cut."""
    plain = "".join(char if char.isprintable() or char == "\n" else "\ufffd" for char in text[: _MOST_CHARACTERS + 1])
    plain = plain.strip()
    if len(text) > _MOST_CHARACTERS:
        return f"{plain[:_MOST_CHARACTERS]}… ({len(text)} characters)"
    return plain


def _format_size(count: int) -> str:
    return f"{count} byte{'' if count == 1 else 's'}"


def _split_keyword(keyword: str) -> str:
    return "".join(f" {char}" if char.isupper() else char for char in keyword).strip()


def _read_ecat_rows(stream: BinaryIO) -> list[Row]:
    from scandock.viewing.ecat_frames import EcatFrames

    frames = EcatFrames(stream)
    rows: list[Row] = [(0, "", "Main header", "", "")]
    rows += _fields(frames.header.structarr, 1)
    for number, subheader in enumerate(frames.subheaders()[:512]):
        rows.append((0, "", f"Subheader of frame {number + 1}", "", ""))
        rows += _fields(subheader, 1)
        if len(rows) >= MOST_ROWS:
            break
    return rows[:MOST_ROWS]


def _fields(record: Any, depth: int) -> list[Row]:  # noqa: ANN401  a numpy record
    rows: list[Row] = []
    for name in record.dtype.names:
        value = record[name].tolist()
        text = shorten(value.decode("latin-1").strip("\0 ")) if isinstance(value, bytes) else shorten(str(value))
        rows.append((depth, "", name.replace("_", " "), record.dtype[name].base.name, text))
    return rows
