"""Objects that are alike: what becomes of one is known from another, but for the few elements in which they differ.

The headers of a series are the same, byte for byte, between some elements: ids, numbers, positions, times. Where an
object fits such a mold, and nothing that is made of it depends on what stands in the gaps but the gaps themselves, the
new header is the other one's with its gaps filled: element by element, by the same actions. What was filled is read
again by a mold of its own, which was made of a header that the verification had walked to its end; so its facts are
known without another scan. Everything else goes through `scrub` as ever.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from scandock.deidentification.data_set import EditedPixels, Range
from scandock.deidentification.errors import OutcomeUnexpected, ScrubError
from scandock.deidentification.mold import Mold
from scandock.deidentification.profile.actions import actions_of, days_of, gone, is_by_others, same
from scandock.deidentification.profile.always import SOP, SOP_IN_META, uid_element
from scandock.deidentification.profile.method import OF_METHOD
from scandock.deidentification.profile.pixel_length import OF_LENGTH
from scandock.deidentification.profile.residue import RESIDUE, is_clean
from scandock.deidentification.scrub import Context, Failed, Rules, Scrubbed, ScrubResult, is_dicomdir, scrub
from scandock.deidentification.trace import Trace
from scandock.deidentification.walking import Budget, fragments_end, walk_data_set
from scandock.formats.dicom_encoding import LITTLE, UNDEFINED, DeclinedError, ShortError
from scandock.formats.dicom_object import MAX_UID, Header, uid_text
from scandock.model.dataclass import dataclass
from scandock.model.tags import NUMBERS, PIXEL_DATA

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from scandock.deidentification.data_set import DicomObject
    from scandock.deidentification.encoding import Part
    from scandock.deidentification.profile.actions import Renewal
    from scandock.deidentification.profile.identity import Identity
    from scandock.deidentification.walking import Entry
    from scandock.formats.dicom_encoding import Buffer
    from scandock.rules.notices import Notice

    _Gaps = tuple[list[bytes], int]
    """The elements in the gaps of a mold, and where the header ends."""

_LONGEST: Final = 262_144
"""Bytes of a header that is remembered."""
_SLACK: Final = 1_024
"""Bytes by which the header of another object may be longer."""
_MOST: Final = 8
"""Molds, and kinds of headers, that are remembered."""
_MOST_CREDIT: Final = 64
_COST: Final = 4
"""Of a mold, which takes longer than a scrub: objects that fit give the credit by which others are made."""
_SELDOM: Final = 128
_PAIR: Final = 2
"""Objects in a row that fit no mold, of which this many are remembered without credit."""
_META: Final = 132
"""Where meta information starts, behind a preamble."""
_META_GROUP: Final = 2
_SHORT: Final = 8
"""Bytes before the value of an element whose VR has a length of two bytes."""
_CHARACTER_SET: Final = 0x00080005
_CODES: Final = frozenset({0x00080100, 0x00080119, 0x00080120})
"""Codes themselves: elements beside them are judged otherwise."""
_PROVED: Final = 16
"""One of so many objects that are known by a mold, the first included, is de-identified alone as well, and compared."""
_SELDOM_PROVED: Final = 64
"""The same once a mold has proved itself `_PROVED` times."""
_NO_GAPS: Final = frozenset(
    (
        *(_CHARACTER_SET, 0x00280103, *OF_LENGTH, *OF_METHOD, *PIXEL_DATA),
        *(NUMBERS[keyword] for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPClassUID")),
    )
)
"""What others are read or judged by, what says whose an object is, and what is written whatever stood there."""
_NEW_EACH_TIME: Final = "newUID"
"""The function of scripts that answers something else each time."""


class Alike:
    """What objects became by some rules and variables: each one becomes what `scrub` would make of it.

    Bounded. Of what an object had in its pixels, and of long headers, nothing is kept.
    """

    def __init__(self, rules: Rules, context: Context) -> None:
        self.rules = rules
        self.context = context
        self._plans: list[_Plan] = []
        self._models: dict[tuple[tuple[int, int], ...], tuple[_Model, frozenset[int]]] = {}
        """The last header of a kind, by the tags and VRs of its elements, and the tags that were seen to differ."""
        self._longest = 0
        self._unfit = 0
        """Objects in a row that fitted no mold."""
        self._credit = _MOST_CREDIT
        is_new = any(_NEW_EACH_TIME in script.text for script in rules.scripts)
        self._learns = not (is_new or rules.policy.changes_objects or context.watch is not None)
        self._found: tuple[Buffer, _Plan | None, _Gaps | None] | None = None
        """The object that was read last, and by what."""

    def read(self, data: Buffer) -> Header | None:
        """The header of a whole object as it came, as the scan would read it; None where it is not known by another."""
        plan, gaps = self._find(data) if self._plans else (None, None)
        self._found = data, plan, gaps
        return plan.original(gaps) if plan is not None and gaps is not None else None

    def scrub(self, data: Buffer) -> ScrubResult:
        """De-identify a whole object. Where that tells no header, `learn` is to be given the one that is read of it."""
        plan, known = self._by_another(data) if self._plans else (None, None)
        if plan is not None and known is not None:
            self._unfit = 0
            self._credit = min(self._credit + 1, _MOST_CREDIT)
            return self._proved(data, known) if plan.is_to_prove() else known
        self._unfit += 1
        is_noted = self._learns and (self._credit >= _COST or self._unfit % _SELDOM < _PAIR)
        trace = Trace() if is_noted else None
        result = scrub(data, rules=self.rules, context=self.context, trace=trace)
        return replace(result, trace=trace) if isinstance(result, Scrubbed) else result

    def _proved(self, data: Buffer, known: Scrubbed) -> ScrubResult:
        """What was known by another, which has to be what the object becomes alone: else nothing is known any more.

        Then it fails, and with it its session: those before it may be wrong, too.
        """
        alone = scrub(data, rules=self.rules, context=self.context)
        if (
            isinstance(alone, Scrubbed)
            and alone.warnings == known.warnings
            and _join(data, alone) == _join(data, known)
        ):
            return known
        self._learns, self._plans = False, []
        error = OutcomeUnexpected("What was known by objects before it is not what becomes of it.")
        return Failed(error.code, error.message)

    def _by_another(self, data: Buffer) -> tuple[_Plan | None, Scrubbed | None]:
        found, self._found = self._found, None
        if found is None or found[0] is not data:
            found = data, *self._find(data)
        _, plan, gaps = found
        if plan is None or gaps is None:
            return None, None
        known = plan.scrub(data, gaps)
        if known is None:
            plan, gaps = self._find(data, plan)
            known = plan.scrub(data, gaps) if plan is not None and gaps is not None else None
        return plan, known

    def _find(self, data: Buffer, but: _Plan | None = None) -> tuple[_Plan | None, _Gaps | None]:
        """The mold that an object fits, from now on the first to be tried, and what stands in its gaps."""
        head = data if isinstance(data, bytes) else bytes(data[: self._longest])
        if not is_dicomdir(head):
            for index, plan in enumerate(self._plans):
                gaps = plan.read(data, head) if plan is not but else None
                if gaps is not None:
                    if index:
                        self._plans.insert(0, self._plans.pop(index))
                    return plan, gaps
        return None, None

    def learn(self, result: Scrubbed, header: Header, original: Header | None = None) -> None:
        """Remember what became of an object, while its bytes are there.

        `header` is the new one, and `original` that of the object as it came, as the scan has read them.
        """
        if result.trace is None:
            return
        self._credit = max(self._credit - _COST, 0)
        try:
            model = _model_of(result, header)
            if model is not None:
                if original is not None and original.preamble and not original.notes:
                    model.original = original.copy()
                self._learn(model, result.trace)
        except (ScrubError, DeclinedError, ShortError):
            return

    def _learn(self, model: _Model, trace: Trace | None) -> None:
        model.renewals = dict(self._renewals(model, trace))
        before, differing = self._models.pop(model.kind, (None, frozenset[int]()))
        if before is not None:
            differing |= {tag for tag in model.entries if model.element(tag) != before.element(tag)}
        if len(self._models) >= _MOST:
            self._models.clear()
        self._models[model.kind] = model, differing
        gaps = _gaps_of(model, differing)
        if not gaps:
            return
        plan = _Plan(model, gaps)
        agreed = [plan.agrees(one) for one in (model, before) if one is not None]
        if False in agreed:
            self._learns, self._plans = False, []
        if not all(agreed[:1]):
            return
        kept = self._plans[: _MOST - 1] if self._credit else []
        self._plans = [plan, *kept]
        self._longest = max(one.size for one in self._plans) + _SLACK

    def _renewals(self, model: _Model, trace: Trace | None) -> Iterator[tuple[int, Renewal]]:
        """The elements that may be gaps: on which nothing depends but what becomes of themselves."""
        assert trace is not None
        profile, context = self.rules.profile, self.context
        actions, days, charset = None, 0, model.element(_CHARACTER_SET)
        if profile is not None and trace.identity is not None:
            actions = actions_of(profile, context.key, context.stored_uids)
            days = days_of(profile, trace.identity, key=context.key, project=context.variables.get("project", ""))
        for tag, (start, vr, value, _) in model.entries.items():
            if tag in trace.reads or tag in _NO_GAPS:
                continue
            is_short = value - start == _SHORT
            if not is_short and LITTLE.length(model.head, value - 4)[0] == UNDEFINED:
                continue
            renewal: Renewal | None
            if tag >> 16 == _META_GROUP:
                is_named = tag == SOP_IN_META and tag not in trace.scripted
                renewal = same if is_named and (actions is None or SOP in model.new_entries) else None
            elif tag in trace.scripted:
                renewal = gone if trace.scripted[tag] is None else None
            elif actions is not None:
                renewal = actions.renewal(days, tag, vr, charset)
            else:
                renewal = same if vr not in LITTLE.sequences else None
            if renewal is not None and (is_short or renewal is gone or tag not in model.header.values):
                yield tag, renewal


def _join(data: Buffer, result: Scrubbed) -> bytes:
    """The new object as a whole; no part of one that is known by another, or becomes the same, is edited."""
    view = memoryview(data)
    return b"".join(
        view[part.start : part.end] if isinstance(part, Range) else part
        for part in result.parts
        if not isinstance(part, EditedPixels)
    )


def _gaps_of(model: _Model, differing: frozenset[int]) -> list[int]:
    """The gaps of a mold: what has differed before, and the instance in meta information, which a profile repeats."""
    gaps = differing & model.renewals.keys()
    if model.has_profile and SOP in gaps and (SOP_IN_META in model.entries or SOP_IN_META in model.new_entries):
        gaps = gaps | {SOP_IN_META} if SOP_IN_META in model.renewals else gaps - {SOP}
    return [tag for tag in model.entries if tag in gaps]


@dataclass(slots=True)
class _Model:
    """An object as it was read, and the new one that was written of it: their bytes before their pixel data."""

    head: bytes
    entries: Mapping[int, Entry]
    """Its elements by tag, those of the meta information first."""
    pixel_length: int | None
    """The length of pixel data as it is written; None where there are none."""
    new_head: bytes
    new_entries: Mapping[int, Entry]
    new_end: int
    """Where the elements before the pixel data end."""
    keeps_pixels: bool
    warnings: tuple[Notice, ...]
    header: Header
    identity: Identity | None
    has_profile: bool
    renewals: Mapping[int, Renewal]
    original: Header | None = None

    @property
    def kind(self) -> tuple[tuple[int, int], ...]:
        return tuple((tag, entry[1]) for tag, entry in self.entries.items())

    def element(self, tag: int) -> bytes:
        """The bytes of an element, b"" where there is none."""
        entry = self.entries.get(tag)
        return self.head[entry[0] : entry[3]] if entry is not None else b""

    def new_place(self, tag: int) -> tuple[int, int]:
        """Where an element stands in the new header, or would stand."""
        entry = self.new_entries.get(tag)
        if entry is not None:
            return entry[0], entry[3]
        at = next((entry[0] for other, entry in self.new_entries.items() if other > tag), self.new_end)
        return at, at


def _model_of(result: Scrubbed, header: Header) -> _Model | None:
    """What is remembered of an object; None of one that is written in an unusual way, or that has residue."""
    trace = result.trace
    if trace is None or trace.obj is None or trace.written is None or not trace.is_plain or not _is_usual(trace.obj):
        return None
    obj, new, new_head = trace.obj, trace.written, result.parts[0]
    meta, pixels, original = obj.meta, obj.pixels, obj.original
    if meta is None or isinstance(new_head, (Range, EditedPixels)) or not header.preamble:
        return None
    end = pixels.place.start if pixels is not None else len(original)
    if end > _LONGEST or len(result.parts) != (1 if new.pixels is None else 2):
        return None
    entries = meta.elements | {tag: entry for tag, entry in obj.data.elements.items() if tag not in PIXEL_DATA}
    noted = entries.keys() | trace.scripted.keys()
    if _CHARACTER_SET in trace.scripted or any(tag in _CODES or (tag & 0xFFFF and is_by_others(tag)) for tag in noted):
        return None
    charset = entries.get(_CHARACTER_SET)
    if charset is not None and charset[2] - charset[0] != _SHORT:
        return None
    if trace.reads & PIXEL_DATA or any(notice.code == RESIDUE for notice in result.warnings):
        return None
    new_head = bytes(new_head)
    new_meta = walk_data_set(new_head, _META, header.dataset_at, LITTLE, Budget(), explicit=True)
    length = None
    if pixels is not None:
        length = UNDEFINED if pixels.is_encapsulated else pixels.place.end - pixels.place.start
    return _Model(
        head=bytes(original[:end]),
        entries=entries,
        pixel_length=length,
        new_head=new_head,
        new_entries=new_meta.elements | new.elements,
        new_end=new.pixels.at if new.pixels is not None else len(new_head),
        keeps_pixels=new.pixels is not None,
        warnings=result.warnings,
        header=header,
        identity=trace.identity,
        has_profile=trace.identity is not None,
        renewals={},
    )


def _is_usual(obj: DicomObject) -> bool:
    """Whether an object is of those that molds are made of, with nothing behind its pixel data."""
    data, pixels = obj.data, obj.pixels
    if not obj.preamble or obj.deflated or obj.trailing or not obj.whole or not data.explicit or data.big:
        return False
    if pixels is None:
        return True
    return not pixels.is_odd and not pixels.edits and pixels.tag in data.elements and data.stop == pixels.place.end


class _Plan:
    """What becomes of the objects that fit a mold."""

    __slots__ = (
        *("_filled", "_header", "_identity", "_keeps_pixels", "_mold", "_new_mold", "_original", "_original_values"),
        *("_pixel_length", "_renewals", "_sop", "_sop_in_meta", "_used", "_values", "_warnings", "size"),
    )

    def __init__(self, model: _Model, gaps: Sequence[int]) -> None:
        self._mold = Mold(model.head, [model.entries[tag] for tag in gaps])
        self.size = self._mold.size
        self._used = -1
        self._pixel_length, self._keeps_pixels = model.pixel_length, model.keeps_pixels
        self._identity, self._header, self._warnings = model.identity, model.header, model.warnings
        filled = [tag for tag in gaps if model.renewals[tag] is not gone]
        self._renewals = [(gaps.index(tag), model.renewals[tag]) for tag in filled]
        pieces: list[bytes] = []
        at = 0
        for tag in filled:
            start, end = model.new_place(tag)
            pieces += (model.new_head[at:start], b"")
            at = end
        self._filled = [*pieces, model.new_head[at:]]
        there = [tag for tag in filled if tag in model.new_entries]
        self._new_mold = Mold(model.new_head, [model.new_entries[tag] for tag in there])
        self._values = [(tag, at) for at, tag in enumerate(there) if tag in model.header.values]
        self._original = original = model.original
        wanted = original.values if original is not None else {}
        self._original_values = [(tag, at) for at, tag in enumerate(gaps) if tag in wanted]
        if any(model.entries[tag][2] - model.entries[tag][0] != _SHORT for tag, _ in self._original_values):
            self._original = None
        self._sop = filled.index(SOP) if SOP in filled else -1
        self._sop_in_meta: tuple[int, int, bytes | None] | None = None
        """Its lengths, which those of the meta information count; what the new one repeats, None where it stays."""
        if SOP_IN_META in gaps:
            start, end = model.new_place(SOP_IN_META)
            known = None
            if model.has_profile:
                _, _, *sop = model.new_entries[SOP]
                known = model.new_head[slice(*sop)]
            self._sop_in_meta = len(model.element(SOP_IN_META)), end - start, known

    def read(self, data: Buffer, head: bytes) -> _Gaps | None:
        """What stands in the gaps of an object that begins with `head`; None where it does not fit."""
        gaps = self._gaps(head)
        try:
            return gaps if gaps is not None and self._ends(data, gaps[1]) else None
        except (DeclinedError, ShortError):
            return None

    def original(self, gaps: _Gaps) -> Header | None:
        """The header of an object as it came."""
        known = self._original
        return _renewed(known, self._original_values, gaps[0]) if known is not None else None

    def scrub(self, data: Buffer, gaps: _Gaps) -> Scrubbed | None:
        """What becomes of an object by what stands in its gaps; None where that is unusual."""
        try:
            found = self._fill(gaps[0])
        except ScrubError:
            return None
        if found is None:
            return None
        new_head, header = found
        parts: tuple[Part, ...] = (new_head, memoryview(data)[gaps[1] :]) if self._keeps_pixels else (new_head,)
        return Scrubbed(parts, self._warnings, header)

    def is_to_prove(self) -> bool:
        """Whether the object that this was used for is to be de-identified alone as well; counts it."""
        self._used += 1
        return not self._used % (_PROVED if self._used <= _PROVED * _PROVED else _SELDOM_PROVED)

    def agrees(self, model: _Model) -> bool | None:
        """Whether it makes of an object what was made of it; None where that does not fit."""
        gaps = self._gaps(model.head)
        found = self._fill(gaps[0]) if gaps is not None else None
        if gaps is None or found is None:
            return None
        original = self.original(gaps)
        return found == (model.new_head, model.header) and (original is None or original == model.original)

    def _gaps(self, head: bytes) -> _Gaps | None:
        gaps = self._mold.read(head)
        if gaps is None or self._sop_in_meta is None or len(gaps[0][0]) == self._sop_in_meta[0]:
            return gaps
        return None  # the data set begins elsewhere, whether the length of the meta information says so or not

    def _ends(self, data: Buffer, at: int) -> bool:
        """Whether an object ends with its pixel data, whose value begins at `at`."""
        length = self._pixel_length
        if length is None:
            return at == len(data)
        return (at + length if length != UNDEFINED else fragments_end(data, at, LITTLE)) == len(data)

    def _fill(self, elements: list[bytes]) -> tuple[bytes, Header] | None:
        """The new header, and what is known of it."""
        filled = [renew(elements[index]) for index, renew in self._renewals]
        sop = filled[self._sop][_SHORT:] if self._sop >= 0 else None
        if sop is not None and self._identity is not None:
            uid_element(SOP_IN_META, sop)  # no UID is a reason to fail, also where the meta information has none
        if self._sop_in_meta is not None:
            _, new_length, repeated = self._sop_in_meta
            if repeated is not None:
                filled[0] = uid_element(SOP_IN_META, sop if sop is not None else repeated)[4] or b""
            if len(filled[0]) != new_length:
                return None
        parts = self._filled.copy()
        parts[1::2] = filled
        new_head = b"".join(parts)
        written = self._new_mold.read(new_head)
        expected = [element for element in filled if element]
        if written is None or written[1] != len(new_head) or written[0] != expected:
            return None
        if self._identity is not None and not is_clean(b"".join(expected), self._identity):
            return None
        header = _renewed(self._header, self._values, written[0])
        return (new_head, header) if header is not None else None


def _renewed(known: Header, places: list[tuple[int, int]], elements: list[bytes]) -> Header | None:
    """A header by another one and the elements in its gaps; None where it is unusual."""
    values = known.values.copy()
    for tag, index in places:
        values[tag] = elements[index][_SHORT:]
    raw = values.get(SOP) or b""
    sop_uid = uid_text(raw)
    if not sop_uid or len(raw) > MAX_UID:  # with its padding, as the verification has it
        return None
    return Header(
        *(values, known.transfer_syntax, known.implicit, known.big_endian, known.dataset_at, known.preamble),
        *(known.pixels, known.study_uid, known.series_uid, sop_uid, known.sop_class),
    )
