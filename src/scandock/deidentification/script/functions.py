"""The functions of scripts: each takes the run and its arguments, and gives a value, or None where it has none.

What can't be done raises ScriptFailed: the object fails. Reasons name no value.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final

from scandock.deidentification import uids
from scandock.deidentification.data_set import tag_text
from scandock.deidentification.script.date_arithmetic import DateError, midpoint, shift
from scandock.deidentification.script.errors import PixelsUnalterable, ScriptFailed
from scandock.deidentification.script.message_format import FormatError, format_message
from scandock.deidentification.script.parser import PASSED_OVER, PROTECTED, why_never_set
from scandock.deidentification.script.private_tags import retain_private
from scandock.deidentification.script.run_state import (
    MOST_LISTED,
    MOST_TEXT,
    Argument,
    RejectedError,
    Result,
    Run,
    checked_length,
    read_text,
    write_text,
)
from scandock.deidentification.script.syntax import Path
from scandock.deidentification.script.tag_paths import Match, find_matches, find_one, make_item
from scandock.deidentification.script.tag_text import PathError, read_direct, read_path
from scandock.model.tags import PIXEL_DATA
from scandock.rules.java_patterns import PatternError, find_group, matches

if TYPE_CHECKING:
    from scandock.deidentification.data_set import DataSet

Function = Callable[[Run, Sequence[Argument]], Result]

_WHOLE: Final = re.compile(r"-?\d{1,9}", re.ASCII)
_ROOT: Final = re.compile(r"[0-9]+(\.[0-9]+)*\.?", re.ASCII)
_AGE: Final = re.compile(r"(\d{3})([DWMY])", re.ASCII)
_PATIENT_AGE, _BIRTH_DATE, _STUDY_DATE = 0x00101010, 0x00100030, 0x00080020
_OLDEST: Final = 89
_OLDEST_DAYS: Final = 32_506
"""Days of 89 years."""
_NON_ASCII: Final = re.compile(r"[^\x00-\x7f]")


# Arguments


def _paths(run: Run, arguments: Iterable[Argument]) -> list[Path]:
    """The paths of arguments: as they stand, in lists and variables, or in quotes as older scripts have them."""
    paths: list[Path] = []
    for argument in arguments:
        if argument.path is not None:
            paths.append(argument.path)
            continue
        result = argument.evaluate(run)
        for entry in result if isinstance(result, tuple) else (result,):
            if isinstance(entry, Path):
                paths.append(entry)
                continue
            try:
                paths.append(read_path(entry or ""))
            except PathError:
                raise ScriptFailed("an argument is no path") from None
    return paths


def matches_to_change(run: Run, paths: Sequence[Path]) -> list[Match]:
    """What paths name, without what says how the object is written: the object fails where a path names just that."""
    named = {path.last_plain_tag for path in paths}
    for tag in named:
        check_changeable(tag)
    return [
        match
        for match in find_matches(run.tops, paths, run.check_time)
        if match.tag not in PASSED_OVER or match.tag in named
    ]


def check_changeable(tag: int | None) -> None:
    if tag in PROTECTED:
        raise ScriptFailed(PROTECTED[tag])


def _leaves(run: Run, arguments: Iterable[Argument]) -> list[tuple[DataSet, int]]:
    """The elements to be changed in place that paths name: no sequences, no pixel data."""
    return [
        (match.data_set, match.tag)
        for match in matches_to_change(run, _paths(run, arguments))
        if match.tag not in PIXEL_DATA and match.tag in match.data_set and match.data_set.items(match.tag) is None
    ]


def _whole_number(text: str) -> int:
    if _WHOLE.fullmatch(text) is None:
        raise ScriptFailed("an argument is no whole number")
    return int(text)


# Texts


def _concatenate(run: Run, arguments: Sequence[Argument]) -> Result:
    texts = [argument.present_text(run, "a part of concatenate") for argument in arguments]
    if sum(map(len, texts)) > MOST_TEXT:
        raise ScriptFailed(f"a text becomes longer than {MOST_TEXT:,} characters")
    return "".join(texts)


def _format(run: Run, arguments: Sequence[Argument]) -> Result:
    pattern = arguments[0].present_text(run, "the pattern of format")
    pieces, length = [], 0
    try:
        for piece in format_message(pattern, [argument.text(run) for argument in arguments[1:]]):
            length += len(piece)
            if length > MOST_TEXT:
                raise ScriptFailed(f"a text becomes longer than {MOST_TEXT:,} characters")
            pieces.append(piece)
    except FormatError as error:
        raise ScriptFailed(str(error), quotes=False) from None
    return "".join(pieces)


def _lowercase(run: Run, arguments: Sequence[Argument]) -> Result:
    return arguments[0].present_text(run, "the argument of lowercase").lower()


def _uppercase(run: Run, arguments: Sequence[Argument]) -> Result:
    return checked_length(arguments[0].present_text(run, "the argument of uppercase").upper())


def _substring(run: Run, arguments: Sequence[Argument]) -> Result:
    text = arguments[0].present_text(run, "the argument of substring")
    first, end = (_whole_number(argument.present_text(run, "a number of substring")) for argument in arguments[1:])
    if not 0 <= first <= end <= len(text):
        raise ScriptFailed("substring reaches beyond its text")
    return text[first:end]


def _replace(run: Run, arguments: Sequence[Argument]) -> Result:
    text, old, new = (argument.present_text(run, "an argument of replace") for argument in arguments)
    count = text.count(old)
    if len(text) + count * (len(new) - len(old)) > MOST_TEXT:
        raise ScriptFailed(f"a text becomes longer than {MOST_TEXT:,} characters")
    return text.replace(old, new)


def _match(run: Run, arguments: Sequence[Argument]) -> Result:
    text, pattern, group = (argument.present_text(run, "an argument of match") for argument in arguments)
    try:
        return find_group(pattern, text, _whole_number(group))
    except PatternError as error:
        raise ScriptFailed(str(error), quotes=False) from None


def _ismatch(run: Run, arguments: Sequence[Argument]) -> Result:
    text, pattern = (argument.present_text(run, "an argument of ismatch") for argument in arguments)
    return _boolean(value=matches_whole(text, pattern))


def matches_whole(text: str, pattern: str) -> bool:
    """Whether a pattern matches a whole text. The object fails where it is none."""
    try:
        return matches(pattern, text)
    except PatternError as error:
        raise ScriptFailed(str(error), quotes=False) from None


def _normalize(run: Run, arguments: Sequence[Argument]) -> Result:
    text = arguments[0].text(run)
    if text is None:
        return None
    by = arguments[1].present_text(run, "the replacement of normalizeString") if len(arguments) > 1 else "_"
    count = len(_NON_ASCII.findall(text))
    if len(text) + count * len(by) > MOST_TEXT:
        raise ScriptFailed(f"a text becomes longer than {MOST_TEXT:,} characters")
    return _NON_ASCII.sub(lambda _: by, text)


def _lookup(run: Run, arguments: Sequence[Argument]) -> Result:
    kind, key = (argument.text(run) for argument in arguments)
    return None if kind is None or key is None else run.context.lookups.find(kind, key)


# UIDs


def _hash_uid(run: Run, arguments: Sequence[Argument]) -> Result:
    text = arguments[0].text(run)
    return None if text is None else _hashed(run, text)


def _hash_uid_list(run: Run, arguments: Sequence[Argument]) -> Result:
    for data_set, tag in _leaves(run, arguments):
        text = read_text(data_set, tag)
        if text:
            write_text(data_set, tag, "\\".join(_hashed(run, value) for value in text.split("\\")))
    return None


def _hashed(run: Run, text: str) -> str:
    return text if _is_stored(run, text) else uids.hash_uid(text)


def _is_stored(run: Run, text: str) -> bool:
    """Whether a text is a UID of the session that the object is added to, which stands for another one already."""
    return text.encode("utf-8", "surrogatepass") in run.context.stored_uids


def _new_uid(_run: Run, _arguments: Sequence[Argument]) -> Result:
    import uuid

    return f"2.25.{uuid.uuid4().int}"


def _map_uid(run: Run, arguments: Sequence[Argument]) -> Result:
    root = _root(arguments[1].present_text(run, "the root of mapUID"))
    return _mapped(run, root, arguments[0].text(run))


def _map_referenced(run: Run, arguments: Sequence[Argument]) -> Result:
    root = _root(arguments[0].present_text(run, "the root of mapReferencedUIDs"))
    for data_set, tag in _leaves(run, arguments[1:]):
        values = (read_text(data_set, tag) or "").split("\\")
        write_text(data_set, tag, "\\".join(_mapped(run, root, value) for value in values))
    return None


def _root(text: str) -> str:
    if _ROOT.fullmatch(text) is None:
        raise ScriptFailed("a root of UIDs consists of numbers and dots")
    return text.rstrip(".")


def _mapped(run: Run, root: str, value: str | None) -> str:
    """The UID for a value; an absent one has one of its own."""
    if value is not None and _is_stored(run, value):
        return value
    try:
        return uids.map_uid(root, "\0" if value is None else value, run.context.key)
    except ValueError:
        raise ScriptFailed("a root of UIDs is none, or too long") from None


# Dates


def _shift_date(run: Run, arguments: Sequence[Argument]) -> Result:
    return _shift_one(run, arguments, "DA", "days")


def _shift_date_time(run: Run, arguments: Sequence[Argument]) -> Result:
    return _shift_one(run, arguments, "DT", "seconds")


def _shift_one(run: Run, arguments: Sequence[Argument], vr: str, unit: str) -> Result:
    path = arguments[0].path
    if path is not None and path.is_singular:
        place = find_one(run.data, path) if run.meta is None else _find_in_tops(run, path)
        if place is not None and place[0].vr(place[1]) != vr:
            raise ScriptFailed(f"{path.text} has another VR than {vr}")
    text = arguments[0].present_text(run, "a date")
    number = arguments[1].present_text(run, "the number of a shift")
    if len(arguments) > 2:
        unit = arguments[2].present_text(run, "the unit of a shift")
    return _shifted(text, number, unit, "" if path is None else f"{path.text}: ")


def _shifted(text: str, number: str, unit: str, place: str) -> str:
    """A date moved; the object fails where it is none, and `place` is said then."""
    try:
        return shift(text, number, unit)
    except DateError as error:
        raise ScriptFailed(f"{place}{error}", quotes=False) from None


def _shift_list(run: Run, arguments: Sequence[Argument]) -> Result:
    number, unit = (argument.present_text(run, "a number or unit of a shift") for argument in arguments[1:])
    for data_set, tag in _leaves(run, arguments[:1]):
        text = read_text(data_set, tag)
        if text:
            write_text(data_set, tag, _shifted(text, number, unit, f"{tag_text(tag)}: "))
    return None


def _shift_sequence(run: Run, arguments: Sequence[Argument]) -> Result:
    number = arguments[0].present_text(run, "the seconds of a shift")
    for data_set, tag in _leaves(run, arguments[1:]):
        text = read_text(data_set, tag) or ""
        write_text(data_set, tag, _shifted(text, number, "seconds", f"{tag_text(tag)}: "))
    return None


def _scale_age(run: Run, _arguments: Sequence[Argument]) -> Result:
    """Make people of more than 89 years 89 years old: the birth date by the study's date, and every age."""
    birth = _moment(run, _BIRTH_DATE)
    if birth is not None:
        study = _moment(run, _STUDY_DATE)
        if study is None:
            return None  # as the original does; the page of the language says so
        too_many = (study - birth).days - _OLDEST_DAYS
        if too_many > 0:
            for data_set, tag in _everywhere(run, _BIRTH_DATE):
                text = read_text(data_set, tag)
                if text:
                    write_text(data_set, tag, _shifted(text, str(too_many), "days", f"{tag_text(tag)}: "))
    for data_set, tag in _everywhere(run, _PATIENT_AGE):
        text = read_text(data_set, tag)
        match = _AGE.fullmatch(text) if text else None
        if text and match is None:
            raise ScriptFailed("(0010,1010) is no age")
        if match is not None and match[2] == "Y" and int(match[1]) > _OLDEST:
            write_text(data_set, tag, f"{_OLDEST:03}Y")
    return None


