"""Small DICOM objects for tests of scripts, written by hand and read by pydicom."""

from __future__ import annotations

import io
import struct
from typing import Any

import pydicom

from scandock.deidentification.data_set import DicomObject
from scandock.deidentification.encoding import encode
from scandock.deidentification.parsing import parse
from scandock.deidentification.script.evaluator import ScriptOutcome, run_scripts
from scandock.deidentification.script.parser import parse_script
from scandock.deidentification.script.run_state import ScriptContext

EXPLICIT = "1.2.840.10008.1.2.1"
KEY = b"k" * 32
Elements = dict[str, list[Any]]
"""By tag as 8 hex digits: VR and value; of a sequence the elements of its items. Bytes are taken as they are."""

_LONG = {"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"}
_NUMBERS = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "FL": "f", "FD": "d"}


def data_set_bytes(elements: Elements) -> bytes:
    """A data set of explicit VR, little endian."""
    return b"".join(_element(int(tag, 16), vr, value) for tag, (vr, value) in sorted(elements.items()))


def _element(tag: int, vr: str, value: Any) -> bytes:
    if vr == "SQ":
        items = [data_set_bytes(item) for item in value]
        raw = b"".join(struct.pack("<HHI", 0xFFFE, 0xE000, len(item)) + item for item in items)
    elif isinstance(value, bytes):
        raw = value
    elif vr in _NUMBERS and value:
        texts = value.split("\\")
        numbers = [float(text) if vr in {"FL", "FD"} else int(text) for text in texts]
        raw = struct.pack(f"<{len(numbers)}{_NUMBERS[vr]}", *numbers)
    else:
        raw = value.encode()
    if len(raw) % 2:
        raw += b"\0" if vr in {"UI", "OB", "OW", "UN"} else b" "
    head = struct.pack("<HH", tag >> 16, tag & 0xFFFF) + vr.encode()
    return head + (struct.pack("<HI", 0, len(raw)) if vr in _LONG else struct.pack("<H", len(raw))) + raw


def object_bytes(elements: Elements, syntax: str = EXPLICIT, *, more_meta: Elements | None = None) -> bytes:
    """A file: preamble, meta information and data set. Texts are UTF-8 where they are no ASCII, and say so."""
    elements = dict(elements) or {"00080060": ["CS", "OT"]}
    if "00080005" not in elements and not all(part.isascii() for part in _texts(elements)):
        elements["00080005"] = ["CS", "ISO_IR 192"]
    meta: Elements = {
        "00020001": ["OB", b"\0\1"],
        "00020002": ["UI", "1.2.840.10008.5.1.4.1.1.4"],
        "00020003": ["UI", "1.2.3"],
        "00020010": ["UI", syntax],
        **(more_meta or {}),
    }
    raw = data_set_bytes(meta)
    return bytes(128) + b"DICM" + _element(0x00020000, "UL", str(len(raw))) + raw + data_set_bytes(elements)


def _texts(elements: Elements) -> list[str]:
    texts: list[str] = []
    for _, value in elements.values():
        if isinstance(value, str):
            texts.append(value)
        elif isinstance(value, list):
            texts += [text for item in value for text in _texts(item)]
    return texts


def with_version(script: str) -> str:
    return script if script.lstrip().startswith("version") else f'version "6.6"\n{script}'


def context(**more: Any) -> ScriptContext:
    return ScriptContext(key=KEY, **more)


def run(script: str, obj: DicomObject, given: ScriptContext | None = None) -> ScriptOutcome:
    return run_scripts([parse_script(with_version(script))], obj, given or context())


def changed(script: str, elements: Elements, given: ScriptContext | None = None, **meta: Any) -> pydicom.Dataset:
    """What a script makes of an object, as pydicom reads it."""
    obj = parse(object_bytes(elements, **meta))
    outcome = run(script, obj, given)
    assert not outcome.rejected
    return read_back(obj)


def read_back(obj: DicomObject) -> pydicom.FileDataset:
    data = b"".join(bytes(part) for part in encode(obj))
    return pydicom.dcmread(io.BytesIO(data))


def value_at(data: pydicom.Dataset, path: str) -> str | None:
    """The text at a path as `00081032[0]/00100010`; None where there is none."""
    *outer, last = path.split("/")
    for step in outer:
        tag, _, number = step.rstrip("]").partition("[")
        items = data[int(tag, 16)].value if int(tag, 16) in data else []
        if int(number) >= len(items):
            return None
        data = items[int(number)]
    tag, _, number = last.rstrip("]").partition("[")
    if int(tag, 16) == 0x00020016 and isinstance(data, pydicom.FileDataset):
        data = data.file_meta
    if int(tag, 16) not in data:
        return None
    element = data[int(tag, 16)]
    if number:
        return f"elements {len(element.value[int(number)])}"
    if element.VR == "SQ":
        return f"items {len(element.value)}"
    return text_of(element)


def text_of(element: pydicom.DataElement) -> str:
    value = element.value
    if value is None:
        return ""
    if isinstance(value, bytes):
        return value.decode().rstrip("\0 ")
    values = value if element.VM > 1 else [value]
    return "\\".join(f"{one:g}" if isinstance(one, float) else str(one) for one in values)
