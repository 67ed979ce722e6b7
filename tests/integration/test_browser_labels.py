"""The page's naming rules (JavaScript) and the server's (Python): one answer to generated cases of each.

What a person sees before an upload, and may change, has to be what the import makes of it.
"""

from __future__ import annotations

import json
import random
import re
import shutil
import subprocess
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from pydicom._uid_dict import UID_dictionary

from scandock.formats.dicom_text import decode_value
from scandock.model.errors import Usage
from scandock.model.series import SeriesTally
from scandock.model.tags import NUMBERS
from scandock.rules import labels
from scandock.rules.catalog_view import KnownSession, KnownSubject
from scandock.rules.comments import find_assignment
from scandock.rules.import_request import ImportRequest
from scandock.rules.junk import is_named_like_image, junk_code
from scandock.rules.layout import parse_layout
from scandock.rules.letters import LETTERS_FILE
from scandock.rules.mapping import _is_slip, find_row, parse_mapping
from scandock.rules.naming import name_study
from scandock.rules.patients import find_patients
from scandock.rules.policy import ProjectPolicy, SiteRules
from scandock.rules.routing import route_studies
from scandock.rules.sop_classes import CSA_NON_IMAGE, ROOT, has_pixels
from scandock.rules.study import StudyFacts, normalize_date, normalize_time

pytestmark = pytest.mark.processes

NODE = Path(__file__).resolve().parent.parent / "node"
CASES = 1_500
PIECES = (
    *("DOE", "Jane", "^", "=", " ", "  ", "_", "-", ".", "*", "anon", "ANONYMOUS", "None", "unknown", "Müller", "山田"),
    *("\t", "\n", "\0", "ß", "İ", "ı", "É", "A1", "0", "é", "\U0001f600", "S01", "x" * 40, "ſ", "\u00a0", "Σ"),
    *("Mu\u0308ller", "Иванов", "Й", "И\u0306", "ь", "ŉ", "\ufffd", "\ufffdR", "²", "٣", "ﬁ", "ά", "\u1f71"),
)
FOLDERS = (
    *("S1", "scans", "SCANS", "4", "resources", "Resources", "DICOM", "dicom", "NIFTI", "SNAPSHOTS", "files", "FILES"),
    *(
        "assessors",
        "out",
        "..",
        ".",
        "__MACOSX",
        "secondary",
        "ECAT",
        "IHE_PDI",
        "a.app",
        "Contents",
        "jre1",
        "lib",
        "",
    ),
)
BASES = (
    *(
        "1.dcm",
        "IM.IMA",
        "a.v",
        "a.V.gz",
        "DICOMDIR",
        "dicomdir;1",
        "Thumbs.db",
        "._x",
        ".DS_Store",
        "scan_4_catalog.xml",
    ),
    *("index.html", "viewer.exe", "MD5SUMS", "a.sha256", "checksum.txt", "manifest-md5.txt", "notes.txt", "a.pdf", "x"),
    *("catalog.xml", "dcmtoxnat.log", "a.tar.gz", "..", ".", "Icon\r", "AUTORUN.INF;1", "b.bval", "sha256sums.txt.asc"),
)


def text(chance: random.Random, most: int = 6) -> str:
    return "".join(chance.choice(PIECES) for _ in range(chance.randint(0, most)))


def comment(chance: random.Random) -> str:
    words = ("Project", "subject", "SESSION", "AA", ":", " :", "ABC", "S-01", " ", ";", ",", "\n", "x", "é", "true")
    return "".join(chance.choice(words) for _ in range(chance.randint(0, 14)))


def path(chance: random.Random) -> str:
    folders = [chance.choice(FOLDERS) for _ in range(chance.randint(0, 7))]
    mark = chance.choice(("/", "/", "/", "\\"))
    return mark.join([*folders, chance.choice(BASES)])


def mapping(chance: random.Random) -> str:
    mark = chance.choice((",", ";", "\t"))
    names = ["study_uid", "Patient ID", "folder", "project", "SubjectLabel", "session", "leave_out"]
    columns = chance.sample(names, chance.randint(1, 7))
    if chance.random() < 0.2:
        odd = (
            "age",
            "Sex",
            "subjec",
            "patient",
            "sesion",
            "séance",
            "label",
            "leave-outs",
            "",
            "",
            "fold er",
            "id",
            "uid",
        )
        columns += chance.sample(odd, chance.randint(1, 3))
        chance.shuffle(columns)
    cells = ("",) * (10 if len(columns) > 7 else 2)
    cells += ("1.2", "P1", "a b", '"q, ""x"""', "...", " S1 ", "yes", "no", "maybe", "sub-01/ses-1", "é")
    lines = [mark.join(columns)]
    lines += [mark.join(chance.choice(cells) for _ in columns) for _ in range(chance.randint(0, 4))]
    if chance.random() < 0.1:
        lines.insert(1, "")
    if chance.random() < 0.1:
        lines.append(mark.join(["x"] * 9))
    if chance.random() < 0.1:
        lines.append(chance.choice(('"open', '"a"b', 'a"b"', '"two\nlines"', '"a" ', '"open\n')))
    first = f"sep={mark}\n" if chance.random() < 0.1 else ""
    return first + chance.choice(("\n", "\r\n")).join(lines) + chance.choice(("", "\n"))


