"""Small seeded archives, and what DATA must hold before and after each is imported."""

from __future__ import annotations

import io
import os
import random
import struct
import tarfile
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.badinput.objects import Image, sha256

SIDE = 64
"""Rows and columns of an object: 8 KB of pixels."""

State = Mapping[str, "ExpectedSession"]
"""What DATA holds, by StudyInstanceUID; with its side behind it where PET and MR of the study are separated, and with
`WAITING` where the session stands in the prearchive.
"""

WAITING = " waiting"


@dataclass(frozen=True)
class ExpectedSession:
    """A session: where it stands and the sha256 of each of its files."""

    place: str
    files: frozenset[str]


@dataclass(frozen=True)
class Step:
    """One import: the archive and the options beside `--data`, `--project` and `--json`."""

    archive: Path
    options: tuple[str, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    """Variables of the environment."""


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """An import that is killed: what was imported before, and what DATA holds without it and with it."""

    name: str
    step: Step
    base: tuple[Step, ...] = ()
    before: State = field(default_factory=dict)
    after: State
    ends: tuple[str, int] = ("placed", 0)
    """State and exit code of the import."""
    trashed: frozenset[str] = frozenset()
    """What a replace takes out."""
    replaces: bool = False


class Study:
    """Objects of one study: `series` series of `count` objects each, and a note beside them."""

    def __init__(
        self,
        seed: int,
        number: int,
        *,
        series: int = 2,
        count: int = 20,
        version: int = 0,
        side: int = SIDE,
        patient: str = "",
        modalities: tuple[bytes, ...] = (b"MR", b"MR"),
    ) -> None:
        self.uid = Image(case=f"crash{seed}", study=number).study_uid.decode()
        self.note = f"Notes on study {number}, seed {seed}\n".encode()
        self.objects: dict[str, bytes] = {}
        for series_number in range(1, series + 1):
            for instance in range(1, count + 1):
                image = Image(
                    case=f"crash{seed}",
                    study=number,
                    series=series_number,
                    number=instance,
                    patient_id=(patient or f"CRASH{seed}_{number}").encode(),
                    patient_name=b"CRASH^NUMBER%d" % number,
                    modality=modalities[series_number - 1],
                    series_number=b"%d" % series_number,
                    also=_pixels(f"{seed}/{number}/{series_number}/{instance}/{version}", side),
                )
                self.objects[f"s{series_number}/{instance:03d}.dcm"] = image.file()

    def held(self, place: str = "archive", *, note: bool = True) -> ExpectedSession:
        files = {sha256(data) for data in self.objects.values()}
        return ExpectedSession(place, frozenset(files | {sha256(self.note)} if note else files))

    def side(self, series_number: int) -> Study:
        """One of its series alone."""
        share = object.__new__(Study)
        share.uid, share.note = self.uid, self.note
        share.objects = {name: data for name, data in self.objects.items() if name.startswith(f"s{series_number}/")}
        return share

    def part(self, start: float, end: float) -> Study:
        """The share of its objects from `start` to `end` (0 to 1)."""
        share = object.__new__(Study)
        share.uid, share.note = self.uid, self.note
        every = sorted(self.objects.items())
        share.objects = dict(every[int(start * len(every)) : int(end * len(every))])
        return share

    def entries(self, folder: str, *, note: bool = True) -> dict[str, bytes]:
        named = {f"{folder}/{name}": data for name, data in self.objects.items()}
        return named | {f"{folder}/notes.txt": self.note} if note else named


def _pixels(seed: str, side: int) -> dict[int, tuple[bytes, bytes]]:
    return {
        0x00280010: (b"US", struct.pack("<H", side)),
        0x00280011: (b"US", struct.pack("<H", side)),
        0x7FE00010: (b"OW", random.Random(seed).randbytes(side * side * 2)),
    }


def write_zip(path: Path, entries: Mapping[str, bytes]) -> Path:
    path.write_bytes(zip_bytes(entries))
    return path


def zip_bytes(entries: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", method) as archive:
        for name, data in entries.items():
            archive.writestr(zipfile.ZipInfo(name), data, method)
    return packed.getvalue()


def write_tar(path: Path, entries: Mapping[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz", compresslevel=1) as archive:
        for name, data in entries.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def _first(folder: Path, seed: int, number: int, count: int) -> tuple[Study, Path]:
    study = Study(seed, number, count=count)
    return study, write_zip(folder / f"study{number}.zip", study.entries(f"S{number}"))


def scenarios(folder: Path, seed: int = 1, *, count: int = 20) -> dict[str, Scenario]:
    """Every kind of import, its archives packed into `folder`. `count` objects a series, two series a study."""
    os.makedirs(folder, exist_ok=True)
    flat, flat_zip = _first(folder, seed, 1, count)
    waiting, waiting_zip = _first(folder, seed, 2, count)
    tar = Study(seed, 3, count=count)
    three = [Study(seed, 10 + n, count=max(2, count // 2)) for n in range(3)]
    inner = {f"S{n}.zip": zip_bytes(study.entries(f"S{n}")) for n, study in enumerate(three)}
    half, rest = flat.part(0, 0.5), flat.part(0.5, 1)
    changed = Study(seed, 1, count=count, version=1).part(0.25, 0.75)
    old = flat.part(0.25, 0.75).held(note=False).files
    both = Study(seed, 4, count=count, modalities=(b"MR", b"PT"))
    separate = {"SCANDOCK_PETMR": "separate"}
    every = [
        Scenario(
            name="petmr",
            step=Step(write_zip(folder / "petmr.zip", both.entries("B")), settings=separate),
            after={both.uid + " MR": both.side(1).held(), both.uid + " PET": both.side(2).held(note=False)},
        ),
        Scenario(name="new", step=Step(flat_zip), after={flat.uid: flat.held()}),
        Scenario(
            name="tar",
            step=Step(write_tar(folder / "tar.tar.gz", tar.entries("T"))),
            base=(Step(flat_zip),),
            before={flat.uid: flat.held()},
            after={flat.uid: flat.held(), tar.uid: tar.held()},
        ),
        Scenario(
            name="bundle",
            step=Step(write_zip(folder / "bundle.zip", inner)),
            after={study.uid: study.held() for study in three},
        ),
        Scenario(
            name="append",
            step=Step(write_zip(folder / "rest.zip", rest.entries("S1", note=False))),
            base=(Step(write_zip(folder / "half.zip", half.entries("S1"))),),
            before={flat.uid: half.held()},
            after={flat.uid: flat.held()},
        ),
        Scenario(
            name="replace",
            step=Step(write_zip(folder / "changed.zip", changed.entries("S1", note=False)), ("--overwrite", "delete")),
            base=(Step(flat_zip),),
            before={flat.uid: flat.held()},
            after={flat.uid: ExpectedSession("archive", flat.held().files - old | changed.held(note=False).files)},
            trashed=old,
            replaces=True,
        ),
        Scenario(
            name="prearchive",
            step=Step(waiting_zip, ("--destination", "prearchive")),
            after={waiting.uid + WAITING: waiting.held("prearchive")},
        ),
        Scenario(
            name="held",
            step=Step(write_zip(folder / "clashing.zip", changed.entries("S1", note=False))),
            base=(Step(flat_zip),),
            before={flat.uid: flat.held()},
            after={flat.uid: flat.held(), flat.uid + WAITING: changed.held("prearchive", note=False)},
            ends=("held", 3),
        ),
        Scenario(
            name="refused",
            step=Step(
                write_zip(folder / "refused.zip", {**tar.entries("R"), "R/s1/broken.dcm": b"no image"}),
                ("--no-ignore-unparsable",),
            ),
            base=(Step(flat_zip),),
            before={flat.uid: flat.held()},
            after={flat.uid: flat.held()},
            ends=("refused", 4),
        ),
    ]
    return {scenario.name: scenario for scenario in every}


def unrelated_archive(folder: Path, seed: int = 1) -> tuple[Step, State]:
    """A small archive that has nothing to do with the others."""
    study = Study(seed, 99, series=1, count=3)
    return Step(write_zip(folder / "bystander.zip", study.entries("B"))), {study.uid: study.held()}


def merge_states(states: Iterable[State]) -> dict[str, ExpectedSession]:
    """What DATA holds with all of these."""
    return {uid: held for state in states for uid, held in state.items()}
