"""What a row of the table is here: an archive, and what must come of it, as data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from tests.badinput import objects, zips

Pair = tuple[bytes, bytes]
"""Entry name and data."""


@dataclass(frozen=True, slots=True)
class Made:
    """An archive, and the sha256 of each object that must be on disk, unchanged, after the import."""

    archive: bytes
    keep: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Expect:
    """What one run of `scandock import` must give."""

    state: str
    args: tuple[str, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    """Receipt lines of each verdict; a verdict that is not named has none. Not asked of a refused import."""
    sessions: tuple[tuple[int, ...], ...] = ()
    """For each session the sorted numbers of image files in its scans. Not asked of a refused import."""
    named: tuple[tuple[str, str, str], ...] = ()
    """(part of a path, verdict, code): such a line stands in the receipt."""
    says: tuple[tuple[str, ...], ...] = ()
    """In each tuple one of the words stands in the import's message, code or warnings, whatever the case."""
    labels: frozenset[str] | None = None
    subjects: int | None = None
    scan_ids: frozenset[str] | None = None
    paths: frozenset[str] = frozenset()
    """Original names that the receipt must give letter by letter."""
    lines: int | None = None
    """Of the receipt of a refused import: every entry of an archive that was read to its end has one."""
    session_code: str = ""
    warned: bool = False
    seconds: float = 60.0
    """Of the processor."""
    megabytes: int = 400
    """Memory of all processes of the command together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One row of the table: its names there, its archive, and one run or more."""

    section: str
    name: str
    variant: str = ""
    """Tells rows of one name apart."""
    build: Callable[[], Made]
    runs: tuple[Expect, ...]

    @property
    def id(self) -> str:
        return f"{self.name}[{self.variant}]" if self.variant else self.name

    @property
    def file_name(self) -> str:
        """The row's name; a variant stands in a folder of its own, so that the suffixes stay."""
        return str(PurePosixPath(self.variant.replace("/", "_"), self.name)) if self.variant else self.name


CASES: list[Case] = []


def add(section: str, name: str, build: Callable[[], Made], *runs: Expect, variant: str = "") -> None:
    """Register a row."""
    CASES.append(Case(section=section, name=name, variant=variant, build=build, runs=runs))


def row(section: str, name: str, *runs: Expect) -> Callable[[Callable[[], Made]], Callable[[], Made]]:
    """Register the decorated builder as a row."""

    def register(build: Callable[[], Made]) -> Callable[[], Made]:
        add(section, name, build, *runs)
        return build

    return register


def _ended(
    state: str, sessions: tuple[tuple[int, ...], ...] | None, counts: Mapping[str, int], rest: dict[str, object]
) -> Expect:
    if sessions is None:
        sessions = ((counts.get("stored", 0),),)
    return Expect(state=state, sessions=sessions, counts=counts, **rest)  # type: ignore[arg-type]


_VERDICTS = frozenset(
    {"stored", "duplicate", "resource", "junk", "ignored", "filtered", "unparseable", "conflict", "refused"}
)


def _split(values: dict[str, object]) -> tuple[dict[str, int], dict[str, object]]:
    counts = {key: int(str(value)) for key, value in values.items() if key in _VERDICTS}
    return counts, {key: value for key, value in values.items() if key not in _VERDICTS}


def placed(*, sessions: tuple[tuple[int, ...], ...] | None = None, **values: object) -> Expect:
    """Exit 0; counts of verdicts and other fields of Expect by name. One session of one scan unless said."""
    return _ended("placed", sessions, *_split(values))


def held(*, sessions: tuple[tuple[int, ...], ...], **values: object) -> Expect:
    """Exit 3: stands whole in the prearchive, and a person decides."""
    return _ended("held", sessions, *_split(values))


def partly(*, sessions: tuple[tuple[int, ...], ...] | None = None, **values: object) -> Expect:
    """Exit 3: a part of the archive could not be taken."""
    return _ended("partly", sessions, *_split(values))


def refused(*words: str | tuple[str, ...], **values: object) -> Expect:
    """Exit 4, nothing stored; the words (or one of each tuple) stand in the message."""
    says = tuple((word,) if isinstance(word, str) else word for word in words)
    return Expect(state="refused", says=says, **values)  # type: ignore[arg-type]


def climbs(part: str) -> tuple[tuple[str, str, str], ...]:
    """The line of an object that is kept although its name tries to climb out, or its UID can name no file."""
    return ((part, "stored", "stored_odd_name"),)


def made(archive: bytes, *kept: bytes) -> Made:
    """An archive of which these objects must be kept."""
    return Made(archive, tuple(objects.sha256(each) for each in kept))


def good_pairs(case: str, folder: bytes = b"good/") -> list[Pair]:
    """Three good objects of one series, and names for them."""
    return [(folder + b"%d.dcm" % number, data) for number, data in enumerate(objects.series(case), 1)]


def among_good(case: str, *pairs: Pair) -> bytes:
    """A zip of three good objects with `pairs` between the first and the others."""
    first, *others = good_pairs(case)
    return zips.plain(first, *pairs, *others)


def beside_good(case: str, *entries: zips.Entry, **options: object) -> bytes:
    """The same with entries of the zip writer."""
    first, *others = zips.files(*good_pairs(case))
    return zips.archive([first, *entries, *others], **options)  # type: ignore[arg-type]


def good(case: str) -> list[bytes]:
    return objects.series(case)
