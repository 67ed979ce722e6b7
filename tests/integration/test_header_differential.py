"""The fast scan against pydicom: on every file of pydicom's own test data, on the real files, and on mutated ones.

Either both say the same of an object, or the fast scan declines and lets pydicom judge. It never gives another UID.
Where an element has a VR that does not exist, or the object is not written as it says, pydicom gets what the header
page and the pictures give it: the bytes set right for it, and the encoding that the import found.
"""

from __future__ import annotations

import io
import random
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pydicom.data
import pytest
from pydicom import config, dcmread
from pydicom.filereader import read_dataset
from pydicom.multival import MultiValue

from scandock.formats import dicom_fallback
from scandock.formats.dicom_encoding import LITTLE
from scandock.formats.dicom_header import (
    DEFLATED_LITTLE,
    Header,
    Unparseable,
    looks_like_dicom,
    read_data_set,
    read_header,
)
from scandock.formats.dicom_object import uid_text
from scandock.formats.dicom_repair import repair_header
from scandock.formats.dicom_scan import SEQUENCE_BYTES, VALUE_BYTES, encoding_of
from scandock.model.tags import NUMBERS, PIXEL_DATA, SEQUENCES, TAGS

pytestmark = pytest.mark.long

ALL = frozenset(TAGS)
DATA_SET = frozenset(number for number in ALL if number >> 16 != 2)
UIDS = tuple(NUMBERS[keyword] for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"))
LOOKED_AT = {NUMBERS["TransferSyntaxUID"], NUMBERS["SpecificCharacterSet"]}
PYDICOM = Path(pydicom.data.__file__).parent
SHIPPED = sorted(path for path in PYDICOM.rglob("*") if path.is_file() and path.suffix not in {".py", ".pyc"})


class Oracle(NamedTuple):
    """What pydicom makes of bytes: what it raised, or UIDs and raw values; `strict` without force."""

    raised: str
    uids: tuple[str, ...]
    values: dict[int, bytes]
    strict: bool


@pytest.fixture(autouse=True)
def _lenient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config.settings, "reading_validation_mode", config.IGNORE)


class DeclineError(Exception):
    """The fast scan left it to pydicom."""


@contextmanager
def fast_only() -> Iterator[None]:
    def decline(*args: object, **kwargs: object) -> None:
        raise DeclineError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dicom_fallback, "read_with_pydicom", decline)
        yield


def by_pydicom(data: bytes) -> Oracle:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        strict = True
        try:
            dataset = dcmread(io.BytesIO(data), stop_before_pixels=True, specific_tags=sorted(ALL))
        except Exception:  # noqa: BLE001 - pydicom raises nearly anything
            strict = False
            try:
                dataset = dcmread(io.BytesIO(data), stop_before_pixels=True, specific_tags=sorted(ALL), force=True)
            except Exception as error:  # noqa: BLE001 - as above
                return Oracle(type(error).__name__, (), {}, False)
        values = {}
        for part, meta in ((dataset.file_meta, True), (dataset, False)):
            for tag in list(part.keys()):
                element = part.get_item(tag, keep_deferred=True)
                if int(tag) in ALL and (int(tag) >> 16 == 2) == meta and element.VR != "SQ":
                    values[int(tag)] = raw_value(element)
    return Oracle("", tuple(uid_text(values.get(number)) for number in UIDS), values, strict)


def by_pydicom_as_read(data: bytes, header: Header) -> Oracle | None:
    """What pydicom makes of the data set where and as we read it; None where it would read it so by itself."""
    if header.transfer_syntax == DEFLATED_LITTLE:
        return None
    start = 132 if header.preamble else 0
    encoding = (not header.implicit, header.big_endian)
    right = repair_header(data, start, header.dataset_at, "", encoding)
    if right is None and encoding == encoding_of(data, header.dataset_at, header.transfer_syntax):
        return None
    file = io.BytesIO(right or data)
    file.seek(header.dataset_at)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            dataset = read_dataset(
                file, header.implicit, not header.big_endian, stop_when=at_pixels, specific_tags=sorted(ALL)
            )
        except Exception as error:  # noqa: BLE001 - as below
            return Oracle(type(error).__name__, (), {}, False)
    elements = [dataset.get_item(tag, keep_deferred=True) for tag in list(dataset.keys()) if int(tag) in DATA_SET]
    raw = {int(element.tag): raw_value(element) for element in elements if element.VR != "SQ"}
    raw |= {number: value for number, value in header.values.items() if number >> 16 == 2}
    return Oracle("", tuple(uid_text(raw.get(number)) for number in UIDS), raw, False)


