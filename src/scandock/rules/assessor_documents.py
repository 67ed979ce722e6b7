"""What is said of an image assessor: a document of XNAT's whose schema nobody here knows, kept as it was said.

Quality control, FreeSurfer, regions of interest: each has a type of its own, whatever somebody's plugins define. So a
document is a tree of names with texts, and stays in the order in which it came.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from itertools import pairwise
from types import MappingProxyType
from typing import Any, Final

from scandock.model.dataclass import dataclass
from scandock.model.request_errors import RequestInvalid, ValueInvalid
from scandock.model.request_limits import ASSESSOR_BYTES, ASSESSOR_FIELDS, COLUMN_NAME
from scandock.rules.errors import TypeUnknown
from scandock.rules.session_fields import check_text, parse_fields, rejoin_pairs

NAMESPACES: Final = MappingProxyType(
    {
        "xnat": "http://nrg.wustl.edu/xnat",
        "xsi": "http://www.w3.org/2001/XMLSchema-instance",
        "prov": "http://www.nbirn.net/prov",
        "xnat_a": "http://nrg.wustl.edu/xnat_assessments",
        "icr": "http://icr.ac.uk/icr",
    }
)
"""Those that are known; of any other prefix that only a type has it is `http://nrg.wustl.edu/{prefix}`."""
XSI_TYPE: Final = "xsi:type"
ROOTS: Final = MappingProxyType(
    {
        "xnat:qcAssessmentData": "xnat:QCAssessment",
        "xnat:qcManualAssessorData": "xnat:QCManualAssessment",
        "xnat:mrAssessorData": "xnat:MRAssessor",
        "xnat:petAssessorData": "xnat:PETAssessor",
        "fs:fsData": "fs:Freesurfer",
    }
)
"""Types whose documents' root is no capital and the type's name without `Data`."""
ABSTRACT: Final = frozenset({"xnat:imageassessordata", "xnat:deriveddata"})
"""Types that every assessor is, in lower case."""
_ABOVE: Final = ABSTRACT | {"xnat:experimentdata"}
_OTHER_TYPE: Final = re.compile(
    r"xnat:(?:.*(?:session|scan|project|subject|subjectassessor|reconstructedimage)data|(?:abstract)?resource.*)",
    re.IGNORECASE,
)
"""Types of what is no assessor."""
_TYPE: Final = re.compile(r"(?![Xx][Mm][Ll])[A-Za-z][A-Za-z0-9_-]{0,30}:[A-Za-z_][A-Za-z0-9_.-]{0,60}")
_EXAMPLE: Final = "xnat:qcManualAssessorData"
_FOR_EXAMPLE: Final = f"xsiType={_EXAMPLE}"
_LONGEST_TYPE: Final = 64
_PIECE: Final = r"(?:(?![Xx][Mm][Ll])[A-Za-z][\w-]*:)?[A-Za-z_][\w.-]*(?:\[[^\[\]]*\])*"
_PATH: Final = re.compile(rf"{_PIECE}(?:/{_PIECE})*", re.ASCII)
_NAME: Final = re.compile(r"(?![Xx][Mm][Ll])[A-Za-z_][\w.-]*", re.ASCII)
_PIECES: Final = re.compile(r"(?P<name>[^/\[\]]+)(?P<which>(?:\[[^\[\]]*\])*)")
_WHICH: Final = re.compile(r"\[(?:(?P<number>\d{1,5})|(?P<at>@?)(?P<field>[\w.:-]+)=(?P<value>[^\[\]]*))\]", re.ASCII)
_WORD: Final = re.compile(r"[A-Za-z_][\w.-]*", re.ASCII)
"""What a query names that is no path: a word of another kind (`event_reason`) unless it is known."""
_BARE: Final = MappingProxyType({name.lower(): name for name in ("date", "time", "note", "visit_id", "visit")})
"""What a query may say by its name alone."""
_OF_ROOT: Final = frozenset({"visit_id", "visit", "version"})
"""Fields of any experiment that stand as attributes in its document."""
_OF_SERVER: Final = frozenset({"id", "project", "label", "imagesession_id", "image_session_id", "session_id"})
"""What the address says, and ids of this server's own."""
_FIRST: Final = ("date", "time", "duration", "delay", "note", "investigator", "validation", "fields")
"""What stands before the id of the session in a document."""
_MOMENT: Final = re.compile(r"(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)?)")
_DEEPEST: Final = 30
"""Elements within each other that a path names."""
_MOST_CONDITIONS: Final = 5
"""Numbers and conditions behind one name of a path."""
_MOST_PATHS: Final = 2_000
"""Different paths of a document that a listing knows."""
_DATED: Final = MappingProxyType({"date": "date", "time": "time"})


