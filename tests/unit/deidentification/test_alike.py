"""What becomes of an object by another one is what becomes of it alone, with the header that the scan would read."""

from __future__ import annotations

import random
import struct
from collections import Counter
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import settings

from scandock.deidentification import alike as alike_module
from scandock.deidentification.alike import Alike
from scandock.deidentification.errors import ScrubError
from scandock.deidentification.mold import Mold
from scandock.deidentification.profile import actions
from scandock.deidentification.profile.options import parse_profile
from scandock.deidentification.script.parser import parse_script
from scandock.deidentification.scrub import Context, Rules, Scrubbed, ScrubResult, scrub
from scandock.deidentification.walking import Budget, Entry, walk_data_set
from scandock.formats.dicom_encoding import LITTLE, DeclinedError, ShortError
from scandock.formats.dicom_header import Header, Unparseable, read_header
from scandock.formats.dicom_scan import read_meta
from scandock.model.tags import TAGS
from scandock.rules.privacy_policy import Policy
from tests.unit.deidentification.generated import CLASSES, make_object, written
from tests.unit.deidentification.mutation import bases, mutated
from tests.unit.deidentification.objects import joined
from tests.unit.deidentification.test_mutated_scrubs import SCRIPTS
from tests.unit.formats_dicom.build import JPEG, PIXELS, UNDEFINED, Writer
from tests.unit.formats_dicom.build import make_object as build

WRITE = Writer()
CONTEXT = Context(key=b"k" * 32, variables={"project": "P", "subject": "MARKSUBJECT", "session": "S1"})
WANTED = frozenset(TAGS)
SERIES = 300 if settings.get_current_profile_name() == "fuzz" else 40
PROFILES = (
    "",
    "basic",
    "basic,retain-uids,retain-full-dates,retain-device",
    "basic,modified-dates,clean-descriptors,clean-structured,clean-graphics,retain-patient,safe-private",
)
MORE_SCRIPTS = (
    "(0010,0010) := subject\n(0010,0020) := hashUID[(0010,0020)]\n",
    "removeAllPrivateTags\n- (0008,0020)\n- */(0008,0104)\n(0008,1030) := project\n",
    '(0008,0018) := hashUID[(0008,0018)]\nif ((0020,0013) = "9") { reject[] }\n',
    "(0020,4000) := newUID[]\n- (0020,4000)\n",
)
VALUES = (b"", b"7 ", b"-1.25 ", b"1\\2\\33", b"MARK0004", b"Head", b"\xff\xfe", b"19990101", b"MR", b"3", b"a" * 300)
"""Values, of which some fit no VR, one is of a patient, and one is of odd length."""


def rules(script: str = "", profile: str = "basic", **more: Any) -> Rules:
    scripts = (parse_script(f'version "6.6"\n{script}'),) if script else ()
    return Rules(scripts=scripts, profile=parse_profile(profile) if profile else None, **more)


class Run:
    """Objects through one memory of those before: each result is compared with that of the object alone."""

    def __init__(self, chosen: Rules, context: Context = CONTEXT) -> None:
        self.rules = chosen
        self.alike = Alike(chosen, context)
        self.by_another = self.read = 0
        self.outcomes: Counter[str] = Counter()

    def scrub(self, data: bytes, *, as_view: bool = False) -> ScrubResult:
        given = memoryview(data) if as_view else data
        original = header_of(data)
        if as_view:
            known = self.alike.read(given)
            self.read += known is not None
            if known is not None:
                assert original is not None
                assert known == original
                assert list(known.values) == list(original.values)
        result = self.alike.scrub(given)
        alone = scrub(data, rules=self.rules, context=self.alike.context)
        self.outcomes[type(alone).__name__] += 1
        if not isinstance(alone, Scrubbed) or not isinstance(result, Scrubbed):
            assert result == alone
            return result
        new = joined(alone.parts, data)
        assert joined(result.parts, data) == new
        assert result.warnings == alone.warnings
        header = header_of(new)
        if result.header is not None:
            self.by_another += 1
            assert header is not None
            assert result.header == header
            assert list(result.header.values) == list(header.values)
        elif header is not None:
            self.alike.learn(result, header, original)
            if original is not None:
                original.values.clear()  # as whoever has read it may do
        return result


def header_of(data: bytes) -> Header | None:
    """The header as the scan reads it; None of one that is not whole."""
    try:
        header = read_header(data, len(data), WANTED)
    except Unparseable:
        return None
    return header if not header.notes and header.pixels != "cut" else None