def _moment(run: Run, tag: int) -> datetime | None:
    text = read_text(run.data, tag)
    try:
        return midpoint(text) if text else None
    except DateError:
        return None


def _everywhere(run: Run, tag: int) -> list[tuple[DataSet, int]]:
    places = []
    for data_set, found in run.data.walk():
        if found == tag:
            places.append((data_set, tag))
        run.check_time()
    return places


# What is there


def _is_present(run: Run, arguments: Sequence[Argument]) -> Result:
    for argument in arguments:
        result = (argument.path,) if argument.path is not None else argument.evaluate(run)
        for path in result if isinstance(result, tuple) else (result,):
            if not isinstance(path, Path):
                raise ScriptFailed("an argument of isPresent is no path")
            if not path.is_singular:
                raise ScriptFailed(f"{path.text} can name several elements, and isPresent asks for one")
            if _find_in_tops(run, path) is None:
                return _boolean(value=False)
    return _boolean(value=True)


def _find_in_tops(run: Run, path: Path) -> tuple[DataSet, int] | None:
    for top in run.tops:
        place = find_one(top, path)
        if place is not None:
            return place
    return None


def _boolean(*, value: bool) -> str:
    return "true" if value else "false"


def _true(_run: Run, _arguments: Sequence[Argument]) -> Result:
    return "true"