@dataclass(slots=True)
class Element:
    """A part of a document: its name with its prefix, its attributes, its text, and what is in it."""

    name: str
    attributes: dict[str, str] = field(default_factory=dict)
    text: str = ""
    children: list[Element] = field(default_factory=list)

    @property
    def local(self) -> str:
        return self.name.rpartition(":")[2]

    @property
    def empty(self) -> bool:
        """Whether it says nothing."""
        return not (self.text or self.attributes or self.children)

    def as_list(self) -> list[Any]:
        return [self.name, self.attributes, self.text, [one.as_list() for one in self.children]]


def _element(kept: Sequence[Any]) -> Element:
    name, attributes, text, children = kept
    return Element(name, dict(attributes), text, [_element(one) for one in children])


def as_json(kept: Any) -> str:  # noqa: ANN401  what JSON has
    """A value as JSON with its own letters: a document in Chinese is no larger for it."""
    return json.dumps(kept, ensure_ascii=False, separators=(",", ":"))


@dataclass(slots=True)
class AssessorDocument:
    """A document without what says where its assessor stands and what it is called."""

    root: Element
    namespaces: dict[str, str] = field(default_factory=dict)
    """Prefix -> namespace, of those that are not known."""

    def as_json(self) -> str:
        """As the catalog keeps it. Usage `request_invalid` for more than is kept of one."""
        kept = as_json({"root": self.root.as_list(), "namespaces": self.namespaces})
        if len(kept.encode()) > ASSESSOR_BYTES:
            what = f"The assessor's document has more than {ASSESSOR_BYTES:,} bytes."
            raise RequestInvalid(what, "Say less of it, or keep that in a file of the session.")
        return kept

    @classmethod
    def from_json(cls, kept: str) -> AssessorDocument:
        found = json.loads(kept)
        return cls(_element(found["root"]), found["namespaces"])

    def has_root_of(self, other: AssessorDocument) -> bool:
        """Whether another document begins as this one does."""
        return self.root.name.lower() == other.root.name.lower()

    @property
    def fields(self) -> dict[str, str]:
        """Texts and attributes by their paths, in lower case; of several the first."""
        found: dict[str, str] = {}
        for path, text in _paths(self.root, ""):
            if len(path) <= COLUMN_NAME and len(found) < _MOST_PATHS:
                found.setdefault(path.lower(), text)
        return found

    def differing_fields(self, other: AssessorDocument) -> list[str]:
        """The paths at which another document says something else, as far as listings know them."""
        texts, other_texts = self._texts(), other._texts()
        return sorted(path for path in {*texts, *other_texts} if texts.get(path) != other_texts.get(path))

    def _texts(self) -> dict[str, list[str]]:
        """All texts and attributes by their paths."""
        texts: dict[str, list[str]] = {}
        for path, text in _paths(self.root, ""):
            if path in texts or len(texts) < _MOST_PATHS:
                texts.setdefault(path, []).append(text)
        return texts

    def value(self, path: str) -> str:
        """The text at a path that says by numbers or conditions which of several, the first of those that fit.

        Names are in any case. Empty where there is none; Usage `value_invalid` for what is no path.
        """
        check_path(path)
        return next(_values(self.root, [(one["name"], one["which"]) for one in _PIECES.finditer(path)]), "")

    @property
    def parts(self) -> tuple[list[Element], list[Element]]:
        """What stands before the id of the session, and behind it."""
        first = [one for name in _FIRST for one in self.root.children if one.local == name]
        return first, [one for one in self.root.children if one.local not in _FIRST]