def entries_of(data: bytes) -> dict[int, Entry]:
    """The elements of what our walker reads as explicit little endian, those before the pixel data."""
    try:
        _, at = read_meta(data, 132, frozenset(), whole=True)
        found = walk_data_set(data, at, len(data), LITTLE, Budget(), explicit=True).elements
        return walk_data_set(data, 132, at, LITTLE, Budget(), explicit=True).elements | found
    except (DeclinedError, ShortError, ScrubError):
        return {}


def varied(data: bytes, tags: list[int], chance: random.Random) -> bytes:
    """The same object with other values of some elements."""
    entries = entries_of(data)
    for tag in sorted(tags, reverse=True):
        if tag not in entries or chance.random() < 0.2:
            continue
        _, vr, start, end = entries[tag]
        value = bytearray(data[start:end])
        how = chance.random()
        if vr in LITTLE.short and how < 0.2 and tag >> 16 != 2:
            value = bytearray(chance.choice(VALUES))
        elif value:
            value[chance.randrange(len(value))] = chance.choice(b"0123456789" if how < 0.9 else b"\0 \\AM\xe9")
        length = struct.pack("<H", len(value)) if vr in LITTLE.short else data[start - 4 : start]
        data = data[: start - len(length)] + length + bytes(value) + data[end:]
    return data


def test_series_become_what_they_become_object_by_object() -> None:
    """Of all kinds of objects, some damaged, with values in all kinds of elements that differ."""
    kinds = [*bases(), *(written(make_object(kind)) for kind in CLASSES)]
    objects = [*kinds, *[kind for kind in kinds if entries_of(kind)] * 9]
    scripts = [*MORE_SCRIPTS, *SCRIPTS]
    by_another, read, outcomes = 0, 0, Counter[str]()
    for seed in range(SERIES):
        chance = random.Random(seed)
        base = chance.choice(objects)
        tags = list(entries_of(base))
        some = chance.sample(tags, min(len(tags), chance.choice((1, 3, 8))))
        some += [0x00080018] * (chance.random() < 0.7) + [0x00020003] * (chance.random() < 0.5)
        text = chance.choice(scripts).replace('version "6.6"\n', "").replace('lookup["pid", "MARK0004"]', '"X"')
        run = Run(rules(text if chance.random() < 0.7 else "", chance.choice(PROFILES)))
        for _ in range(20):
            others = chance.sample(tags, min(2, len(tags))) if chance.random() < 0.1 else []
            data = varied(base, some + others, chance)
            try:
                run.scrub(data if chance.random() < 0.95 else mutated(seed), as_view=chance.random() < 0.5)
            except Exception as wrong:
                raise AssertionError(f"seed {seed}") from wrong
        by_another, read = by_another + run.by_another, read + run.read
        outcomes += run.outcomes
    assert by_another > SERIES
    assert read > SERIES / 2
    assert len(outcomes) == 3


def series(count: int, **more: Any) -> list[bytes]:
    """MR objects that differ as those of a series do: lengths, too."""
    return [
        build(
            {
                0x00080018: ("UI", f"1.2.3.4.{number + 100}"),
                0x00080032: ("TM", f"1011{number:02}.{'5' * (number % 3)}"),
                0x00200013: ("IS", str(number)),
                0x00200032: ("DS", f"{-1.5 * number}\\2\\3"),
                **more.get("changes", {}),
            },
            **{name: value for name, value in more.items() if name != "changes"},
        )
        for number in range(1, count + 1)
    ]


@pytest.mark.parametrize("script", [MORE_SCRIPTS[0], MORE_SCRIPTS[1], ""])
@pytest.mark.parametrize("profile", PROFILES)
def test_nearly_all_of_a_series_is_known_by_its_first_objects(script: str, profile: str) -> None:
    if not script and not profile:
        return
    run = Run(rules(script, profile))
    for data in series(40, pixels=bytes(32)):
        run.scrub(data, as_view=True)
    assert run.by_another >= 30
    assert run.read >= run.by_another
    for data in series(10, pixels=bytes(64)):  # other pixels: another mold
        run.scrub(data)
    assert run.by_another >= 37


def test_encapsulated_pixels_and_none_at_all() -> None:
    fragments = b"".join(WRITE.item(part) for part in (b"", b"\xff\xd8\xff\xd9"))
    end = struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
    packed = WRITE.element(PIXELS, "OB", length=UNDEFINED) + fragments
    for extra, syntax in ((packed + end, JPEG), (b"", None)):
        run = Run(rules())
        objects = series(12, extra=extra, pixels=None, **({"syntax": syntax} if syntax else {}))
        for data in objects:
            run.scrub(data)
        assert run.by_another == 10
        for data in (objects[3] + b"\0\0", objects[3][:-2], objects[3] + objects[3][-20:]):
            run.scrub(data)
        assert run.by_another == 10
    run.scrub(series(1, extra=packed, pixels=None, syntax=JPEG)[0])