def _false(_run: Run, _arguments: Sequence[Argument]) -> Result:
    return "false"


def is_true(text: str | None) -> bool:
    return text is not None and text.lower() == "true"


def _reject(run: Run, arguments: Sequence[Argument]) -> Result:
    if run.context.rejects and (not arguments or is_true(arguments[0].text(run))):
        raise RejectedError
    return None


def _collect_values(run: Run, arguments: Sequence[Argument]) -> Result:
    texts, places = _known_values(run, arguments)
    texts += [_collected(data_set, tag) or "" for data_set, tag in places]
    if len(texts) > MOST_LISTED:
        raise ScriptFailed(f"a list has more than {MOST_LISTED:,} values")
    return tuple(texts)


def _known_values(run: Run, arguments: Sequence[Argument]) -> tuple[list[str], list[tuple[DataSet, int]]]:
    """The texts among the arguments, and the elements that the paths among them name."""
    texts: list[str] = []
    paths: list[Path] = []
    for argument in arguments:
        result = (argument.path,) if argument.path is not None else argument.evaluate(run)
        for entry in result if isinstance(result, tuple) else (result,):
            if isinstance(entry, Path):
                paths.append(entry)
            elif entry is not None:
                texts.append(entry)
    found = find_matches(run.tops, paths, run.check_time)
    return texts, [(data_set, tag) for data_set, tag, _ in found if _has_value(data_set, tag)]


