"""Values of many objects, counted by series: cheap at each object, decoded when asked (xnat-behaviour.md 4.4, 4.5)."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple

from scandock.formats.dicom_encoding import BIG, ITEM, LITTLE, ByteOrder
from scandock.formats.dicom_items import elements, first_item, items
from scandock.formats.dicom_text import decode_value
from scandock.model.series import REFERENCES, REQUESTS, SeriesTally
from scandock.model.tags import NUMBERS, PER_OBJECT, SEQUENCES, TAGS, Tag

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scandock.formats.dicom_header import Header
    from scandock.formats.dicom_object import SharedValues

_CHARSET: Final = NUMBERS["SpecificCharacterSet"]
_FRAMES: Final = NUMBERS["NumberOfFrames"]
_TRACER: Final = NUMBERS["RadiopharmaceuticalInformationSequence"]
_SHARED: Final = NUMBERS["SharedFunctionalGroupsSequence"]
_PER_FRAME: Final = NUMBERS["PerFrameFunctionalGroupsSequence"]
_REFERRED: Final = NUMBERS["ReferencedSeriesSequence"]
_EVIDENCE: Final = NUMBERS["CurrentRequestedProcedureEvidenceSequence"]
_SERIES_UID: Final = NUMBERS["SeriesInstanceUID"]
_REQUESTS: Final = NUMBERS["RequestAttributesSequence"]
_STEP_ID: Final = 0x00400009
_PROCEDURE_ID: Final = 0x00401001
_UNCOUNTED: Final = PER_OBJECT | SEQUENCES
_GROUPS: Final = (_SHARED, _PER_FRAME)
"""Sequences that are looked into in each object, as its frames' values are in them."""
FOLD_AT: Final = 4096
"""Distinct raw values that one bucket holds before they are decoded into the (bounded) tally of the series."""
OBJECTS: Final = 256
"""How many objects are added to a tally, at most, before it is drained: at worst they hold 400 MB."""
_TEXT: Final = 1_024
_LONG_TEXT: Final = 10_240
"""Characters of a text that are kept; PS3.5 allows 64 in a name or code, 10,240 in a comment (LT)."""
_LONG: Final = frozenset({"LT", "ST", "UC", "UN", "UT"})
_MOST_REFERENCES: Final = 100
"""Series that one object is said to refer to."""
_MOST_REQUESTS: Final = 20
"""Items of a RequestAttributesSequence that are kept."""
_MOST_FRAMES: Final = 1 << 31

_OF_TRACERS: Final = {
    0x00180031: Tag(0x00180031, "LO", "Radiopharmaceutical"),
    0x00181072: Tag(0x00181072, "TM", "RadiopharmaceuticalStartTime"),
    0x00181074: Tag(0x00181074, "DS", "RadionuclideTotalDose"),
    0x00181075: Tag(0x00181075, "DS", "RadionuclideHalfLife"),
    0x00181078: Tag(0x00181078, "DT", "RadiopharmaceuticalStartDateTime"),
}
_TRACER_CODES: Final = {0x00540300: "RadionuclideCodeMeaning", 0x00540304: "RadiopharmaceuticalCodeMeaning"}
_CODE_MEANING: Final = 0x00080104

_PLAIN: Final = {
    number: tag
    for number, tag in TAGS.items()
    if number >> 16 == 0x0018 or tag.keyword in {"ImageOrientationPatient", "PixelSpacing"} or "Rescale" in tag.keyword
}
"""Elements that stand in macros under the very tag that plain objects have at top level."""
_RENAMED: Final = {
    0x00189082: Tag(NUMBERS["EchoTime"], "FD", "EchoTime"),
    0x00189079: Tag(NUMBERS["InversionTime"], "FD", "InversionTime"),
    0x00189220: Tag(NUMBERS["ActualFrameDuration"], "FD", "ActualFrameDuration"),
    0x00189328: Tag(NUMBERS["ExposureTime"], "FD", "ExposureTime"),
    0x00189330: Tag(NUMBERS["XRayTubeCurrent"], "FD", "XRayTubeCurrent"),
    0x00189332: Tag(NUMBERS["Exposure"], "FD", "Exposure"),
    0x00189335: Tag(NUMBERS["DistanceSourceToPatient"], "FD", "DistanceSourceToPatient"),
}
"""Elements that enhanced objects have in the place of a plain one, of the same meaning and unit."""


class _AlikeObjects:
    """Objects that have values in common: how many, and of which elements each has a value that counts."""

    __slots__ = ("count", "differing")

    def __init__(self, differing: tuple[int, ...]) -> None:
        self.count = 0
        self.differing = differing


