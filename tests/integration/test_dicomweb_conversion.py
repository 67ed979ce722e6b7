"""WADO-RS in another transfer syntax than that of storage: what can't be converted is left out and told of."""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator
from typing import Any

import httpx
import imagecodecs
import numpy as np
import pydicom
import pytest
from pydicom.uid import UID

from scandock.services import dicomweb_conversion
from scandock.viewing.decoder_messages import DecoderRequest, Message
from scandock.viewing.frame_places import MAX_FRAGMENTS
from tests.badinput.objects import nested
from tests.builders import DataFolder
from tests.integration.dicomweb_parts import parts_of
from tests.integration.web import Web, serve_in_process
from tests.unit.viewing.made import JPEG_2000, dicom, encapsulated, ramp

pytestmark = [pytest.mark.processes, pytest.mark.filterwarnings("ignore")]

DEFAULT = {"Accept": 'multipart/related; type="application/dicom"'}
IMPLICIT = "1.2.840.10008.1.2"
ROOT = "1.2.826.0.1.3680043.9.77"


def compressed(series: str, number: int, *, broken: bool = False) -> bytes:
    pixels = ramp() + number
    packed = bytes(imagecodecs.jpeg2k_encode(pixels, level=0, codecformat="j2k", reversible=True))
    if broken:
        packed = packed[:30] + b"\x55" * (len(packed) - 30)
    uids = {"StudyInstanceUID": ROOT, "SeriesInstanceUID": series, "SOPInstanceUID": f"{series}.{number}"}
    return encapsulated([packed], pixels, syntax=JPEG_2000, InstanceNumber=number, PatientID="A", **uids)


def plain(series: str, number: int) -> bytes:
    uids = {"StudyInstanceUID": ROOT, "SeriesInstanceUID": series, "SOPInstanceUID": f"{series}.{number}"}
    return dicom(ramp(), syntax=IMPLICIT, InstanceNumber=number, PatientID="A", **uids)


MIXED, BROKEN, WHOLE = f"{ROOT}.1", f"{ROOT}.2", f"{ROOT}.3"
OBJECTS = {
    "m1": plain(MIXED, 1), "m2": compressed(MIXED, 2, broken=True), "m3": compressed(MIXED, 3),
    "m4": compressed(MIXED, 4, broken=True), "m5": compressed(MIXED, 5), "b1": compressed(BROKEN, 1, broken=True),
    "w1": plain(WHOLE, 1), "w2": plain(WHOLE, 2),
}  # fmt: skip
PIECES = MAX_FRAGMENTS + 1


def in_pieces() -> bytes:
    """An object whose one frame is of more fragments than are listed."""
    uids = {"StudyInstanceUID": f"{ROOT}.9", "SeriesInstanceUID": f"{ROOT}.9.1", "SOPInstanceUID": f"{ROOT}.9.1.1"}
    whole = encapsulated([b"?!"], ramp(), syntax=JPEG_2000, PatientID="B", **uids)
    at = whole.index(b"?!") - 8
    frame = b"".join(n.to_bytes(2, "big") for n in range(PIECES % 65536)) + bytes(2 * (PIECES - PIECES % 65536))
    items = b"".join(b"\xfe\xff\x00\xe0\2\0\0\0" + frame[n : n + 2] for n in range(0, len(frame), 2))
    return whole[:at] + items + whole[at + 10 :]


def too_deep() -> bytes:
    """An object whose sequences are nested deeper than any that is read."""
    uids = {"StudyInstanceUID": f"{ROOT}.8", "SeriesInstanceUID": f"{ROOT}.8.1", "SOPInstanceUID": f"{ROOT}.8.1.1"}
    whole = dicom(ramp(), PatientID="C", **uids)
    at = whole.index(b"\xe0\x7f\x10\x00OW")
    return whole[:at] + nested(1000) + whole[at:]


def in_syntax(number: int, syntax: str, packed: bytes | None = None) -> bytes:
    uids = {"StudyInstanceUID": f"{ROOT}.7", "SeriesInstanceUID": f"{ROOT}.7.{number}",
            "SOPInstanceUID": f"{ROOT}.7.{number}.1", "PatientID": "D"}  # fmt: skip
    made = encapsulated([packed], ramp(), syntax=JPEG_2000, **uids) if packed else dicom(ramp(), **uids)
    old = JPEG_2000 if packed else EXPLICIT
    return made.replace(old.encode().ljust(len(old) + len(old) % 2, b"\0"),
                        syntax.encode().ljust(len(old) + len(old) % 2, b"\0"), 1)  # fmt: skip