@dataclass(frozen=True, slots=True, kw_only=True)
class SaidOfAssessor:
    """What a request says of an assessor."""

    xsi_type: str = ""
    """Empty where it names none."""
    label: str = ""
    document: AssessorDocument | None = None
    fields: Sequence[tuple[str, str]] = ()
    """Paths below the root, and what they say; an empty text takes a field back."""
    whole: bool = False
    """Whether the document is all that is to be said of it from now on."""


def assessor_type(kind: str) -> str:
    """The type that a request names. Usage `type_unknown` for what is no assessor's."""
    if (
        len(kind) > _LONGEST_TYPE
        or not _TYPE.fullmatch(kind)
        or _OTHER_TYPE.fullmatch(kind)
        or kind.lower() in _ABOVE
        or kind.partition(":")[0].lower() == "xsi"
    ):
        shown = f"{kind[:64]!r} is" if kind else "The request says"
        raise TypeUnknown(
            f"{shown} no type of an assessor.",
            f"Say one, for example {_FOR_EXAMPLE}.",
        )
    return next((known for known in ROOTS if known.lower() == kind.lower()), kind)


def is_type_name(text: str) -> bool:
    """Whether a text can be the type of an element: a name of XML's, with a prefix or without."""
    prefix, _, name = text.rpartition(":")
    return _NAME.fullmatch(name) is not None and (not prefix or _NAME.fullmatch(prefix) is not None)


def type_missing(said: SaidOfAssessor) -> TypeUnknown:
    """Why no assessor is made of what says no type."""
    if said.document is None:
        return TypeUnknown("The request says no type of an assessor.", f"Say one: {_FOR_EXAMPLE}.")
    return TypeUnknown(
        f"The document is a <{said.document.root.name[:64]}>, and its type is not known by that.",
        f"Say it in the query: {_FOR_EXAMPLE}.",
    )


def root_of(kind: str) -> str:
    """The root of a document of a type: `fs:Freesurfer` of `fs:fsData`."""
    if kind in ROOTS:
        return ROOTS[kind]
    prefix, _, name = kind.partition(":")
    name = name.removesuffix("Data") or name
    return f"{prefix}:{name[:1].upper()}{name[1:]}"


def type_of_root(root: Element) -> str:
    """The type that a document says by its root; empty where that is not known."""
    said = root.attributes.get(XSI_TYPE, "")
    if said:
        return said
    known = next((kind for kind, name in ROOTS.items() if name.lower() == root.name.lower()), "")
    return known or (root.name if root.name.endswith("Data") else "")


def namespace_of(prefix: str, namespaces: Mapping[str, str]) -> str:
    return NAMESPACES.get(prefix) or namespaces.get(prefix) or f"http://nrg.wustl.edu/{prefix}"


def new_document(kind: str) -> AssessorDocument:
    return AssessorDocument(Element(root_of(kind)))


def said_of_assessor(
    pairs: Iterable[tuple[str, str]], document: AssessorDocument | None = None, *, whole: bool = False
) -> SaidOfAssessor:
    """What a query and a document say together; where both say the same field, the query. Usage `type_unknown`,
    `value_invalid`.
    """
    every = rejoin_pairs(pairs)
    types = [value for key, value in every if key.lower() == "xsitype"]
    named = next((value for value in reversed(types) if value), "")  # as it is: a blank is none of it
    by_paths = [(*_type_and_path(key), value) for key, value in every if key and not _WORD.fullmatch(key)]
    named = named or (type_of_root(document.root) if document is not None else "")
    named = named or next((kind for kind, _, _ in by_paths if kind.lower() not in _ABOVE), "")
    kind = assessor_type(named) if named else ""
    for other, path, _ in by_paths:
        if other.lower() not in (kind.lower(), *_ABOVE):
            raise _no_field(f"{other}/{path}", kind)
    fields = [(path, value) for _, path, value in by_paths]
    fields += [(_BARE[key.lower()], value) for key, value in every if key.lower() in _BARE]
    label = _last(value for key, value in every if key.lower() == "label")
    label = label or _last(value for path, value in fields if path.lower() == "label")
    fields = [(path, check_text(path[:64], value)) for path, value in fields if path.lower() not in _OF_SERVER]
    if len(fields) > ASSESSOR_FIELDS:
        what = f"The request says {len(fields)} fields of an assessor."
        raise RequestInvalid(what, f"At most {ASSESSOR_FIELDS} are said at once: send a document.")
    for path, _ in fields:
        check_path(path)
    return SaidOfAssessor(xsi_type=kind, label=label, document=document, fields=_dated(fields), whole=whole)