def test_what_an_earlier_step_said_of_itself_is_no_gap() -> None:
    run = Run(rules())
    for number, data in enumerate(series(12)):
        at = data.index(b"\x18\0\x50\0")
        said = [WRITE.element(0x00120062, "CS", "NO" if number % 2 else "YES"), WRITE.element(0x00120063, "LO", "A")]
        run.scrub(data[:at] + b"".join(said) + data[at:])
    assert run.by_another >= 8


def test_lengths_of_groups_are_no_overlays() -> None:
    run = Run(rules(profile=PROFILES[3]))
    for data in series(12, extra=WRITE.element(0x7FE00000, "UL", struct.pack("<I", 44)), pixels=bytes(32)):
        run.scrub(data)
    assert run.by_another >= 8


def test_what_a_script_reads_or_makes_anew_is_no_gap() -> None:
    for script in (MORE_SCRIPTS[2], "(0020,4000) := (0020,0013)\n", '(0010,4000) := concatenate["a", (0008,0032)]\n'):
        run = Run(rules(script))
        for data in series(12):
            run.scrub(data)
        assert run.by_another == 0
    new = Alike(rules("(0020,4000) := newUID[]\n", ""), CONTEXT)
    for data in series(12):
        result = new.scrub(data)
        assert isinstance(result, Scrubbed)
        assert (result.header, result.trace) == (None, None)


def test_a_policy_that_changes_objects_leaves_nothing_to_be_learnt() -> None:
    alike = Alike(rules(policy=Policy(patient="hash")), CONTEXT)
    for data in series(4):
        result = alike.scrub(data)
        assert isinstance(result, Scrubbed)
        assert (result.header, result.trace) == (None, None)


def test_a_patient_in_a_gap_is_told_of_as_ever() -> None:
    run = Run(rules(profile="basic,clean-descriptors"))
    named = {0x00100010: ("PN", "Unusual^Name"), 0x00100020: ("LO", "123456789")}
    for data in series(10, changes=named):
        run.scrub(data)
    assert run.by_another == 8
    (data,) = series(1, changes={**named, 0x00200032: ("DS", "123456789\\2\\3")})
    result = run.scrub(data)
    assert isinstance(result, Scrubbed)
    assert [notice.code for notice in result.warnings] == ["deid_residue"]
    assert run.by_another == 8


def test_another_patient_is_another_mold() -> None:
    run = Run(rules(profile="basic,modified-dates"))
    for patient in ("A", "B", "A", "B"):
        for data in series(6, changes={0x00100020: ("LO", patient), 0x00080020: ("DA", "20240102")}):
            run.scrub(data)
    assert run.by_another >= 20


def test_the_instance_in_meta_information_follows_the_data_set(subtests: pytest.Subtests) -> None:
    """Whatever stood there: of the original, it may be another one, of another length, or the same for all."""
    objects = series(20)
    at = objects[0].index(b"\x02\0\x03\0UI")
    for name, uid in {"the same for all": b"1.2.3.99", "none": b"", "odd": b"1.2.3.9"}.items():
        with subtests.test(name):
            run = Run(rules())
            for data in objects:
                end = at + 8 + data[at + 6]
                meta = data[:at] + b"\x02\0\x03\0UI" + struct.pack("<H", len(uid)) + uid + data[end:]
                length = struct.unpack_from("<I", meta, 140)[0] + len(uid) - data[at + 6]
                run.scrub(meta[:140] + struct.pack("<I", length) + meta[144:])
            assert run.by_another == (0 if name == "odd" else 18)


def with_element(data: bytes, tag: int, element: bytes) -> bytes:
    """The same object with other bytes in the place of an element, b"" for none."""
    start, _, _, end = entries_of(data)[tag]
    return data[:start] + element + data[end:]


def without_instance(data: bytes) -> bytes:
    """The same object without an instance in its meta information."""
    start, _, _, end = entries_of(data)[0x00020003]
    length = struct.unpack_from("<I", data, 140)[0] - (end - start)
    return data[:140] + struct.pack("<I", length) + data[144:start] + data[end:]