class _Bucket:
    """Objects of one series that are written alike: same character set, byte order and kind of VR."""

    __slots__ = ("alike", "big_endian", "charsets", "counts", "nested", "objects", "referred", "requested", "traced")

    def __init__(self, charsets: bytes | None, *, big_endian: bool) -> None:
        self.charsets = charsets
        self.big_endian = big_endian
        self.objects = 0
        self.counts: Counter[tuple[int, bytes]] = Counter()
        self.alike: dict[SharedValues, _AlikeObjects] = {}
        """Objects of which `counts` has what differs alone."""
        self.nested: dict[str, str] = {}
        self.traced = False
        self.referred = False
        self.requested = False

    def fold(self, into: SeriesTally, vrs: dict[int, str]) -> None:
        """Decode what was counted into the series' tally, and start anew."""
        into.objects += self.objects
        for shared, objects in self.alike.items():
            for tag, raw in shared.values.items():
                if tag not in _UNCOUNTED:
                    self.counts[tag, raw] += objects.count
        self.alike.clear()
        framed = 0
        for (tag, raw), count in self.counts.items():
            text = decode_value(raw, vr := vrs[tag], self.charsets, self.big_endian)[
                : _LONG_TEXT if vr in _LONG else _TEXT
            ]
            if text:
                into.add(tag, text, count)
            if tag == _FRAMES:
                framed += count
                into.frames += count * _frames(text)
        into.frames += self.objects - framed
        for keyword, text in self.nested.items():
            into.nested.setdefault(keyword, text)
        self.objects = 0
        self.counts.clear()


class Tally:
    """Counts of objects, by (study, series). `add` costs some microseconds, `drain` decodes.

    An object holds up to 1.5 MB of values, in a series of its own even then when they are decoded: who adds drains
    every few hundred objects (`OBJECTS`).
    """

    def __init__(self) -> None:
        self._buckets: dict[tuple[str, str, bytes | None, bool], _Bucket] = {}
        self._series: dict[tuple[str, str], SeriesTally] = {}
        self._vrs = _Representations({number: tag.vr for number, tag in TAGS.items()})

    def add(self, header: Header, shared: SharedValues | None = None) -> None:
        """Count the values of one object. Sequences give their inner values; SOP UIDs and the like are not counted.

        `shared`: what its values have in common with those of others, where that is known.
        """
        values = header.values
        charsets = values.get(_CHARSET)
        key = (header.study_uid, header.series_uid, charsets, header.big_endian)
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = _Bucket(charsets, big_endian=header.big_endian)
        alike = bucket.alike.get(shared) if shared is not None else None
        if alike is not None:
            alike.count += 1
            counts = bucket.counts
            for tag in alike.differing:
                counts[tag, values[tag]] += 1
        else:
            self._count_all(header, bucket)
            if shared is not None and not any(tag in values for tag in _GROUPS):
                bucket.alike[shared] = _AlikeObjects(tuple(shared.differing - _UNCOUNTED))
        bucket.objects += 1
        if len(bucket.counts) > FOLD_AT:
            self._fold(key, bucket)

    def _count_all(self, header: Header, bucket: _Bucket) -> None:
        """Count all values of an object, and look into its sequences."""
        values = header.values.copy()
        if _TRACER in values or any(tag in values for tag in _GROUPS):
            self._nested(header, bucket, values)
        if not bucket.referred and (_REFERRED in values or _EVIDENCE in values):
            bucket.referred = True
            _refer(header, bucket, values)
        if not bucket.requested and _REQUESTS in values:
            bucket.requested = True
            _note_requests(header, bucket, values[_REQUESTS])
        for tag in _UNCOUNTED:
            values.pop(tag, None)
        bucket.counts.update(values.items())

    def drain(self) -> list[SeriesTally]:
        """The tallies of all series since the last drain, decoded, in the order the series were first met."""
        for key, bucket in self._buckets.items():
            self._fold(key, bucket)
        drained = list(self._series.values())
        self._buckets, self._series = {}, {}
        return drained

    def _fold(self, key: tuple[str, str, bytes | None, bool], bucket: _Bucket) -> None:
        study, series = key[:2]
        into = self._series.get((study, series))
        if into is None:
            into = self._series[study, series] = SeriesTally(study, series)
        bucket.fold(into, self._vrs)

    def _nested(self, header: Header, bucket: _Bucket, values: dict[int, bytes]) -> None:
        """Look into the sequences of one object: the tracer once a bucket, functional groups for each object."""
        explicit, big = not header.implicit, header.big_endian
        if _TRACER in values and not bucket.traced:
            bucket.traced = True
            for value in tracer_values(values[_TRACER], bucket.charsets, explicit=explicit, big=big):
                bucket.nested.setdefault(value.tag.keyword, value.text)
        groups = [values[tag] for tag in (_SHARED, _PER_FRAME) if tag in values]
        for value in frame_values(groups, bucket.charsets, explicit=explicit, big=big):
            bucket.nested.setdefault(value.tag.keyword, value.text)
            values.setdefault(value.tag.number, value.raw)


def _refer(header: Header, bucket: _Bucket, values: dict[int, bytes]) -> None:
    """Note the series that an object refers to: itself, or among the evidence of a report."""
    order = BIG if header.big_endian else LITTLE
    uids = referenced_series(
        values.get(_REFERRED, b""), values.get(_EVIDENCE, b""), order, explicit=not header.implicit
    )
    if uids:
        bucket.nested.setdefault(REFERENCES, "\\".join(uids))