def _type_and_path(key: str) -> tuple[str, str]:
    """The type and the path of a field as a query names it. Usage `value_invalid`."""
    kind, _, path = key.partition("/")
    if not path or not _TYPE.fullmatch(kind):
        raise _no_field(key, "")
    return kind, path


def _no_field(key: str, kind: str) -> ValueInvalid:
    of = f"of {kind}" if kind else "of an assessor"
    return ValueInvalid(
        f"{key[:100]!r} is no field {of}.", f"Name it by its type and path, as {kind or _EXAMPLE}/scans/scan[0]/pass."
    )


def _last(values: Iterable[str]) -> str:
    """The last that says something: what a query says goes before what a form does."""
    return next((text for one in reversed(list(values)) if (text := one.strip())), "")


def _dated(fields: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """The same with days and times as documents have them. Usage `value_invalid`."""
    known = [parse_fields([(path, text)]).known(_DATED) if path in _DATED and text else {} for path, text in fields]
    return [(path, one.get(path, text)) for (path, text), one in zip(fields, known, strict=True)]


def apply_said(before: AssessorDocument, said: SaidOfAssessor) -> AssessorDocument:
    """The document of an assessor once a request has said more of it. Usage `value_invalid`, `request_invalid`.

    An element of the request's document takes the place of all that stood there by its name; what it lacks, or leaves
    empty, stays.
    """
    after = AssessorDocument.from_json(before.as_json())
    if said.document is not None:
        new = said.document
        after.namespaces |= new.namespaces
        known = {} if said.whole else after.root.attributes
        after.root.attributes = {**known, **{name: text for name, text in new.root.attributes.items() if text}}
        after.root.attributes.pop(XSI_TYPE, None)
        after.root.name = new.root.name
        children = [one for one in new.root.children if not one.empty]
        names = {one.name for one in children}
        kept = [] if said.whole else [one for one in after.root.children if one.name not in names]
        after.root.children = [*kept, *children]
    for path, text in said.fields:
        _say(after.root, path, text)
    for one in after.root.children:
        if one.local in _DATED and one.text:
            one.text = parse_fields([(one.local, one.text)]).known(_DATED)[one.local]
    _write_moments(after.root)
    return after


def _write_moments(element: Element) -> None:
    """Moments of a provenance as XML has them: with a T before the time."""
    if element.local == "timestamp" and (found := _MOMENT.fullmatch(element.text)):
        element.text = f"{found[1]}T{found[2]}"
    for one in element.children:
        _write_moments(one)


def check_path(path: str) -> None:
    """Usage `value_invalid` for what is no path into a document."""
    if len(path) > COLUMN_NAME or path.count("/") >= _DEEPEST or not _PATH.fullmatch(path):
        raise ValueInvalid(f"{path[:100]!r} is no path into a document.", "Right is scans/scan[0]/pass, for example.")
    for one in _PIECES.finditer(path):
        _parse_which(one["which"])


def _say(root: Element, path: str, text: str) -> None:
    """Write a field; an empty text takes it back, and what is empty then around it."""
    prefix = root.name.rpartition(":")[0]
    pieces = [(one["name"], one["which"]) for one in _PIECES.finditer(path)]
    chain = [root]
    for name, which in pieces[:-1]:
        found = _child(chain[-1], name, which, prefix, make=bool(text))
        if found is None:
            return
        chain.append(found)
    into, (name, which) = chain[-1], pieces[-1]
    local = name.rpartition(":")[2]
    is_attribute = not which and (local in into.attributes or (into is root and local in _OF_ROOT))
    if is_attribute:
        into.attributes.pop(local, None)
        if text:
            into.attributes[local] = text
    else:
        last = _child(into, name, which, prefix, make=bool(text))
        if last is None:
            return
        last.text = text
        chain.append(last)
    for above, below in reversed(list(pairwise(chain))):
        if below.empty:
            above.children = [one for one in above.children if one is not below]


def _child(element: Element, name: str, which: str, prefix: str, *, make: bool) -> Element | None:
    """The part of an element that a piece of a path means; made where it is missing. None where it is not made."""
    own, _, local = name.rpartition(":")
    fits = [one for one in element.children if one.local == local and (not own or one.name == name)]
    number, wanted = _parse_which(which)
    matching = [one for one in fits if all(_has(one, field, value) for _, field, value in wanted)]
    at = number or 0
    if at < len(matching):
        return matching[at]
    if not make:
        return None
    if at > len(matching):
        raise ValueInvalid(f"There are {len(matching)} {local[:64]}, and {at} is named.", "They are counted from 0.")
    if len(fits) == 1 and at == 0 and all(field == XSI_TYPE and not _value(fits[0], field) for _, field, _ in wanted):
        (there,) = fits  # which nobody has said the type of yet
        there.attributes.update({field: value for _, field, value in wanted})
        return there
    made = Element(name if own else f"{prefix}:{local}" if prefix else local)
    for at_sign, field_name, value in wanted:
        if at_sign or field_name == XSI_TYPE:
            made.attributes[field_name] = value
        else:
            made.children.append(Element(f"{prefix}:{field_name}" if prefix else field_name, text=value))
    element.children.append(made)
    return made


def _parse_which(which: str) -> tuple[int | None, list[tuple[str, str, str]]]:
    """The number and the conditions that stand behind a name. Usage `value_invalid`."""
    number: int | None = None
    conditions: list[tuple[str, str, str]] = []
    found = list(_WHICH.finditer(which))
    if sum(len(one[0]) for one in found) != len(which) or len(found) > _MOST_CONDITIONS:
        raise ValueInvalid(f"{which[:64]!r} names no part of a document.", "Right is [0], or [name=value].")
    for one in found:
        if one["number"] is not None:
            number = int(one["number"])
            continue
        name, value = one["field"], one["value"].strip("'\" ")
        if not (is_type_name(value) if name == XSI_TYPE else _NAME.fullmatch(name)):
            raise ValueInvalid(f"{one[0][:64]!r} names no part of a document.", "Right is [0], or [name=value].")
        conditions.append((one["at"], name, value))
    return number, conditions


def _values(element: Element, pieces: Sequence[tuple[str, str]]) -> Iterator[str]:
    """What an element says at a path. What XNAT calls the text of an element, as `addField` of `addParam`, is that."""
    (name, which), *below = pieces
    low = name.lower()
    if not below and not which:
        yield from (text for known, text in element.attributes.items() if known.lower() == low)
    number, conditions = _parse_which(which)
    matching = [
        one
        for one in element.children
        if low in (one.local.lower(), one.name.lower())
        and all(_has(one, field, value) for _, field, value in conditions)
    ]
    for one in matching if number is None else matching[number : number + 1]:
        if below:
            yield from _values(one, below)
        elif one.text:
            yield one.text
    if not below and not which and element.text and low in ("addfield", element.local.lower()):
        yield element.text


def _has(element: Element, name: str, value: str) -> bool:
    return _value(element, name) == value


def _value(element: Element, name: str) -> str:
    if name in element.attributes:
        return element.attributes[name]
    return next((one.text for one in element.children if one.local == name), "")


def _paths(element: Element, above: str) -> Iterator[tuple[str, str]]:
    """Attributes and texts by paths of local names, none longer than the name of a column."""
    if len(above) > COLUMN_NAME:
        return
    for name, text in element.attributes.items():
        if ":" not in name:
            yield f"{above}{name}", text
    for child in element.children:
        if child.text:
            yield f"{above}{child.local}", child.text
        yield from _paths(child, f"{above}{child.local}/")