@pytest.mark.parametrize("profile", ["", "basic", "basic,retain-uids"])
def test_an_instance_that_is_no_uid_or_too_long_fails_as_ever(profile: str) -> None:
    """Also where the meta information has none that would have to be the same."""
    objects = [without_instance(data) for data in series(8)]
    run = Run(rules("" if profile else MORE_SCRIPTS[1], profile))
    for data in objects:
        run.scrub(data, as_view=True)
    assert run.by_another >= 6
    for uid in (b"1.2\\3.4", b"1..2", b"1.2 .3", b"1.2.3.4.5" + b"\0" * 601, b"1.2.3.4.5" + b" " * 60, b"", b"\0\0"):
        run.scrub(with_element(objects[3], 0x00080018, WRITE.element(0x00080018, "UI", uid)), as_view=True)
    assert run.outcomes["Failed"] == {"": 1, "basic": 1, "basic,retain-uids": 4}[profile]


def test_an_instance_that_a_script_enters_in_meta_information_follows_the_data_set() -> None:
    run = Run(rules('(0002,0003) := "1.2.3"\n', "basic,retain-uids"))
    (data,) = series(1)
    for uid in (b"1.2.3.46", b"1.2.3.46\0\0", b"1.2.3.46", b"1.2.3.46\0\0", b"1.2.3.47", b"1.2.3.48"):
        run.scrub(with_element(without_instance(data), 0x00080018, WRITE.element(0x00080018, "UI", uid)))
    assert run.outcomes == {"Scrubbed": 6}


def test_meta_information_whose_length_is_wrong_tells_not_where_the_data_set_begins() -> None:
    for profile in PROFILES:
        run = Run(rules("" if profile else MORE_SCRIPTS[1], profile))
        for number, data in enumerate(series(12)):
            uid = f"1.2.3.4.{1000 + number}" if number < 8 else "1.2.3.4." + "5" * number
            run.scrub(with_element(data, 0x00020003, WRITE.element(0x00020003, "UI", uid)), as_view=True)
        assert run.read >= run.by_another >= 5


def test_a_character_set_in_another_representation_holds_for_what_is_in_gaps() -> None:
    run = Run(rules())
    for text in (*(b"head %d" % number for number in range(8)), "Kn\u00e9".encode(), b"Kn\xe9", b"Kn\xc3\xa9 head"):
        (data,) = series(1, changes={0x00180024: ("SH", text)})
        run.scrub(with_element(data, 0x00080005, WRITE.element(0x00080005, "UN", b"ISO_IR 192")))
    assert run.outcomes == {"Scrubbed": 11}


@pytest.mark.parametrize("tag", [0x00400513, 0x0040A088])
@pytest.mark.parametrize("profile", PROFILES[1:])
def test_a_text_that_becomes_an_empty_sequence(tag: int, profile: str) -> None:
    run = Run(rules(profile=profile))
    for number in range(8):
        run.scrub(series(1, changes={tag: ("LO", f"x{number:03}")})[0], as_view=True)
    assert run.outcomes == {"Scrubbed": 8}


def test_what_does_not_read_as_it_was_filled_is_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(rules())
    objects = series(12)
    for data in objects[:6]:
        run.scrub(data)
    assert run.by_another == 4
    (plan,) = run.alike._plans[:1]  # noqa: SLF001
    for wrong in (b"", b"\x20\0\x13\0IS\x03\0123", b"\x20\0\x13\0IS\x04\x0012", b"\x20\0\x13\0DS\x02\x0012", b"x" * 9):
        renewals = [(index, (lambda _, wrong=wrong: wrong) if renew(b"\x20\0\x13\0IS\x02\x0012") else renew)
                    for index, renew in plan._renewals]  # noqa: SLF001  # fmt: skip
        with monkeypatch.context() as patch:
            patch.setattr(alike_module._Plan, "_renewals", renewals, raising=False)  # noqa: SLF001
            gaps = plan.read(objects[7], objects[7])
            assert gaps is not None
            assert plan.scrub(objects[7], gaps) is None


def test_what_was_read_is_not_taken_for_another_object() -> None:
    run = Run(rules())
    objects = series(12)
    for data in objects[:4]:
        run.scrub(data, as_view=True)
    for read, other in zip(objects[4:8], objects[8:], strict=True):
        assert run.alike.read(read) == header_of(read)
        assert run.scrub(other) != scrub(read, rules=run.rules, context=CONTEXT)
    assert run.alike.read(b"") is None