EXPLICIT, DEFLATED_FRAMES, PLAIN_FRAMES = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.8.1", "1.2.840.10008.1.2.1.98"
PRIVATE = "1.2.840.113619.5.2"
_PACKER = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
SYNTAXES = {
    "s1": in_syntax(1, DEFLATED_FRAMES, _PACKER.compress(ramp().tobytes()) + _PACKER.flush()),
    "s2": in_syntax(2, PLAIN_FRAMES, ramp().tobytes()),
    "s3": in_syntax(3, PRIVATE),
}


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    root = tmp_path_factory.mktemp("conversion")
    with serve_in_process(root / "data") as served:
        objects = {**OBJECTS, "p1": in_pieces(), "d1": too_deep(), **SYNTAXES}
        DataFolder(root=root, checked=False).bring({f"{name}.dcm": data for name, data in objects.items()})
        yield served


@pytest.fixture
def client(web: Web) -> Iterator[httpx.Client]:
    with web.client() as opened:
        yield opened


def address(series: str) -> str:
    return f"/dicomweb/projects/P/studies/{ROOT}/series/{series}"


def numbers_of(answer: httpx.Response) -> list[int]:
    """The numbers of the objects of an answer, each of which is whole and in Explicit VR Little Endian."""
    numbers = []
    for _, body in parts_of(answer):
        dataset = pydicom.dcmread(io.BytesIO(body))
        assert dataset.file_meta.TransferSyntaxUID == UID("1.2.840.10008.1.2.1")
        number = int(dataset.InstanceNumber)
        stored = pydicom.dcmread(io.BytesIO(OBJECTS[f"{'m' if dataset.SeriesInstanceUID == MIXED else 'w'}{number}"]))
        assert np.array_equal(dataset.pixel_array, stored.pixel_array)
        numbers.append(number)
    return numbers