def at_pixels(tag: int, vr: str | None, length: int) -> bool:
    return int(tag) in PIXEL_DATA


def raw_value(element) -> bytes:
    """Its bytes; where pydicom has looked at it already (transfer syntax, character set), its text without padding."""
    if element.is_raw:
        return element.value or b""
    value = element.value
    return "\\".join(value if isinstance(value, list | MultiValue) else [value or ""]).encode("latin-1")


def by_us(data: bytes) -> Header | str:
    try:
        return read_header(data, len(data), ALL)
    except Unparseable as refused:
        return refused.code


def kept(value: bytes, number: int) -> bytes:
    return value[: SEQUENCE_BYTES if number in SEQUENCES else VALUE_BYTES]


def check_same(header: Header, oracle: Oracle) -> None:
    assert (header.study_uid, header.series_uid, header.sop_uid) == oracle.uids
    for number, value in oracle.values.items():
        mine, theirs = kept(header.values[number], number), kept(value, number)
        assert mine == theirs or (number in LOOKED_AT and mine.strip(b"\0 \n") == theirs.strip(b"\n")), f"{number:08X}"
    extra = header.values.keys() & ALL - oracle.values.keys()
    assert extra <= SEQUENCES, [f"{number:08X}" for number in extra]


def check_file(data: bytes, oracle: Oracle) -> str:
    """Judge one real file; says how it was read."""
    how = "fast"
    try:
        with fast_only():
            mine = by_us(data)
    except DeclineError:
        how, mine = "declined", by_us(data)
    if isinstance(mine, str):
        assert not (oracle.uids and all(oracle.uids)), f"{mine}, but pydicom reads it"
        return "refused"
    assert looks_like_dicom(data[:4096], len(data))
    if mine.is_dicomdir:
        assert oracle.values[NUMBERS["MediaStorageSOPClassUID"]].rstrip(b"\0") == b"1.2.840.10008.1.3.10"
        return "dicomdir"
    check_same(mine, oracle)
    return how


def test_pydicoms_own_files(subtests):
    for path in SHIPPED:
        with subtests.test(str(path.relative_to(PYDICOM))):
            data = path.read_bytes()
            check_file(data, by_pydicom(data))


@pytest.mark.corpus
def test_the_real_files(corpus):
    """Both say the same of each; and whatever pydicom reads with all UIDs, forced or not, is read."""
    how: Counter[str] = Counter()
    strict = 0
    for line in (corpus / "manifest.tsv").read_text().splitlines()[1:]:
        name = line.split("\t")[0]
        data = (corpus / name).read_bytes()
        oracle = by_pydicom(data)
        how[check_file(data, oracle)] += 1
        if oracle.uids and all(oracle.uids):
            assert isinstance(by_us(data), Header), name
            strict += oracle.strict
    assert how["fast"] > 600
    assert how["declined"] <= how["fast"] // 100
    assert strict > 600


def head_of(data: bytes, length: int) -> memoryview:
    return memoryview(data)[:length]


@pytest.mark.corpus
def test_a_head_that_grows_reads_the_same(corpus):
    paths = sorted(corpus.rglob("*.dcm"))[::9]
    read = 0
    for path in paths:
        data = path.read_bytes()
        whole = by_us(data)
        if isinstance(whole, Header):
            grown = read_header(memoryview(data)[:200], len(data), ALL, partial(head_of, data))
            assert grown == whole, path.name
            read += 1
    assert read > len(paths) * 0.9


@pytest.mark.corpus
def test_a_real_image_with_one_odd_vr_is_whole(corpus):
    """A Siemens MR, its private headers among them: whichever element it is, the same facts are read."""
    data = (corpus / SIEMENS).read_bytes()
    plain = by_us(data)
    assert isinstance(plain, Header)
    with fast_only():
        for at in elements_of(data, plain.dataset_at):
            for vr in (b"  ", b"\0\0", b"Us", b"\1\2"):
                odd = data[: at + 4] + vr + data[at + 6 :]
                assert by_us(odd) == plain, (data[at : at + 6], vr)
    for at in elements_of(data, plain.dataset_at):
        odd = data[: at + 4] + b"??" + data[at + 6 :]
        assert read_header(odd[:2_048], len(odd), ALL, partial(head_of, odd)) == plain, data[at : at + 6]


