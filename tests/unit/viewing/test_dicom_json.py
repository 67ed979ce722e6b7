"""Metadata of objects: the DICOM JSON model, held equal to pydicom's over every real file beside the project."""

from __future__ import annotations

import io
import json
import warnings
import zlib
from contextlib import ExitStack
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pydicom
import pydicom.config
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from scandock.deidentification.errors import ScrubError
from scandock.deidentification.parsing import parse
from scandock.viewing.dicom_json import JsonEncoder
from scandock.viewing.metadata import describe_objects
from scandock.viewing.object_reading import DatasetNode, read_bulk_data
from tests.badinput.objects import Image

MOST_INLINE = 1368
"""Of pydicom's threshold: base64 of 1 kB."""
LEFT_OUT = {"00080005", "FFFCFFFC"}


def encoded(data: bytes) -> dict[str, Any]:
    text = JsonEncoder().encode(parse(data).data)
    told: dict[str, Any] = json.loads(text)
    assert list(told) == sorted(told)
    return told


def image(**also: tuple[bytes, bytes]) -> dict[str, Any]:
    """The JSON of an image with these elements besides, named as `t00101000`."""
    return encoded(Image(case="json", also={int(name[1:], 16): value for name, value in also.items()}).file())


@pytest.mark.parametrize(
    ("vr", "raw", "value"),
    [
        (b"PN", b"A^B=\xc3\x84=c ", {"Value": [{"Alphabetic": "A^B", "Ideographic": "\ufffd\ufffd", "Phonetic": "c"}]}),
        (b"PN", b"==c", {"Value": [{"Phonetic": "c"}]}),
        (b"PN", b"A\\\\B^", {"Value": [{"Alphabetic": "A"}, None, {"Alphabetic": "B^"}]}),
        (b"LO", b"a\\ b \\\0", {"Value": ["a", "b", None]}),
        (b"LO", b"  ", {}),
        (b"LO", b"", {}),
        (b"LT", b"  a\\b ", {"Value": ["  a\\b"]}),
        (b"UT", b' "q"\\\n\x01 ', {"Value": [' "q"\\\n\x01']}),
        (b"UR", b"http://a/b\\c ", {"Value": ["http://a/b\\c"]}),
        (b"IS", b"12\\-3 \\+4", {"Value": [12, -3, 4]}),
        (b"IS", b"1_000", {"Value": ["1_000"]}),
        (b"IS", b"9007199254740993", {"Value": ["9007199254740993"]}),
        (b"IS", b"1.5", {"Value": [1.5]}),
        (b"DS", b"1.50\\.5\\ 2.\\1e3\\007", {"Value": [1.5, 0.5, 2.0, 1000.0, 7.0]}),
        (b"DS", b"nan\\inf\\1e999\\x\\", {"Value": ["nan", "inf", "1e999", "x", None]}),
        (b"AT", b"\x08\x00\x18\x00", {"Value": ["00080018"]}),
        (b"FD", b"\0\0\0\0\0\0\xf8\x7f\0\0\0\0\0\0\xf0\xff\0\0\0\0\0\0\xe0\x3f", {"Value": ["NaN", "-Infinity", 0.5]}),
        (b"FL", b"\0\0\x80\x7f", {"Value": ["Infinity"]}),
        (b"SS", b"\xff\xff\1\0", {"Value": [-1, 1]}),
        (b"UI", b"1.2.3\0", {"Value": ["1.2.3"]}),
        (b"OB", b"\1\2\3\4", {"InlineBinary": "AQIDBA=="}),
        (b"UN", b"", {}),
        (b"OW", bytes(1024), {"InlineBinary": "A" * 1366 + "=="}),
        (b"OW", bytes(1026), {"BulkDataURI": "@00991001"}),
    ],
)  # fmt: skip
def test_a_value(vr: bytes, raw: bytes, value: dict[str, Any]) -> None:
    told = image(t00990010=(b"LO", b"CREATOR "), t00991001=(vr, raw))
    assert told["00991001"] == {"vr": vr.decode(), **value}
    assert told["00990010"]["Value"] == ["CREATOR"]