def test_rules_by_which_a_mold_makes_something_else_are_left_to_the_scrub(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing but a mistake of ours would make it so; then nobody relies on molds any more."""
    run = Run(rules())
    right = actions.Actions.renewal

    def wrong(self: actions.Actions, days: int, tag: int, vr: int, charset: bytes) -> Any:
        is_number = tag == 0x00200013
        return (lambda element: element[:-1] + b"9") if is_number else right(self, days, tag, vr, charset)

    monkeypatch.setattr(actions.Actions, "renewal", wrong)
    for data in series(6):
        run.scrub(data)
    assert run.by_another == 0
    assert not run.alike._learns  # noqa: SLF001


def test_what_is_remembered_is_bounded() -> None:
    run = Run(rules())
    for number in range(40):
        changes = {0x00180010 + number: ("LO", "x"), 0x00100010: ("PN", f"P{number}")}
        for data in series(3, changes=changes):
            run.scrub(data)
    assert 0 < len(run.alike._plans) <= 8  # noqa: SLF001
    assert 0 < len(run.alike._models) <= 8  # noqa: SLF001
    long = Run(rules())
    texts = dict.fromkeys((0x00104000, 0x00204000, 0x00324000, 0x00384000), ("LT", "head " * 13_100))
    for data in series(4, changes=texts):
        long.scrub(data)
    assert long.by_another == 0


def test_objects_that_never_fit_are_tried_now_and_then() -> None:
    run = Run(rules("(0020,4000) := (0020,0013)\n"))
    traced = 0
    for data in series(270):
        result = run.alike.scrub(data)
        assert isinstance(result, Scrubbed)
        traced += result.trace is not None
        header = header_of(joined(result.parts, data))
        assert header is not None
        run.alike.learn(result, header)
    assert traced == 16 + 2 * 2


def test_a_mold_reads_what_fits_and_nothing_else() -> None:
    write, data = Writer(), b""
    elements = (0x00080005, "CS", "A"), (0x00080008, "OB", b"12"), (0x00080016, "UI", "1.2"), (0x00080018, "LO", "xx")
    data = b"".join(write.element(*element) for element in elements)
    entries = walk_data_set(data, 0, len(data), LITTLE, Budget(), explicit=True).elements
    mold = Mold(data, [entries[0x00080008], entries[0x00080018]])
    assert mold.read(data) == ([data[10:24], data[36:]], len(data))
    longer = data[:18] + struct.pack("<I", 4) + b"1234" + data[24:36] + data[36:42] + b"\0\0"
    assert mold.read(longer) == ([longer[10:26], longer[38:]], len(longer))
    for end in range(len(data)):
        assert mold.read(data[:end]) is None
    for at in range(len(data)):
        changed = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        is_value = 22 <= at < 24 or at >= 44
        assert (mold.read(changed) is not None) == is_value


def test_one_of_some_is_proved_and_a_contradiction_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a mistake of ours would be: objects before it may be wrong, too, and their session is refused."""
    memory = Alike(rules(), CONTEXT)
    fill = alike_module._Plan._fill  # noqa: SLF001
    results: list[ScrubResult] = []

    def send(many: int) -> None:
        for data in series(40)[len(results) : len(results) + many]:
            result = memory.scrub(data)
            header = header_of(joined(result.parts, data)) if isinstance(result, Scrubbed) else None
            if isinstance(result, Scrubbed) and result.header is None and header is not None:
                memory.learn(result, header, header_of(data))
            results.append(result)

    def wrong(plan: Any, elements: list[bytes]) -> Any:
        found = fill(plan, elements)
        return found and (found[0] + b"\0", found[1])

    send(10)
    assert isinstance(results[-1], Scrubbed)
    assert results[-1].header is not None
    monkeypatch.setattr(alike_module._Plan, "_fill", wrong)  # noqa: SLF001
    send(30)
    (failed,) = [number for number, result in enumerate(results) if not isinstance(result, Scrubbed)]
    assert failed < 10 + alike_module._PROVED  # noqa: SLF001
    assert all(isinstance(result, Scrubbed) and result.header is None for result in results[failed + 1 :])


def test_each_mold_is_proved_when_it_is_new_and_less_often_later(monkeypatch: pytest.MonkeyPatch) -> None:
    proved: list[int] = []
    prove = Alike._proved  # noqa: SLF001
    memory = Alike(rules(), CONTEXT)

    def noted(alike: Alike, data: Any, known: Scrubbed) -> ScrubResult:
        proved.append(number)
        return prove(alike, data, known)

    monkeypatch.setattr(Alike, "_proved", noted)
    objects = series(20)
    for number in range(400):
        data = objects[number % 20]
        result = memory.scrub(data)
        assert isinstance(result, Scrubbed)
        header = header_of(joined(result.parts, data))
        if result.header is None and header is not None:
            memory.learn(result, header, header_of(data))
    apart = [after - before for before, after in pairwise(proved)]
    assert proved[0] < 10
    assert apart[-18:] == [alike_module._PROVED] * 16 + [alike_module._SELDOM_PROVED] * 2  # noqa: SLF001
