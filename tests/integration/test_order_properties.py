"""Any mix of archives, orders, splits and repetitions of the same objects gives the same studies, series and objects.

Only ids and labels that collide may depend on the order. What must come out is worked out here from the objects alone.
"""

from __future__ import annotations

import tempfile
from collections import defaultdict
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

from scandock.testing.data import make_data
from tests.builders import DataFolder, Image, ecat, sha256, zip_entries
from tests.stored_files import session_files

pytestmark = pytest.mark.long

COMMENT = 0x00204000


@dataclass(frozen=True)
class Piece:
    """One file of the world: its bytes, where it belongs, and which object it is (file meta makes no other)."""

    name: str
    data: bytes
    study: str | None
    series: str | None
    identity: str
    folder: str


def _image(name: str, study: int, series: int, number: int, *, text: bytes = b"", preamble: bytes = b"") -> Piece:
    """Studies 1 and 2 are one patient's on one day, study 3 another's whose label is the same once it is cleaned."""
    made = Image(
        case="order",
        study=study,
        series=series,
        number=number,
        series_number=b"%d" % (1 + series % 2),  # series 1 and 3 share a number
        patient_id={1: b"A.1", 2: b"A.1", 3: b"A 1", 4: b""}[study],
        patient_name={1: b"DOE^A", 2: b"DOE^A", 3: b"DOE^A", 4: b"anonymous"}[study],
        modality=b"SR" if series == 3 else b"MR",
        also={COMMENT: (b"LT", text)} if text else {},
    )
    return Piece(
        name,
        made.file(preamble=preamble),
        made.study_uid.decode(),
        made.series_uid.decode(),
        sha256(made.file()),
        f"S{study}",
    )


def _pet(name: str, patient: bytes, start: int) -> Piece:
    data = ecat(patient_id=patient, scan_start_time=start)
    return Piece(name, data, None, None, sha256(data), f"PET{patient.decode()}")


WORLD = [
    _image("1-1-1", 1, 1, 1),
    _image("1-1-2", 1, 1, 2),
    _image("1-1-2-other-preamble", 1, 1, 2, preamble=b"II*\0"),
    _image("1-3-1", 1, 3, 1),
    _image("2-1-1", 2, 1, 1),
    _image("2-1-1-other-content", 2, 1, 1, text=b"another content"),
    _image("2-2-1", 2, 2, 1),
    _image("3-1-1", 3, 1, 1),
    _image("4-1-1", 4, 1, 1),
    _pet("pet-a-1", b"A", 1_580_465_700),
    _pet("pet-a-2", b"A", 1_580_465_900),
    _pet("pet-b-1", b"B", 1_580_465_700),
]
BY_NAME = {piece.name: piece for piece in WORLD}

Archive = list[tuple[str, str]]
"""(name of the piece, where it stands): flat, in the documented layout, or in an archive within."""

archives = st.lists(
    st.tuples(st.sampled_from(sorted(BY_NAME)), st.sampled_from(["flat", "documented", "inner", "gzip"])),
    min_size=1,
    max_size=8,
)


def at_least(examples: int) -> settings:
    """So many made-up cases, each of which is several imports; by `make fuzz` as many as its profile says."""
    chosen = settings.default.max_examples if settings.get_current_profile_name() == "fuzz" and settings.default else 0
    return settings(max_examples=max(examples, chosen))


@st.composite
def uploads(draw: st.DrawFn) -> list[Archive]:
    """One to three archives, some of them again, in any order."""
    made = draw(st.lists(archives, min_size=1, max_size=3))
    again = draw(st.lists(st.sampled_from(range(len(made))), max_size=2))
    return draw(st.permutations([*made, *(made[at] for at in again)]))


def packed(archive: Archive) -> bytes:
    entries = []
    for n, (name, layout) in enumerate(archive):
        piece = BY_NAME[name]
        base = f"{n}.{'v' if piece.study is None else 'dcm'}"
        where = (
            f"{piece.folder}/scans/{piece.name[2]}/resources/{'ECAT' if piece.study is None else 'DICOM'}/files/{base}"
        )
        if layout == "documented":
            entries.append((where, piece.data))
        elif layout == "inner":
            entries.append((f"{piece.folder}-{n}.zip", zip_entries({base: piece.data})))
        else:
            entries.append((f"x{n}/{base}", piece.data))
    return zip_entries(entries)


Objects = dict[tuple[str | None, str | None], set[str]]


def expected(brought: list[Archive]) -> Objects:
    found: Objects = defaultdict(set)
    for archive in brought:
        for name, _ in archive:
            piece = BY_NAME[name]
            found[piece.study, piece.series].add(piece.identity)
    return dict(found)


def stored(site: DataFolder) -> tuple[Objects, dict[tuple[str, str, int], list[str]]]:
    """What the catalog has: identities by study and series, and those of each session by themselves."""
    identity = {sha256(piece.data): piece.identity for piece in WORLD}
    found: Objects = defaultdict(set)
    sessions: dict[tuple[str, str, int], list[str]] = defaultdict(list)
    with site.catalog() as catalog, catalog.read() as connection:
        files = [stored_file for stored_file in session_files(connection) if stored_file.scan_n is not None]
    for stored_file in files:
        one = identity[stored_file.row.sha256.hex()]
        is_ecat = stored_file.label == "ECAT"
        study, series = stored_file.study_uid, stored_file.series_uid
        found[None if is_ecat else study, None if is_ecat else series].add(one)
        sessions[stored_file.place, study or "", stored_file.session_id].append(one)
    return dict(found), dict(sessions)


def site_in(folder: str) -> DataFolder:
    made = DataFolder(root=Path(folder), checked=False)
    make_data(made.data)
    return made


@at_least(12)
@given(brought=uploads(), destination=st.sampled_from(["archive", "prearchive"]), workers=st.sampled_from([1, 2]))
def test_the_same_objects_in_any_way_give_the_same(brought: list[Archive], destination: str, workers: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        site = site_in(folder)
        for archive in brought:
            told = site.bring(packed(archive), destination=destination, workers=workers)
            note(f"{told.state} {told.counts} {[(one['path'], one['code']) for one in told.sessions]}")
            assert told.state in {"placed", "held"}
        site.check()
        found, sessions = stored(site)

        assert found == expected(brought)
        for objects in sessions.values():
            assert len(objects) == len(set(objects)), "a session holds one object twice"
        archived = [study for place, study, _ in sessions if place == "archive" and study]
        assert len(archived) == len(set(archived)), "a study is archived twice"


@at_least(10)
@given(order=st.permutations(sorted(BY_NAME)), cuts=st.sets(st.integers(1, len(WORLD) - 1), max_size=3))
def test_without_clashes_the_archive_holds_each_object_once(order: list[str], cuts: set[int]) -> None:
    """Nothing is held then, so all stands in the archive, each session where its study is."""
    names = [name for name in order if name != "2-1-1-other-content"]
    edges = [0, *sorted(cut for cut in cuts if cut < len(names)), len(names)]
    with tempfile.TemporaryDirectory() as folder:
        site = site_in(folder)
        for start, end in pairwise(edges):
            assert site.bring(packed([(name, "flat") for name in names[start:end]])).state == "placed"
        site.check()
        found, sessions = stored(site)

        assert found == expected([[(name, "flat") for name in names]])
        assert {place for place, _, _ in sessions} == {"archive"}
        assert sorted(one for objects in sessions.values() for one in objects) == sorted(
            {BY_NAME[name].identity for name in names}
        )
        assert len(sessions) == 6