def test_what_stays_and_what_goes() -> None:
    told = image(t00080000=(b"UL", bytes(4)), tFFFCFFFC=(b"OB", b"\0\0"), t00080005=(b"CS", b"ISO_IR 100"),
                 t00100010=(b"PN", b"M\xfcller"))  # fmt: skip
    assert told["00080005"] == {"vr": "CS", "Value": ["ISO_IR 192"]}
    assert told["00100010"]["Value"] == [{"Alphabetic": "Müller"}]
    assert told["7FE00010"] == {"vr": "OW", "BulkDataURI": "@7FE00010"}
    assert not {name for name in told if name[4:] == "0000" or name[:4] in ("0000", "0002", "FFFC")}


def written(syntax: UID) -> bytes:
    """An object with sequences of all kinds, in a transfer syntax."""
    inner = Dataset()
    inner.SpecificCharacterSet = "ISO_IR 144"
    inner.PatientName = "Люкceмбypг"
    inner.BluePaletteColorLookupTableData = b"\1\0" * 600
    inner.add_new(0x00281101, "US", [1, 2, 3])
    outer = Dataset()
    outer.SOPClassUID, outer.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.4", "1.2.3"
    outer.StudyInstanceUID, outer.SeriesInstanceUID = "1.2", "1.2.1"
    outer.PixelRepresentation = 1
    outer.SmallestImagePixelValue = -5
    outer.ReferencedSeriesSequence = Sequence([inner, Dataset()])
    outer.RequestAttributesSequence = Sequence([])
    outer.SliceThickness = "1.25"
    outer.TableOfYBreakPoints = [1, 70000]
    outer.FrameTimeVector = [0.5, 1.5]
    outer.RedPaletteColorLookupTableData = b"\1\2\3\4"
    outer.add_new(0x00720082, "SV", [-1, -(2**60)])
    outer.add_new(0x00720083, "UV", [2**64 - 1, 1])
    outer.private_block(0x0019, "GEMS_ACQU_01", create=True).add_new(0xE2, "DS", "1.5")
    file = io.BytesIO()
    outer.file_meta = pydicom.dataset.FileMetaDataset()
    outer.file_meta.TransferSyntaxUID = syntax
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pydicom.dcmwrite(file, outer, enforce_file_format=True)
    return file.getvalue()


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_encodings_give_the_same(syntax: UID) -> None:
    told = encoded(written(syntax))
    items = told["00081115"]["Value"]
    assert items[0]["00100010"]["Value"] == [{"Alphabetic": "Люкceмбypг"}]
    assert items[0]["00080005"]["Value"] == ["ISO_IR 192"]
    assert items[0]["00281203"] == {"vr": "OW", "BulkDataURI": "@00081115/1/00281203"}
    assert items[0]["00281101"]["Value"] == [1, 2, 3]
    assert told["00720082"]["Value"] == [-1, str(-(2**60))]
    assert told["00720083"]["Value"] == ["18446744073709551615", 1]
    assert items[1] == {}
    assert told["00400275"] == {"vr": "SQ"}
    assert told["00280106"] == {"vr": "SS", "Value": [-5]}
    assert told["001910E2"] == {"vr": "DS", "Value": [1.5]}
    swapped = syntax == ExplicitVRBigEndian  # pydicom swaps no OW as it writes
    assert told["00281201"]["InlineBinary"] == ("AgEEAw==" if swapped else "AQIDBA==")
    with io.BytesIO(written(syntax)) as stream:
        dataset = pydicom.dcmread(stream)
    by_pydicom = json.loads(JsonEncoder().encode(DatasetNode(dataset)))
    assert by_pydicom == told


def test_bulk_data_is_found_by_its_path(tmp_path: Path) -> None:
    (tmp_path / "a.dcm").write_bytes(written(ImplicitVRLittleEndian))
    with open(tmp_path / "a.dcm", "rb") as stream:
        assert read_bulk_data(stream, [0x00081115, 1, 0x00281203]) == b"\1\0" * 600
        assert read_bulk_data(stream, [0x00281201]) == b"\1\2\3\4"
        for path in ([0x00081115, 3, 0x00281203], [0x00081115], [0x00280010], [0x00280106, 1, 0x00280010]):
            with pytest.raises(Exception, match=r"no such element|sequence"):
                read_bulk_data(stream, path)