def _has_value(data_set: DataSet, tag: int) -> bool:
    return tag not in PIXEL_DATA and data_set.items(tag) is None


def _collected(data_set: DataSet, tag: int) -> str | None:
    """A value as it is collected: that of OB with its padding."""
    return data_set.text(tag) if data_set.vr(tag) == "OB" else read_text(data_set, tag)


def _blank_values(run: Run, arguments: Sequence[Argument]) -> Result:
    known, places = _known_values(run, arguments)
    texts = {text for text in (*known, *(_collected(*place) for place in places)) if text}
    if not texts:
        return None
    raw = {text.encode("utf-8", "replace") for text in texts}
    named = {(id(data_set), tag) for data_set, tag in places}
    for data_set, tag in [*places, *(place for top in run.tops for place in top.walk())]:
        run.check_time()
        if tag in PASSED_OVER or not _has_value(data_set, tag):
            continue
        vr = data_set.vr(tag)
        if vr == "OB" or (vr == "UN" and data_set.default_vr(tag) == vr):
            is_known = data_set.value(tag) in raw or (id(data_set), tag) in named
        else:
            is_known = read_text(data_set, tag) in texts
        if is_known:
            data_set.set_value(tag, vr, b"")
    return None


# What goes


def _remove_tags(run: Run, arguments: Sequence[Argument]) -> Result:
    delete_matches(matches_to_change(run, _paths(run, arguments)))
    return None