def mistyped(chance: random.Random) -> str:
    """The name of a column with some of its letters gone, doubled or others."""
    name = list(chance.choice(("study_uid", "patient_id", "folder", "project", "subject", "session", "leave_out")))
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(name) + 1)
        name[at : at + chance.randint(0, 2)] = chance.choice(("", "s", "e", "_", "x", "ss", "id"))
    return "".join(name)


def charset_case(chance: random.Random) -> list[Any]:
    charset = chance.choice(
        (b"", b"ISO_IR 100", b"ISO_IR 192", b"ISO_IR 144", b"ISO_IR 148", b"ISO_IR 166", b"GB18030", b"ISO 2022 IR 6")
    )
    if charset == b"GB18030":  # of bytes that are none, decoders make one mark or several
        return ["".join(chance.choice("山田^Jane é") for _ in range(8)).encode("gb18030").hex(), charset.hex(), False]
    raw = bytes(chance.choice(b"DOE^jane= \\\0\n\xc3\xa9\xe9\xb0\xff\x85\xa0") for _ in range(chance.randint(0, 12)))
    return [raw.hex(), charset.hex(), chance.random() < 0.3]


def answered(cases: list[tuple[str, list[Any]]]) -> Iterator[Any]:
    program = shutil.which("node")
    assert program, "no node: scripts/system-packages.sh installs it"
    lines = "\n".join(json.dumps(case) for case in cases)
    done = subprocess.run(
        [program, "--no-warnings", NODE / "rules.mjs"], input=lines, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return map(json.loads, done.stdout.splitlines())


def parsed(source: str) -> Any:
    try:
        rows = parse_mapping(source, "m.csv")
    except Usage as error:
        found = re.match(r"Row (\d+)", error.message)
        return found[1] if found else "unreadable"
    return [[r.number, r.study_uid, r.patient_id, r.folder, r.project, r.subject, r.session, r.leave_out] for r in rows]


def placed(where: str, outer: list[str]) -> list[Any]:
    place = parse_layout(where, outer)
    return [
        *(place.session_folder, place.scan_folder, place.resource, place.is_image_folder, place.is_resource_folder),
        *(place.base, list(place.folders), place.session_depth),
    ]


def name_key(name: str) -> str:
    tally = SeriesTally(study_uid="1", series_uid="1", objects=1, values={NUMBERS["PatientName"]: {name: 1}})
    return find_patients(StudyFacts(key="1", study_uid="1", series=(tally,)), ()).name


def decoded(raw: str, charsets: str, long: bool) -> str:
    return decode_value(bytes.fromhex(raw), "LT" if long else "LO", bytes.fromhex(charsets) or None, big_endian=False)


TIMES = (
    "093005.250000",
    "0930",
    "09",
    "09:30:05",
    "235960",
    "240000",
    "9",
    "093",
    "",
    " 1200 ",
    "12:00:00,5",
    "1200.5",
)
DATES = ("20240229", "20230229", "2024.02.29", "20241301", " 20240101 ", "2024", "00010101", "00000101", "99991231", "")

CLASSES = [uid for uid, told in UID_dictionary.items() if told[1] == "SOP Class" and uid.startswith(ROOT)]
CLASSES += ["", "1.2.3", CSA_NON_IMAGE]

RULES: dict[str, tuple[Callable[..., Any], Callable[[random.Random], list[Any]]]] = {
    "clean": (labels.clean_label, lambda chance: [text(chance, 9)]),
    "person": (labels.person_label, lambda chance: [text(chance, 9)]),
    "plain_person": (labels.plain_person_label, lambda chance: [text(chance, 9)]),
    "is_placeholder": (labels.is_placeholder, lambda chance: [text(chance, 3)]),
    "is_project_id": (labels.is_project_id, lambda chance: [chance.choice((text(chance, 2), "unassigned", "P_1"))]),
    "name_key": (name_key, lambda chance: [chance.choice(("Doe^Jane", "x" + text(chance)))]),
    "assigned": (find_assignment, lambda chance: [chance.choice(("Project", "Subject", "Session")), comment(chance)]),
    "as_date": (normalize_date, lambda chance: [chance.choice(DATES)]),
    "as_time": (normalize_time, lambda chance: [chance.choice(TIMES)]),
    "has_pixels": (has_pixels, lambda chance: [chance.choice(CLASSES), chance.choice(("MR", "sr", "OT", "PR", ""))]),
    "junk_code": (junk_code, lambda chance: [path(chance)]),
    "named_like_image": (is_named_like_image, lambda chance: [path(chance)]),
    "place_of": (placed, lambda chance: [path(chance), [path(chance) for _ in range(chance.randint(0, 2))]]),
    "is_slip": (_is_slip, lambda chance: [chance.choice((mistyped(chance), text(chance)))]),
    "parse_mapping": (parsed, lambda chance: [mapping(chance)]),
    "decode": (decoded, charset_case),
}


@pytest.mark.parametrize("name", RULES)
def test_one_answer_to_each_case(name: str) -> None:
    ours, case = RULES[name]
    chance = random.Random(f"scandock {name}")
    cases = [case(chance) for _ in range(CASES)]
    differ = [
        (args, theirs, mine)
        for args, theirs in zip(cases, answered([(name, args) for args in cases]), strict=True)
        if theirs != (mine := ours(*args))
    ]
    assert differ == []


def test_every_letter_of_the_table_is_spelled_alike() -> None:
    ranges = [line.split(" ") for line in Path(LETTERS_FILE).read_text("utf-8").splitlines()[1:]]
    codes = {code for first, last, *_ in ranges for code in (int(first, 16), int(last, 16), int(last, 16) + 1)}
    codes |= {code for first, last, *text in ranges if text != ["?"] for code in range(int(first, 16), int(last, 16))}
    names = [f"X{chr(code)}" for code in sorted(codes)]
    assert len(names) > 2_500
    differ = [
        (name, theirs)
        for name, theirs in zip(names, answered([("person", [name]) for name in names]), strict=True)
        if theirs != labels.person_label(name)
    ]
    assert differ == []


# -- whole uploads ---------------------------------------------------------------------------------------------------


class Former:
    """A catalog in which nothing is but subjects that an earlier version named."""

    def __init__(self, subjects: dict[str, dict[str, list[str]]]) -> None:
        self.subjects = {
            labels.label_key(label): KnownSubject(
                label=label, patient_ids=frozenset(one["ids"]), patient_names=frozenset(one["names"])
            )
            for label, one in subjects.items()
        }

    def sessions_of_study(self, project: str, study_uid: str, /) -> list[Any]:
        return []

    def series_of_study(self, project: str, study_uid: str, /) -> dict[str, Any]:
        return {}

    def sessions_labelled(self, project: str, label: str, /) -> list[Any]:
        return []

    def subject(self, project: str, label: str, /) -> None:
        return None

    def subjects_labelled(self, project: str, given: Collection[str], /) -> dict[str, KnownSubject]:
        return {key: self.subjects[key] for key in map(labels.label_key, given) if key in self.subjects}

    def is_timestamp_taken(self, project: str, timestamp: str, /) -> bool:
        return False

    def promised_sessions(self, project: str, /, *, label: str = "", study_uid: str = "") -> Sequence[KnownSession]:
        return ()


VALUES: dict[str, tuple[str, ...]] = {
    "PatientID": ("P1", "P.1", "P 1", "anonymous", "", "p1", "é", "P2" * 40, "XNAT_E00003"),
    "PatientName": (
        "Doe^Jane",
        "DOE^JANE",
        "Anon^^",
        "",
        "山田^太郎=Yamada",
        "Doe Jane",
        "Roe^R",
        "xnat_s00012",
        "Müller^A",
        "MÜLLER^A",
        "Иван",
    ),
    "StudyDate": ("20240101", "2024.01.01", "nonsense", "20240102", ""),
    "StudyTime": ("093005.25", "0930", "14:00:60", "2500", ""),
    "StudyDescription": ("Brain", "P", "Q", ""),
    "AccessionNumber": ("", "Q", "A77"),
    "PatientComments": (
        "",
        "",
        "Session:C1",
        "Subject: S7 Session:C1",
        "Project:Q",
        "nothing; Subject:S8,",
        "Subject:XNAT_S00003",
    ),
    "StudyComments": ("", "", "Session:C2"),
}
PROJECTS = ("P", "Q")


def upload(chance: random.Random) -> list[Any]:
    """Some studies, what is asked of them, and the projects that may be used."""
    studies = []
    for n in range(chance.randint(1, 6)):
        series = []
        for m in range(chance.randint(1, 2)):
            values = {}
            for keyword, choices in VALUES.items():
                votes = {value: chance.randint(1, 3) for value in chance.sample(choices, chance.randint(1, 2)) if value}
                values[keyword] = list(votes.items())
            series.append({"uid": f"1.{n}.{m}", "objects": 9, "values": values})
        folder = chance.choice(("", "", "F1", "f1", "..."))
        studies.append(
            {
                "key": f"1.2.{n}", "uid": f"1.2.{n}", "series": series, "ecat": [], "ecatDate": "",
                "sessionFolders": {folder: 3} if folder else {}, "folders": [f"x/{folder}", "all.zip!sub-01/a"],
            }
        )  # fmt: skip
    request: dict[str, Any] = {"project": chance.choice(("", "P")), "session": "", "subject": ""}
    if chance.random() < 0.3:
        request["session"] = chance.choice(("L", "l 1"))
    if chance.random() < 0.3:
        request["subject"] = "S"
    if chance.random() < 0.5:
        keys = ("1.2.0,,", "1.2.1,,", ",P1,", ",,sub-01", ",,F1", "1.2.0,P1,x")
        goes = ("Q,,,", ",S1,,", ",,V1,", "P,S1,V1,", ",,,yes", ",s1,v1,")
        rows = [f"{chance.choice(keys)},{chance.choice(goes)}" for _ in range(chance.randint(1, 3))]
        request["mapping"] = "study_uid,patient_id,folder,project,subject,session,leave_out\n" + "\n".join(rows)
    return [studies, request, list(PROJECTS), former_subjects(chance)]


def former_subjects(chance: random.Random) -> dict[str, dict[str, list[str]]]:
    names = (
        "M_ller_A",
        "M_LLER_A",
        "P1",
        *(f"M_ller_A_{labels.hash_text(one, 6)}" for one in ("P1", "P 1", "müller^a")),
    )
    ids: tuple[list[str], ...] = (["P1"], ["P1", "P 1"], ["P2" * 40], [])
    whose: tuple[list[str], ...] = (["müller^a"], ["müller^a", "möller^a"], [])
    chosen = chance.sample(names, chance.randint(0, 4))
    by_key = {labels.label_key(label): label for label in chosen}  # a project has one subject of a label
    return {label: {"ids": chance.choice(ids), "names": chance.choice(whose)} for label in by_key.values()}


def settled(
    studies: list[dict[str, Any]], asked: dict[str, Any], projects: list[str], subjects: dict[str, Any]
) -> list[Any]:
    facts = [
        StudyFacts(
            key=one["key"],
            study_uid=one["uid"],
            series=tuple(
                SeriesTally(
                    study_uid=one["uid"],
                    series_uid=series["uid"],
                    objects=series["objects"],
                    values={NUMBERS[keyword]: dict(votes) for keyword, votes in series["values"].items()},
                )
                for series in one["series"]
            ),
            session_folders=one["sessionFolders"],
            folders=frozenset(one["folders"]),
        )
        for one in studies
    ]
    rows = parse_mapping(asked["mapping"], "m.csv") if "mapping" in asked else ()
    request = ImportRequest(
        project=asked["project"] or None,
        subject=asked["subject"] or None,
        session=asked["session"] or None,
        mapping=rows,
    )
    kept = [one for one in facts if not ((row := find_row(rows, one)) is not None and row.leave_out)]
    namings = [name_study(one, request, SiteRules(), lambda name: name in projects) for one in kept]
    policies = {name: ProjectPolicy(id=name) for name in projects}
    decisions = route_studies(namings, kept, request, policies, Former(subjects), datetime(2024, 1, 1, 12, 0, 0))  # noqa: DTZ001
    told: dict[str, Any] = {}
    for one in decisions:
        codes = {*((one.held.code,) if one.held else ()), *(said.code for said in one.warnings)}
        held = sorted(codes & {"label_many_studies", "subject_many_patients", "patient_mismatch"})
        told[one.study_key] = [one.project, one.subject, one.label, held]
    return [told.get(one.key, "left out") for one in facts]


def test_whole_uploads_are_named_alike() -> None:
    chance = random.Random("scandock uploads")
    cases = [upload(chance) for _ in range(CASES)]
    differ = [
        (args, theirs, mine)
        for args, theirs in zip(cases, answered([("settle", args) for args in cases]), strict=True)
        if theirs != (mine := settled(*args))
    ]
    assert differ == [], json.dumps(differ[:1], indent=1)
    outcomes = {code for args in cases for one in settled(*args) if one != "left out" for code in one[3]}
    assert outcomes == {"label_many_studies", "subject_many_patients", "patient_mismatch"}
    kept = {one[1] for args in cases for one in settled(*args) if one != "left out"}
    assert {"M_ller_A", "M_LLER_A", f"M_ller_A_{labels.hash_text('P1', 6)}", "Muller_A"} <= kept