def _note_requests(header: Header, bucket: _Bucket, value: bytes) -> None:
    """Note which requested procedures and scheduled steps an object is said to be of."""
    order = BIG if header.big_endian else LITTLE
    requests: list[tuple[str, str]] = []
    for item in items(value, order, explicit=not header.implicit):
        ids = {
            element.number: decode_value(value[element.start : element.end], "SH", bucket.charsets, header.big_endian)
            for element in elements(value, item, order)
            if element.number in {_STEP_ID, _PROCEDURE_ID}
        }
        request = (ids.get(_STEP_ID, "")[:_TEXT], ids.get(_PROCEDURE_ID, "")[:_TEXT])
        if any(request) and len(requests) < _MOST_REQUESTS:
            requests.append(request)
    if requests:
        bucket.nested.setdefault(REQUESTS, json.dumps(requests))


class _Representations(dict[int, str]):
    """VR by tag; one that is not among the wanted comes from pydicom's dictionary, an unknown one is read as text."""

    def __missing__(self, tag: int) -> str:
        from pydicom.datadict import dictionary_VR

        try:
            vr = dictionary_VR(tag).split(" ")[0]
        except KeyError:
            vr = "UN"
        self[tag] = vr
        return vr


def _frames(text: str) -> int:
    """NumberOfFrames as a number; what is none, or not positive, counts as one frame."""
    try:
        return min(max(int(text.split("\\", 1)[0]), 1), _MOST_FRAMES)
    except ValueError:
        return 1


# -- values inside sequences: of the tracer (PS3.3 C.8.9.2) and of functional groups (C.7.6.16) ------------------------
# An enhanced multi-frame object has its acquisition values in macros of the shared groups, or of each frame's; of the
# frames the first one counts (xnat-behaviour.md 4.5).


class SequenceValue(NamedTuple):
    """A value found in a sequence: the plain element it stands for, and that element's raw value and text."""

    tag: Tag
    raw: bytes
    text: str


def tracer_values(value: bytes, charsets: bytes | None, *, explicit: bool, big: bool) -> Iterator[SequenceValue]:
    """Radiopharmaceutical, times, dose, half-life and code meanings from the first item of (0054,0016)."""
    order = BIG if big else LITTLE
    for number, raw, nested in _first_item(value, order, explicit=explicit):
        if number in _OF_TRACERS:
            tag = _OF_TRACERS[number]
            yield SequenceValue(tag, raw, decode_value(raw, tag.vr, charsets, big))
        elif number in _TRACER_CODES:
            for inner, meaning, _ in _first_item(raw, order, explicit=nested):
                if inner == _CODE_MEANING:
                    tag = Tag(0, "LO", _TRACER_CODES[number])
                    yield SequenceValue(tag, meaning, decode_value(meaning, "LO", charsets, big))


def frame_values(groups: list[bytes], charsets: bytes | None, *, explicit: bool, big: bool) -> Iterator[SequenceValue]:
    """What the macros of the functional groups say, shared groups before the first frame's, each element once."""
    order = BIG if big else LITTLE
    seen: set[str] = set()
    for value in groups:
        for macro, content, nested in _first_item(value, order, explicit=explicit):
            if macro >> 16 & 1 or not _is_sequence(content, order):
                continue
            for number, raw, _ in _first_item(content, order, explicit=nested):
                plain, renamed = _PLAIN.get(number), _RENAMED.get(number)
                tag = plain or renamed
                if tag is None or tag.keyword in seen or not raw:
                    continue
                seen.add(tag.keyword)
                text = decode_value(raw, tag.vr, charsets, big)
                yield SequenceValue(tag, raw if plain else text.encode(), text)


def referenced_series(referred: bytes, evidence: bytes, order: ByteOrder, *, explicit: bool) -> list[str]:
    """UIDs of the series of (0008,1115) in `referred`, and in each item of `evidence` (0040,A375), each once."""
    sequences = [(referred, explicit)]
    for item in items(evidence, order, explicit=explicit):
        sequences += [
            (evidence[element.start : element.end], item.explicit)
            for element in elements(evidence, item, order)
            if element.number == _REFERRED
        ]
    uids: dict[str, None] = {}
    for value, is_explicit in sequences:
        for item in items(value, order, explicit=is_explicit):
            for element in elements(value, item, order):
                if element.number == _SERIES_UID and len(uids) < _MOST_REFERENCES:
                    uids[value[element.start : element.end].decode("ascii", "replace").strip("\0 ")] = None
    return [uid for uid in uids if uid]


def _first_item(value: bytes, order: ByteOrder, *, explicit: bool) -> Iterator[tuple[int, bytes, bool]]:
    """(tag, raw value, explicit) of each element of a sequence's first item; what is cut or damaged ends it."""
    item = first_item(value, order, explicit=explicit)
    if item is not None:
        for element in elements(value, item, order):
            yield element.number, value[element.start : element.end], item.explicit


def _is_sequence(value: bytes, order: ByteOrder) -> bool:
    return len(value) >= 8 and order.pair(value, 0)[0] == order.key(ITEM)