def delete_matches(found: Iterable[Match]) -> None:
    """Remove elements; of a sequence that is named with the number of an item, the contents of that item."""
    for data_set, tag, number in found:
        if number is None:
            data_set.remove(tag)
            continue
        items = data_set.items(tag) or () if tag in data_set else ()
        for item in items[number : number + 1]:
            for inner in item.tags():
                item.remove(inner)


def _retain_private(run: Run, arguments: Sequence[Argument]) -> Result:
    paths = _paths(run, arguments)
    for path in paths:
        if not path.is_private:
            raise ScriptFailed(f"{path.text} is not private")
    retain_private(run.data, paths, run.check_time)
    return None


# Direct notation


def _set(run: Run, arguments: Sequence[Argument]) -> Result:
    steps = _direct(run, arguments[0])
    text = arguments[1].text(run)
    reason = why_never_set([tag for tag, _ in steps])
    if reason:
        raise ScriptFailed(reason)
    data_set = run.top(steps[0][0])
    if text is None or data_set is None:
        return None
    for tag, item in steps[:-1]:
        assert item is not None
        data_set = make_item(data_set, tag, item)
    tag, item = steps[-1]
    if item is not None:
        raise ScriptFailed("a path in direct notation ends with an item")
    write_text(data_set, tag, text)
    return None


def _delete(run: Run, arguments: Sequence[Argument]) -> Result:
    steps = _direct(run, arguments[0])
    data_set = run.top(steps[0][0])
    for tag, item in steps[:-1]:
        items = data_set.items(tag) if data_set is not None and tag in data_set else None
        assert item is not None
        if items is None or item >= len(items):
            return None
        data_set = items[item]
    if data_set is not None:
        delete_matches([Match(data_set, *steps[-1])])
    return None


def _direct(run: Run, argument: Argument) -> tuple[tuple[int, int | None], ...]:
    if argument.path is not None:
        raise ScriptFailed("a path in direct notation stands in quotes")
    try:
        steps = read_direct(argument.text(run) or "")
    except PathError as error:
        raise ScriptFailed(str(error), quotes=False) from None
    check_changeable(steps[-1][0])
    return steps


# Pixels


def _alter_pixels(run: Run, arguments: Sequence[Argument]) -> Result:
    from scandock.deidentification import pixel_areas

    shape, place, filling, value = (argument.present_text(run, "an argument of alterPixels") for argument in arguments)
    try:
        area, fill = pixel_areas.read_area(shape, place), pixel_areas.read_fill(filling, value)
    except pixel_areas.AreaError as error:
        raise ScriptFailed(str(error), quotes=False) from None
    if not run.context.has_pixels:
        raise PixelsUnalterable("the pixels of ECAT files can't be altered")
    started = run.clock()
    if pixel_areas.alter_pixels(run.object, area, fill, run.context.decode_pixels):
        run.pixels_altered = True
    run.deadline += run.clock() - started  # decoders have bounds of their own
    return None


HANDLERS: Final[dict[str, Function]] = {
    "alterPixels": _alter_pixels,
    "blankValues": _blank_values,
    "collectValues": _collect_values,
    "concatenate": _concatenate,
    "delete": _delete,
    "false": _false,
    "format": _format,
    "hashUID": _hash_uid,
    "hashUIDList": _hash_uid_list,
    "isPresent": _is_present,
    "ismatch": _ismatch,
    "lookup": _lookup,
    "lowercase": _lowercase,
    "mapReferencedUIDs": _map_referenced,
    "mapUID": _map_uid,
    "match": _match,
    "newUID": _new_uid,
    "normalizeString": _normalize,
    "reject": _reject,
    "removeTags": _remove_tags,
    "replace": _replace,
    "retainPrivateTags": _retain_private,
    "scalePatientAgeAndDobFromStudyDate": _scale_age,
    "set": _set,
    "shiftDateByIncrement": _shift_date,
    "shiftDateTimeByIncrement": _shift_date_time,
    "shiftDateTimeListByIncrement": _shift_list,
    "shiftDateTimeSequenceByIncrement": _shift_sequence,
    "substring": _substring,
    "true": _true,
    "uppercase": _uppercase,
}