def test_what_can_not_be_converted_is_left_out_and_told_before_the_first_byte(
    web: Web, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    for kept in (dicomweb_conversion.KEPT_BYTES, 1):  # with what the trial made, and made again
        monkeypatch.setattr(dicomweb_conversion, "KEPT_BYTES", kept)
        web.site.dicomweb.conversions.clear()
        answer = client.get(address(MIXED), headers=DEFAULT)
        assert (answer.status_code, numbers_of(answer)) == (206, [1, 3, 5])
        assert "2 of 5 objects are left out" in answer.headers["warning"]
    assert web.site.response_buffers.bytes == 0
    study = client.get(address(MIXED).partition("/series/")[0], headers=DEFAULT)
    assert (study.status_code, numbers_of(study)) == (206, [1, 3, 5, 1, 2])
    assert "3 of 8 objects are left out" in study.headers["warning"]
    whole = client.get(address(WHOLE), headers=DEFAULT)
    assert (whole.status_code, numbers_of(whole)) == (200, [1, 2])
    assert "warning" not in whole.headers
    for nothing in (address(BROKEN), f"{address(MIXED)}/instances/{MIXED}.2"):
        refused = client.get(nothing, headers=DEFAULT)
        assert (refused.status_code, refused.json()["code"]) == (406, "not_convertible")


def test_where_trying_takes_too_long_the_rest_is_said_to_be_untried(
    web: Web, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dicomweb_conversion, "TRIAL_SECONDS", 0.0)
    web.site.dicomweb.conversions.clear()
    answer = client.get(address(MIXED), headers=DEFAULT)
    assert (answer.status_code, numbers_of(answer)) == (206, [1, 3, 5])
    assert "were not tried: those that can't be converted are left out" in answer.headers["warning"]


def test_what_is_known_to_be_convertible_is_not_tried_again(
    web: Web, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dicomweb_conversion, "KEPT_BYTES", 1)
    web.site.dicomweb.conversions.clear()
    asked: list[DecoderRequest] = []
    ask = web.site.pictures.decoders.ask

    def noted(request: DecoderRequest, *more: Any, **named: Any) -> Message:
        asked.append(request)
        return ask(request, *more, **named)

    monkeypatch.setattr(web.site.pictures.decoders, "ask", noted)
    client.get(address(WHOLE), headers=DEFAULT)
    trials = [request for request in asked if request["verb"] == "convertible"]
    assert len(trials) == 1  # one question for all that is not compressed
    asked.clear()
    assert numbers_of(client.get(address(WHOLE), headers=DEFAULT)) == [1, 2]
    assert [request["verb"] for request in asked] == ["explicit", "explicit"]


def test_a_head_is_no_download(web: Web, client: httpx.Client) -> None:
    def downloads() -> list[dict[str, Any]]:
        lines = client.get("/api/v1/audit?limit=500").json()["items"]
        return [line for line in lines if line["action"] == "download"]

    before = len(downloads())
    for accept in (DEFAULT["Accept"], "application/dicom; transfer-syntax=*"):
        head = client.head(f"{address(WHOLE)}/instances/{WHOLE}.1", headers={"Accept": accept})
        assert (head.status_code, head.content) == (200, b"")
    assert len(downloads()) == before
    client.get(address(MIXED), headers=DEFAULT)
    assert (len(downloads()), downloads()[0]["details"]["files"]) == (before + 1, 3)  # those that were sent


def test_fragments_of_a_frame_are_joined_however_many_there_are(client: httpx.Client) -> None:
    frames = f"/dicomweb/projects/P/studies/{ROOT}.9/series/{ROOT}.9.1/instances/{ROOT}.9.1.1/frames"
    stored = {"Accept": "multipart/related; type=application/octet-stream; transfer-syntax=*"}
    for address, count in ((f"{frames}/1", 1), (f"{frames}/1%2C1", 2)):
        answer = client.get(address, headers=stored)
        parts = parts_of(answer)
        assert len(parts) == count
        for content_type, body in parts:
            assert content_type == f"image/jp2; transfer-syntax={JPEG_2000}"
            assert (len(body), body[:6]) == (2 * PIECES, b"\0\0\0\1\0\2")
        assert answer.headers["content-location"] == address  # as an address, not decoded


def test_metadata_tell_of_headers_that_can_not_be_read(client: httpx.Client) -> None:
    answer = client.get(f"/dicomweb/projects/P/studies/{ROOT}.8/metadata")
    assert answer.status_code == 206
    assert "the headers of 1 of 1 objects can't be read" in answer.headers["warning"]
    (model,) = answer.json()
    assert model["00080018"]["Value"] == [f"{ROOT}.8.1.1"]
    assert client.get(f"{address(MIXED)}/metadata").status_code == 200


@pytest.mark.parametrize(("number", "syntax"), [(1, DEFLATED_FRAMES), (2, PLAIN_FRAMES)])
def test_frames_without_a_codec_are_octets_unless_they_are_asked_for_as_stored(
    client: httpx.Client, number: int, syntax: str
) -> None:
    instance = f"/dicomweb/projects/P/studies/{ROOT}.7/series/{ROOT}.7.{number}/instances/{ROOT}.7.{number}.1"
    plain = client.get(f"{instance}/frames/1", headers={"Accept": "application/octet-stream"})
    assert plain.headers["content-type"] == f"application/octet-stream; transfer-syntax={EXPLICIT}"
    assert plain.content == ramp().tobytes()
    stored = client.get(f"{instance}/frames/1", headers={"Accept": "application/octet-stream; transfer-syntax=*"})
    assert stored.headers["content-type"] == f"application/octet-stream; transfer-syntax={syntax}"
    assert (stored.content == plain.content) == (syntax == PLAIN_FRAMES)
    copy = pydicom.dcmread(io.BytesIO(client.get(instance, headers={"Accept": "application/dicom"}).content))
    assert copy.file_meta.TransferSyntaxUID == EXPLICIT
    assert np.array_equal(copy.pixel_array, ramp())
    assert client.get(f"{instance}/rendered").status_code == 200


def test_a_transfer_syntax_that_is_not_known_is_not_taken_for_another(client: httpx.Client) -> None:
    instance = f"/dicomweb/projects/P/studies/{ROOT}.7/series/{ROOT}.7.3/instances/{ROOT}.7.3.1"
    for accept in ("application/dicom", f"application/dicom; transfer-syntax={EXPLICIT}"):
        refused = client.get(instance, headers={"Accept": accept})
        assert (refused.status_code, refused.json()["code"]) == (406, "not_convertible")
    stored = client.get(instance, headers={"Accept": "application/dicom; transfer-syntax=*"})
    assert stored.headers["content-type"] == f"application/dicom; transfer-syntax={PRIVATE}"
    for path in ("frames/1", "pixeldata", "bulkdata/7FE00010"):
        refused = client.get(f"{instance}/{path}", headers={"Accept": "application/octet-stream"})
        assert (refused.status_code, refused.json()["code"]) == (406, "not_acceptable"), path
        stored = client.get(f"{instance}/{path}", headers={"Accept": "application/octet-stream; transfer-syntax=*"})
        assert stored.headers["content-type"] == f"application/octet-stream; transfer-syntax={PRIVATE}"
        assert stored.content == ramp().tobytes()