SIEMENS = "neurolabusc__dcm_qa_nih/In/20180918Si/mr_0003/epi_pe_ap-00002.dcm"


def elements_of(data: bytes, at: int) -> list[int]:
    """Where the top-level elements behind the first one stand, in explicit little endian with lengths."""
    found = []
    while at < len(data):
        vr, length = LITTLE.element(data, at)[1:]
        found.append(at)
        at += 12 + LITTLE.length(data, at + 8)[0] if vr in LITTLE.long else 8 + length
    return found[1:]


def mutated(rng: random.Random, data: bytes, header: int) -> bytes:
    """The data cut, with bits flipped, or with a length (or whatever stands there) that lies."""
    kind = rng.randrange(4)
    if kind == 0:
        return data[: rng.randrange(132, header)]
    changed = bytearray(data)
    at = rng.randrange(132, header - 4)
    if kind == 1:
        for _ in range(rng.choice((1, 1, 1, 4))):
            changed[rng.randrange(132, header)] ^= 1 << rng.randrange(8)
    elif kind == 2:
        lies = (b"\xff\xff\xff\xff", b"\xfe\xff\xff\xff", b"\xf0\xff\xff\x7f", bytes(4), rng.randbytes(4))
        changed[at : at + 4] = rng.choice(lies)
    else:
        changed[at : at + 2] = rng.randbytes(2)
    return bytes(changed)


def check_mutant(data: bytes) -> str:
    """Judge one mutated object; says what became of it, and fails where the fast scan is bolder than it may be."""
    oracle = by_pydicom(data)
    try:
        with fast_only():
            mine = by_us(data)
    except DeclineError:
        slow = by_us(data)
        if isinstance(slow, Header) and not slow.is_dicomdir and oracle.uids:
            theirs = by_pydicom_as_read(data, slow) or oracle
            assert theirs.raised or (slow.study_uid, slow.series_uid, slow.sop_uid) == theirs.uids
        return "declined"
    if isinstance(mine, str):
        if oracle.uids and all(oracle.uids):  # whole UIDs, but cut or lying in a group that identifies
            assert mine in {"header_truncated", "header_damaged"}
            return "stricter"
        return "refused"
    if mine.is_dicomdir:
        return "dicomdir"
    check_data_set(data, mine)
    as_read = by_pydicom_as_read(data, mine)
    if as_read is not None and not as_read.raised:
        check_same(mine, as_read)
        return "set right"
    oracle = as_read or oracle
    if not (oracle.uids and all(oracle.uids)):  # pydicom raised at a broken character set, or in a sequence
        assert oracle.raised
        return "bolder"
    check_same(mine, oracle)
    return "same"


def check_data_set(data: bytes, header: Header) -> None:
    """What is told of a received object, of which the data set alone came, is what the import will read in its file."""
    body = data[header.dataset_at :]
    alone = read_data_set(body[:500], len(body), header.transfer_syntax, ALL, partial(head_of, body))
    if alone is not None:
        assert (alone.study_uid, alone.series_uid, alone.sop_uid) == (
            header.study_uid,
            header.series_uid,
            header.sop_uid,
        )
        assert plain_values(alone) == plain_values(header)


def plain_values(header: Header) -> dict[int, bytes]:
    """Values of the data set but for sequences, of which as much is kept as was at hand."""
    return {number: value for number, value in header.values.items() if number >> 16 != 2 and number not in SEQUENCES}


def mutate_all(paths: list[Path], rounds: int) -> Counter[str]:
    rng = random.Random(20260131)
    outcomes: Counter[str] = Counter()
    for path in paths:
        with path.open("rb") as file:
            data = file.read(60_000)
        if len(data) < 400 or not looks_like_dicom(data, len(data)):
            continue
        for _ in range(rounds):
            outcomes[check_mutant(mutated(rng, data, min(len(data), rng.choice((600, 2_000, 8_000)))))] += 1
    return outcomes


def test_mutants_of_pydicoms_own_files():
    outcomes = mutate_all(SHIPPED, 20)
    assert outcomes["same"] > outcomes.total() // 2
    assert outcomes["bolder"] <= outcomes.total() // 200


@pytest.mark.corpus
def test_mutants_of_the_real_files(corpus):
    outcomes = mutate_all([path for path in sorted(corpus.rglob("*")) if path.is_file()], 3)
    assert outcomes["same"] > outcomes.total() // 2
    assert outcomes["bolder"] <= outcomes.total() // 200
