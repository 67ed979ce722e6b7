"""Objects for the tests of trees, and their bytes again."""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable, Sequence

from pydicom import Dataset, dcmread

from scandock.deidentification.data_set import DataSet, DicomObject, Range
from scandock.deidentification.encoding import Part, encode
from scandock.deidentification.parsing import parse
from scandock.deidentification.verification import verify
from tests.unit.formats_dicom.build import BIG, DATASET, DEFLATED, EXPLICIT, IMPLICIT, PIXELS, Writer, meta

SYNTAXES = {EXPLICIT: Writer(), IMPLICIT: Writer(explicit=False), BIG: Writer(big=True)}


def body(write: Writer, *extra: tuple[int, bytes], pixels: bytes | None = bytes(8)) -> bytes:
    """A data set with further elements, each where its tag has its place."""
    elements = [(number, write.element(number, *value)) for number, value in DATASET.items()]
    elements += extra
    if pixels is not None:
        elements.append((PIXELS, write.element(PIXELS, "OW", pixels)))
    return b"".join(raw for _, raw in sorted(elements, key=lambda element: element[0]))


def whole(syntax: str, data_set: bytes, preamble: bytes = bytes(128)) -> bytes:
    return preamble + b"DICM" + meta(syntax) + data_set


def deflated(data_set: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return whole(DEFLATED, packer.compress(data_set) + packer.flush())


def joined(parts: Sequence[Part], original: bytes = b"") -> bytes:
    return b"".join(original[part.start : part.end] if isinstance(part, Range) else bytes(part) for part in parts)


def written(obj: DicomObject) -> bytes:
    """The object's bytes, verified."""
    parts = encode(obj)
    verify(obj, parts)
    return joined(parts, bytes(obj.original))


def reader(data: bytes) -> Callable[[int, int], bytes]:
    """What gives ranges of an object."""
    return lambda start, end: data[start:end]


def items_of(data_set: DataSet, tag: int) -> list[DataSet]:
    """The items of what has some."""
    items = data_set.items(tag)
    assert items is not None
    return items


def pydicom_of(obj: DicomObject) -> Dataset:
    return dcmread(io.BytesIO(written(obj)), force=True)


def same_again(data: bytes) -> DicomObject:
    """The object, which nothing changed has the same bytes."""
    obj = parse(data)
    assert written(obj) == data
    return parse(data)
