"""The fall-back: pydicom reads what the hot path declines, on bounded bytes, and whatever it raises is caught.

Imported only when first needed (pydicom costs 0.2 s). No pixel data, no conversion of values: raw bytes as in the
hot path. A budget on reads bounds time and memory, since pydicom builds an object for each item of a sequence.
"""

from __future__ import annotations

import io
import logging
import warnings
from contextlib import contextmanager
from dataclasses import field
from typing import TYPE_CHECKING, Any, Final

from scandock.formats.dicom_encoding import UNDEFINED
from scandock.formats.dicom_scan import SEQUENCE_BYTES, VALUE_BYTES
from scandock.model.dataclass import dataclass
from scandock.model.tags import PIXEL_DATA, SEQUENCES

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pydicom

DEFLATED: Final = b"1.2.840.10008.1.2.1.99"
_META_BYTES: Final = 65_536

READS: Final = 200_000
"""Calls of `read` that pydicom may make for one object: some 30,000 items."""


class BudgetError(Exception):
    """pydicom read more often than one object may cost."""


@dataclass(slots=True)
class PydicomFacts:
    """What pydicom made of the bytes.

    `failed` is the name of what it raised; the values are then those of the elements before that. `number`, `start`
    and `length` describe the last top-level element before pixel data, `pixel` is (start, length) of the pixel data
    element where it was reached.
    """

    values: dict[int, bytes] = field(default_factory=dict)
    implicit: bool = False
    big_endian: bool = False
    dataset_at: int = 0
    failed: str = ""
    number: int = 0
    start: int = 0
    length: int = 0
    pixel: tuple[int, int] | None = None

    def cut(self, size: int) -> bool:
        """Whether the last element goes beyond the end of an object of `size` bytes."""
        return self.length != UNDEFINED and self.start + self.length > size


class _Bytes(io.BytesIO):
    """The bytes at hand, with a budget."""

    reads = 0

    def read(self, size: int | None = -1, /) -> bytes:
        self.reads += 1
        if self.reads > READS:
            raise BudgetError
        return super().read(size)


class _Watch:
    """Told of each top-level element by pydicom: notes where elements stand, and stops at pixel data or at `before`."""

    def __init__(self, file: _Bytes, before: int | None) -> None:
        self.file = file
        self.before = before
        self.at = 0
        self.first = -1
        self.last = (0, 0, 0)
        self.pixel: tuple[int, int] | None = None
        self.ends: dict[int, int] = {}
        """For each wanted sequence the offset of its value, and that behind it (-1: not seen)."""
        self._open = -1

    def __call__(self, tag: int, vr: str | None, length: int) -> bool:
        value_at = self.file.tell()
        self.at = value_at - (12 if vr in _LONG else 8)
        if self.first < 0 or self.at < self.first + 8:  # pydicom peeks at the first one where the syntax misleads
            self.first = self.at
        if self._open >= 0:
            self.ends[self._open] = self.at
            self._open = -1
        if self.before is not None and self.at >= self.before:
            return True
        number = int(tag)
        if number in PIXEL_DATA:
            self.pixel = (value_at, length)
            return True
        self.last = (number, value_at, length)
        if number in SEQUENCES:
            self._open = value_at
        return False


_LONG: Final = frozenset(("OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"))


@contextmanager
def quiet_pydicom() -> Iterator[None]:
    """No warnings, no log lines and no validation from pydicom while it reads."""
    from pydicom import config

    logger = logging.getLogger("pydicom")
    disabled, mode = logger.disabled, config.settings.reading_validation_mode
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logger.disabled = True
        config.settings.reading_validation_mode = config.IGNORE
        try:
            yield
        finally:
            logger.disabled = disabled
            config.settings.reading_validation_mode = mode


def read_with_pydicom(data: bytes, tags: frozenset[int], *, inflated: bool = False) -> PydicomFacts:
    """Let pydicom read the header in `data`; never raises. `inflated`: only a data set, explicit little endian."""
    if not inflated and DEFLATED in data[:_META_BYTES]:
        return PydicomFacts(failed="DeflatedUnbounded")  # pydicom would inflate it whole before it looks at a tag
    with quiet_pydicom():
        facts, at = _attempt(data, tags, None, inflated=inflated)
        if facts.failed and at > 0:
            leading, _ = _attempt(data, tags, at, inflated=inflated)
            leading.failed = facts.failed
            return leading
    return facts


def _attempt(data: bytes, read_tags: frozenset[int], before: int | None, *, inflated: bool) -> tuple[PydicomFacts, int]:
    """One reading, up to the element at `before`; and where the last element stands that pydicom came to."""
    from pydicom.filereader import read_dataset, read_partial

    file = _Bytes(data)
    watch = _Watch(file, before)
    facts = PydicomFacts()
    tags: list[Any] = sorted(read_tags)
    try:
        if inflated:
            dataset: Any = read_dataset(file, False, True, stop_when=watch, specific_tags=tags)
            parts: list[Any] = [dataset]
        else:
            dataset = read_partial(file, stop_when=watch, force=True, specific_tags=tags)
            parts = [dataset.file_meta, dataset]
        facts.implicit, little = dataset.original_encoding
        facts.big_endian = not little
        for part in parts:
            _take(part, read_tags, data, watch.ends, facts.values)
    except Exception as error:  # noqa: BLE001 - hostile bytes make pydicom raise nearly anything, RecursionError too
        facts.failed = type(error).__name__
    facts.dataset_at = max(watch.first, 0)
    facts.number, facts.start, facts.length = watch.last
    facts.pixel = watch.pixel
    return facts, watch.at


def _take(
    part: pydicom.Dataset, tags: frozenset[int], data: bytes, ends: dict[int, int], into: dict[int, bytes]
) -> None:
    """Raw values of one pydicom data set; a sequence that pydicom has parsed is cut from the bytes again."""
    for tag in part.keys():  # noqa: SIM118 - iterating a Dataset converts its elements
        number = int(tag)
        if number not in tags:
            continue
        element = part.get_item(tag, keep_deferred=True)
        most = SEQUENCE_BYTES if number in SEQUENCES else VALUE_BYTES
        if element.is_raw:
            into[number] = (element.value or b"")[:most]
        elif number in SEQUENCES and element.file_tell is not None:
            end = ends.get(element.file_tell, -1)
            into[number] = data[element.file_tell : end if end >= 0 else len(data)][:most]
        else:  # a sequence of which it matters alone that it is there
            into[number] = b""