def test_a_value_can_t_pass_for_an_address() -> None:
    told = JsonEncoder().encode(parse(Image(case="j", also={0x00081030: (b"LO", b'"BulkDataURI":"@x')}).file()).data)
    assert told.count('"BulkDataURI":"@') == 1


def test_many_objects_are_described_until_it_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scandock.viewing.metadata.ENOUGH_BYTES", 2000)
    files = [Image(case="many", number=n).file() for n in range(4)] + [b""]
    for n, data in enumerate(files):
        (tmp_path / f"{n}").write_bytes(data)
    with ExitStack() as exits:
        streams = [exits.enter_context(open(tmp_path / f"{n}", "rb")) for n in range(5)]
        described, body = describe_objects(streams)
        assert len(described) == 2
        text = zlib.decompress(body)
        assert sum(one["length"] for one in described) == len(text)
        assert json.loads(text[: described[0]["length"]])["00200013"]["Value"] == [0]
        broken, _ = describe_objects(streams[4:])
        assert broken == [{"length": 0, "frames": None, "syntax": "", "document": "", "listing": []}]


def normalized(model: dict[str, Any]) -> dict[str, tuple[str, Any]]:
    """Pydicom's JSON, and ours, where they differ by intent: no empty values, padding or places of bulk data."""
    told: dict[str, tuple[str, Any]] = {}
    for name, element in model.items():
        if name[4:] == "0000" or name in LEFT_OUT:
            continue
        values = [_normalized_value(value) for value in element.get("Value", [])]
        if values and any(value is not None for value in values):
            told[name] = (str(element["vr"]), values)
        elif "BulkDataURI" in element or name[:4] == "7FE0":
            told[name] = (str(element["vr"]), "bulk")
        else:
            told[name] = (str(element["vr"]), element.get("InlineBinary", ""))
    return told


def _normalized_value(value: Any) -> Any:
    if isinstance(value, dict):
        if set(value) <= {"Alphabetic", "Ideographic", "Phonetic"} and value:
            return {name: text.strip("\0 ") for name, text in value.items() if text.strip("\0 ")} or None
        return normalized(value)
    return value.strip("\0 ") or None if isinstance(value, str) else value


def differences(data: bytes) -> list[str]:
    """The elements that pydicom tells otherwise; those that it fails at are left."""
    dataset = pydicom.dcmread(io.BytesIO(data))
    theirs = normalized(dataset.to_json_dict(MOST_INLINE, lambda _: "there", suppress_invalid_tags=True))
    ours = normalized(json.loads(JsonEncoder().encode(parse(data).data)))
    odd = {name for name, element in theirs.items() if element != ours.get(name)}
    more = {name for name in ours.keys() - theirs.keys() if ours[name][1]}
    return sorted(odd | {name for name in more if ours[name][0] != "DS"})  # pydicom leaves out those that are too long


KNOWN = (
    ("priv_SQ.dcm", "3F031001"),  # a sequence of VR UN and defined length, of which pydicom gives the bytes
    ("SC_rgb_jpeg.dcm", "7FE00010"),  # encapsulated, though of implicit VR, which has the dictionary's
    ("badVR.dcm", "*"),  # pydicom leaves out elements with values that they can't have
    ("bad_sequence.dcm", "*"),
    ("rtdose*.dcm", "300C0002"),
    ("OBXXXX1A_expb*.dcm", "002812*"),  # big endian: pydicom gives the bytes as they are written
)
"""Where both differ with reason, by patterns of file and element."""


def is_known(name: str, element: str) -> bool:
    return any(fnmatch(name, file) and fnmatch(element, tag) for file, tag in KNOWN)


@pytest.mark.long
@pytest.mark.corpus
@pytest.mark.filterwarnings("ignore")
def test_real_objects_are_told_as_pydicom_tells_them(corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pydicom.config.settings, "reading_validation_mode", pydicom.config.IGNORE)
    compared, odd = 0, []
    for path in sorted(corpus.rglob("*")):
        if not path.is_file():
            continue
        data = path.read_bytes()
        if data[128:132] != b"DICM":
            continue
        try:
            parse(data)
        except ScrubError:
            continue
        compared += 1
        odd += [(path.name, name) for name in differences(data) if not is_known(path.name, name)]
    assert odd == []
    assert compared > 650
