"""WADO-RS over real objects of all kinds, by a port: answers to the letter, and as dicomweb-client reads them."""

from __future__ import annotations

import io
import json
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import httpx
import numpy as np
import pydicom
import pytest
from dicomweb_client.api import DICOMfileClient, DICOMwebClient
from dicomweb_client.session_utils import create_session_from_user_pass
from PIL import Image as Picture
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.pixels.utils import pixel_array
from pydicom.uid import (
    UID,
    EncapsulatedPDFStorage,
    ExplicitVRLittleEndian,
    SegmentationStorage,
    VideoEndoscopicImageStorage,
)
from sqlalchemy import func, select

from scandock.catalog.server_tables import verification
from tests.builders import DataFolder, images
from tests.integration.dicomweb_parts import parts_of
from tests.integration.web import PASSWORD, Web, serve_by_socket

pytestmark = [pytest.mark.processes, pytest.mark.corpus, pytest.mark.filterwarnings("ignore")]

EXPLICIT = "1.2.840.10008.1.2.1"
STORED = {"Accept": "multipart/related; type=application/dicom; transfer-syntax=*"}
FRAMES = {"Accept": "multipart/related; type=application/octet-stream; transfer-syntax=*"}
"""As OHIF asks."""
REAL = {
    "explicit": "CT_small.dcm",
    "implicit": "rtdose.dcm",
    "big": "MR_small_bigendian.dcm",
    "j2k": "JPEG2000.dcm",
    "rle": "emri_small_RLE.dcm",
    "bits": "liver.dcm",
    "deflated": "image_dfl.dcm",
    "jpeg": "SC_rgb_jpeg_dcmtk.dcm",
    "jls": "MR_small_jpeg_ls_lossless.dcm",
}
FILM = b"\0\0\0\x18ftypmp42" + bytes(range(256)) * 40
PAPER = b"%PDF-1.4 paper" + bytes(2000)


@dataclass
class Sample:
    """One object of the server."""

    data: bytes
    base: str = ""
    path: Path = field(default_factory=Path)

    @cached_property
    def dataset(self) -> Dataset:
        return pydicom.dcmread(io.BytesIO(self.data))

    @property
    def uids(self) -> tuple[str, str, str]:
        ds = self.dataset
        return ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.SOPInstanceUID

    @property
    def address(self) -> str:
        study, series, instance = self.uids
        return f"/dicomweb/projects/P/studies/{study}/series/{series}/instances/{instance}"

    @property
    def series(self) -> str:
        return self.address.partition("/instances/")[0]


def made(sop_class: UID, uid: str, **elements: Any) -> bytes:
    """An object with a document or a film."""
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = sop_class, f"1.2.826.0.1.3680043.9.{uid}.3"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = (f"1.2.826.0.1.3680043.9.{uid}.{n}" for n in (1, 2))
    dataset.PatientID, dataset.PatientName, dataset.StudyDate = "MADE", "Made^Up", "20260101"
    syntax = elements.pop("syntax", ExplicitVRLittleEndian)
    for name, value in elements.items():
        setattr(dataset, name, value)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    if "PixelData" in dataset:
        dataset["PixelData"].is_undefined_length = syntax != ExplicitVRLittleEndian
    file = io.BytesIO()
    pydicom.dcmwrite(file, dataset, enforce_file_format=True)
    return file.getvalue()


def renamed(data: bytes) -> bytes:
    """An object under UIDs of its own."""
    dataset = pydicom.dcmread(io.BytesIO(data))
    for name in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
        setattr(dataset, name, f"{dataset[name].value}.9")
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    file = io.BytesIO()
    dataset.save_as(file)
    return file.getvalue()


@dataclass
class Served:
    web: Web
    samples: dict[str, Sample]
    folder: Path

    def client(self, **more: Any) -> httpx.Client:
        return self.web.client(**more)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, corpus: Path) -> Iterator[Served]:
    root = tmp_path_factory.mktemp("wado")
    there = {path.name: path for path in corpus.glob("pydicom__*/**/*.dcm")}
    samples = {kind: Sample(there[name].read_bytes()) for kind, name in REAL.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        samples["jls"] = Sample(renamed(samples["jls"].data))  # it is the one in big endian, too
        samples["pdf"] = Sample(
            made(EncapsulatedPDFStorage, "1", Modality="DOC", EncapsulatedDocument=PAPER,
                 MIMETypeOfEncapsulatedDocument="application/pdf")
        )  # fmt: skip
        samples["film"] = Sample(
            made(VideoEndoscopicImageStorage, "2", Modality="ES", syntax=UID("1.2.840.10008.1.2.4.102"), Rows=8,
                 Columns=8, SamplesPerPixel=3, BitsAllocated=8, BitsStored=8, HighBit=7, PixelRepresentation=0,
                 NumberOfFrames=25, PhotometricInterpretation="YBR_PARTIAL_420",
                 PixelData=encapsulate([FILM], has_bot=False))
        )  # fmt: skip
        samples["dots"] = Sample(
            made(SegmentationStorage, "3", Modality="SEG", Rows=1, Columns=1, SamplesPerPixel=1, BitsAllocated=1,
                 BitsStored=1, HighBit=0, PixelRepresentation=0, NumberOfFrames=65,
                 PhotometricInterpretation="MONOCHROME2", PixelData=b"\x35" * 9 + b"\0")
        )  # fmt: skip
    samples |= {f"plain{n}": Sample(data) for n, data in enumerate(images(3))}
    (root / "files").mkdir()
    with serve_by_socket(root / "data") as web:
        site = DataFolder(root=root)
        for name, sample in samples.items():
            if name != "film":  # which dicomweb-client's file client takes for damaged
                (root / "files" / f"{name}.dcm").write_bytes(sample.data)
        outcome = site.bring({f"{name}/a.dcm": sample.data for name, sample in samples.items()}, overwrite="none")
        assert outcome.state in ("placed", "held"), outcome.report["message"]
        for stored in (root / "data/archive").rglob("*"):
            if stored.is_file():
                for sample in samples.values():
                    if stored.read_bytes() == sample.data:
                        sample.path = stored
        assert not [name for name, sample in samples.items() if not sample.path.name], outcome.codes()
        yield Served(web, samples, root / "files")


@pytest.fixture
def client(served: Served) -> Iterator[httpx.Client]:
    with served.client() as opened:
        yield opened


# -- objects -----------------------------------------------------------------------------------------------------------


def test_objects_as_they_are_stored(served: Served, client: httpx.Client) -> None:
    for kind, sample in served.samples.items():
        ((content_type, body),) = parts_of(client.get(sample.address, headers=STORED))
        syntax = sample.dataset.file_meta.TransferSyntaxUID
        assert (content_type, body) == (f"application/dicom; transfer-syntax={syntax}", sample.data), kind
    plain = served.samples["plain0"]
    for address in (plain.series, plain.series.partition("/series/")[0]):
        parts = parts_of(client.get(address, headers=STORED))
        assert [body for _, body in parts] == [served.samples[f"plain{n}"].data for n in range(3)]
        assert {content_type for content_type, _ in parts} == {"application/dicom"}


def test_objects_are_converted_by_default(served: Served, client: httpx.Client) -> None:
    """What asks for no transfer syntax, as dicomweb-client does for series, gets Explicit VR Little Endian."""
    for kind in ("implicit", "big", "j2k", "rle", "bits", "deflated", "jpeg", "jls", "explicit"):
        sample = served.samples[kind]
        answer = client.get(sample.series, headers={"Accept": 'multipart/related; type="application/dicom"'})
        ((content_type, body),) = parts_of(answer)
        assert content_type == f"application/dicom; transfer-syntax={EXPLICIT}"
        copy = pydicom.dcmread(io.BytesIO(body))
        assert copy.file_meta.TransferSyntaxUID == EXPLICIT
        assert copy.SOPInstanceUID == sample.dataset.SOPInstanceUID
        assert np.array_equal(copy.pixel_array, sample.dataset.pixel_array), kind


def test_one_object_also_without_multipart(served: Served, client: httpx.Client) -> None:
    sample = served.samples["explicit"]
    for accept in ("application/dicom", "application/dicom; transfer-syntax=*"):
        answer = client.get(sample.address, headers={"Accept": accept})
        assert answer.content == sample.data
        assert answer.headers["content-type"] == f"application/dicom; transfer-syntax={EXPLICIT}"
    again = client.get(sample.address, headers={"Accept": accept, "If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert answer.headers["cache-control"] == "private, no-cache"
    head = client.head(sample.address, headers={"Accept": accept})
    assert (head.status_code, head.content, head.headers["etag"]) == (200, b"", answer.headers["etag"])


@pytest.mark.parametrize(
    ("verb", "accept"),
    [
        ("", "application/dicom; transfer-syntax=1.2.840.10008.1.2.4.90"),
        ("", "image/png"),
        ("/metadata", 'multipart/related; type="application/dicom+xml"'),
        ("/frames/1", "image/jp2"),
        ("/rendered", "image/gif"),
        ("/pixeldata", "video/mp4"),
        ("/bulkdata/7FE00010", "text/html"),
    ],
)
def test_what_can_t_be_answered_is_406(served: Served, client: httpx.Client, verb: str, accept: str) -> None:
    answer = client.get(served.samples["explicit"].address + verb, headers={"Accept": accept})
    assert (answer.status_code, answer.json()["code"]) == (406, "not_acceptable")


def test_a_film_is_no_image(served: Served, client: httpx.Client) -> None:
    film = served.samples["film"]
    default = client.get(film.address, headers={"Accept": 'multipart/related; type="application/dicom"'})
    assert (default.status_code, default.json()["code"]) == (406, "not_convertible")
    for address, headers in (
        (film.address + "/pixeldata?accept=video/mp4", {}),
        (film.address + "/rendered", {"Accept": "video/mp4"}),
        (film.address + "/bulkdata/7FE00010", {"Accept": "video/mp4; transfer-syntax=*"}),
    ):
        whole = client.get(address, headers=headers)
        assert whole.content == FILM
        assert whole.headers["content-type"].startswith("video/mp4")
        part = client.get(address, headers={**headers, "Range": "bytes=10-19"})
        assert (part.status_code, part.content) == (206, FILM[10:20])
        assert part.headers["content-range"] == f"bytes 10-19/{len(FILM)}"


# -- frames ------------------------------------------------------------------------------------------------------------


def native_frames(sample: Sample) -> list[bytes]:
    """All frames as Explicit VR Little Endian has them, by pydicom."""
    ds = sample.dataset
    count = int(ds.get("NumberOfFrames", 1))
    pixels = ds.pixel_array.reshape(count, -1)
    if ds.BitsAllocated == 1:
        return [np.packbits(frame.astype(bool), bitorder="little").tobytes() for frame in pixels]
    return [frame.astype(frame.dtype.newbyteorder("<")).tobytes() for frame in pixels]


@pytest.mark.parametrize("kind", ["explicit", "implicit", "big", "bits", "dots", "deflated"])
def test_native_frames(served: Served, client: httpx.Client, kind: str) -> None:
    sample = served.samples[kind]
    wanted = native_frames(sample)
    numbers = [len(wanted), 1] if len(wanted) > 1 else [1]
    for headers in (FRAMES, {"Accept": 'multipart/related; type="*/*"'}, {}):
        parts = parts_of(client.get(f"{sample.address}/frames/{','.join(map(str, numbers))}", headers=headers))
        assert {content_type for content_type, _ in parts} == {f"application/octet-stream; transfer-syntax={EXPLICIT}"}
        assert [body for _, body in parts] == [wanted[n - 1] for n in numbers]
    single = client.get(f"{sample.address}/frames/1", headers={"Accept": "application/octet-stream"})
    assert single.content == wanted[0]
    assert single.headers["content-type"] == f"application/octet-stream; transfer-syntax={EXPLICIT}"


def test_any_number_of_tiny_frames_is_sent_one_by_one(served: Served, client: httpx.Client) -> None:
    """None are gathered in memory before: their bits are few, but each is a part of its own."""
    for kind, count, is_gathered in (("bits", 3, True), ("dots", 65, False)):
        answer = client.get(f"{served.samples[kind].address}/pixeldata", headers=FRAMES)
        assert [body for _, body in parts_of(answer)] == native_frames(served.samples[kind])
        assert (len(parts_of(answer)), "content-length" in answer.headers) == (count, is_gathered)


@pytest.mark.parametrize(
    ("kind", "media_type", "alias"),
    [
        ("j2k", "image/jp2", "image/jpx"), ("rle", "image/dicom-rle", "image/x-dicom-rle"),
        ("jpeg", "image/jpeg", "image/*"), ("jls", "image/jls", "image/x-jls"),
    ],
)  # fmt: skip
def test_compressed_frames(served: Served, client: httpx.Client, kind: str, media_type: str, alias: str) -> None:
    sample = served.samples[kind]
    syntax = sample.dataset.file_meta.TransferSyntaxUID
    from pydicom.encaps import generate_frames

    count = int(sample.dataset.get("NumberOfFrames", 1))
    wanted = list(generate_frames(sample.dataset.PixelData, number_of_frames=count))
    for accept in (
        FRAMES["Accept"],
        f'multipart/related; type="{media_type}"; transfer-syntax={syntax}',
        f"multipart/related; type={alias}",
        'application/nonsense, multipart/related; type="*/*"; transfer-syntax="*"',
    ):
        ((content_type, body),) = parts_of(client.get(f"{sample.address}/frames/{count}", headers={"Accept": accept}))
        assert content_type == f"{media_type}; transfer-syntax={syntax}"
        assert body in (wanted[-1], wanted[-1][:-1])
    decoded = parts_of(client.get(f"{sample.address}/frames/1", headers={"Accept": 'multipart/related; type="*/*"'}))
    pixels = np.frombuffer(decoded[0][1], dtype=np.uint8 if sample.dataset.BitsAllocated == 8 else "<u2")
    expected = pixel_array(sample.dataset, index=0, raw=True)
    assert decoded[0][0] == f"application/octet-stream; transfer-syntax={EXPLICIT}"
    assert np.array_equal(pixels, expected.view(f"u{expected.dtype.itemsize}").ravel())
    every = parts_of(client.get(f"{sample.address}/pixeldata", headers=FRAMES))
    assert len(every) == count


def test_frames_that_there_are_not(served: Served, client: httpx.Client) -> None:
    sample = served.samples["rle"]
    count = sample.dataset.NumberOfFrames
    for frames in ("0", str(count + 1), f"1,{count + 1}", "-1", "x", "1,,2", "1" * 30):
        answer = client.get(f"{sample.address}/frames/{frames}", headers=FRAMES)
        assert (answer.status_code, answer.json()["code"]) == (404, "frame_unknown"), frames
    assert client.get(f"{served.samples['pdf'].address}/frames/1", headers=FRAMES).json()["code"] == "part_unknown"


# -- metadata and bulk data --------------------------------------------------------------------------------------------


def test_metadata(served: Served, client: httpx.Client) -> None:
    sample = served.samples["explicit"]
    answer = client.get(f"{sample.series}/metadata", headers={"Accept": "application/dicom+json"})
    assert answer.headers["content-type"] == "application/dicom+json"
    (model,) = answer.json()
    assert model["00080018"]["Value"] == [sample.dataset.SOPInstanceUID]
    assert model["00083002"]["Value"] == [EXPLICIT]
    assert model["7FE00010"]["BulkDataURI"] == f"{served.web.base}{sample.address}/bulkdata/7FE00010"
    assert answer.headers["content-encoding"] == "gzip"
    plain = client.get(f"{sample.series}/metadata", headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.json() == answer.json()
    again = client.get(f"{sample.series}/metadata", headers={"If-None-Match": answer.headers["etag"]})
    assert again.status_code == 304
    union = client.get(f"{sample.series}/metadata".replace("/projects/P", "")).json()
    assert union[0]["7FE00010"]["BulkDataURI"] == model["7FE00010"]["BulkDataURI"].replace("/projects/P", "")
    for part in sample.uids:
        assert client.get(f"{sample.series}/metadata".replace(part, f"{part}.9")).status_code in (404, 200)
    other = served.samples["big"]
    mixed = f"{sample.series.partition('/series/')[0]}/series/{other.uids[1]}/metadata"
    assert client.get(mixed).status_code == 404


def test_addresses_are_of_the_host_that_was_asked(served: Served, client: httpx.Client) -> None:
    sample = served.samples["explicit"]
    port = served.web.base.rpartition(":")[2]
    for host, base in (
        ("127.0.0.1", f"http://127.0.0.1:{port}"),  # as dicomweb-client sends it
        ("[::1]", f"http://[::1]:{port}"),
        ("dock.example.org", "http://dock.example.org"),  # as a proxy on this machine passes it on
        (f"dock.example:{port}", f"http://dock.example:{port}"),
        ('evil"x', f"http://127.0.0.1:{port}"),
    ):
        (model,) = client.get(f"{sample.series}/metadata", headers={"Host": host}).json()
        assert model["7FE00010"]["BulkDataURI"].startswith(f"{base}/dicomweb/projects/P/studies/"), host


def test_bulk_data(served: Served, client: httpx.Client) -> None:
    for sample in served.samples.values():
        (model,) = client.get(f"{sample.address}/metadata").json()
        for tag, element in model.items():
            if "BulkDataURI" not in element or tag == "7FE00010":
                continue
            ((_, body),) = parts_of(client.get(element["BulkDataURI"]))
            assert body == sample.dataset[int(tag, 16)].value or sample.dataset.file_meta.TransferSyntaxUID.endswith(
                ".2.2"
            )
    explicit = served.samples["explicit"]
    pixels = f"{explicit.address}/bulkdata/7FE00010"
    raw = explicit.dataset.PixelData
    assert parts_of(client.get(pixels)) == [(f"application/octet-stream; transfer-syntax={EXPLICIT}", raw)]
    part = client.get(pixels, headers={"Accept": "application/octet-stream", "Range": "bytes=-5"})
    assert (part.status_code, part.content) == (206, raw[-5:])
    beyond = client.get(pixels, headers={"Accept": "application/octet-stream", "Range": "bytes=99999999-"})
    assert (beyond.status_code, beyond.json()["code"]) == (416, "range_unsatisfiable")
    assert beyond.headers["content-range"] == f"bytes */{len(raw)}"
    tag = part.headers["etag"]
    for condition, status in ((tag, 206), ('"other"', 200), (f"W/{tag}", 200), ("Tue, 01 Dec 2026 04:00:00 GMT", 200)):
        headers = {"Accept": "application/octet-stream", "Range": "bytes=-5", "If-Range": condition}
        again = client.get(pixels, headers=headers)
        assert (again.status_code, again.content) == (status, raw[-5:] if status == 206 else raw), condition
    for known in (tag, f"W/{tag}"):
        headers = {"Accept": "application/octet-stream", "If-None-Match": known}
        assert client.get(pixels, headers=headers).status_code == 304
    for path in ("00280010/1/00280011", "nonsense", "00080018/1", "00990010", "00081140"):
        assert client.get(f"{explicit.address}/bulkdata/{path}").status_code == 404, path


def test_a_document_is_told_as_what_it_is(served: Served, client: httpx.Client) -> None:
    pdf = served.samples["pdf"]
    for address, headers, policy in (
        (f"{pdf.address}/bulkdata/00420011?accept=application/pdf", {}, "sandbox; default-src 'none'"),
        (
            f"{pdf.address}/rendered",
            {"Accept": "application/pdf"},
            "default-src 'none'; object-src 'self'; frame-ancestors 'self'",  # OHIF shows it within its page
        ),
    ):
        answer = client.get(address, headers=headers)
        assert answer.headers["content-type"] == "application/pdf"
        assert answer.content == PAPER
        assert answer.headers["content-security-policy"] == policy
        assert answer.headers["x-frame-options"] == ("DENY" if "sandbox" in policy else "SAMEORIGIN")
    assert parts_of(client.get(f"{pdf.address}/bulkdata/00420011"))[0] == ("application/octet-stream", PAPER)


# -- pictures ----------------------------------------------------------------------------------------------------------


def test_pictures(served: Served, client: httpx.Client) -> None:
    sample = served.samples["explicit"]
    for address, kind, size in (
        (f"{sample.address}/rendered", "JPEG", (128, 128)),
        (f"{sample.address}/rendered?accept=image/png", "PNG", (128, 128)),
        (f"{sample.address}/frames/1/rendered?viewport=64,32&window=40,400,linear&quality=50", "JPEG", (32, 32)),
        (f"{sample.address}/thumbnail?viewport=16,20", "JPEG", (16, 16)),
        (f"{sample.series}/thumbnail", "JPEG", (256, 256)),
        (f"{sample.series}/rendered?window=40,400,sigmoid", "JPEG", (128, 128)),
        (sample.series.partition("/series/")[0] + "/rendered", "JPEG", (128, 128)),
        (f"{served.samples['rle'].address}/rendered", "JPEG", (64, 64)),
    ):
        answer = client.get(address)
        picture = Picture.open(io.BytesIO(answer.content))
        assert (picture.format, picture.size) == (kind, size), address
        assert answer.headers["content-type"] == f"image/{kind.lower()}"
    dark, bright = (
        Picture.open(io.BytesIO(client.get(f"{sample.address}/rendered?accept=image/png&window={window}").content))
        for window in ("4000,10", "-4000,10")
    )
    thumbnail = client.get(f"{sample.address}/thumbnail?viewport=2000,2000", headers={"Accept": "image/png"})
    assert Picture.open(io.BytesIO(thumbnail.content)).format == "PNG"
    assert max(Picture.open(io.BytesIO(thumbnail.content)).size) == 256
    refused = client.get(f"{sample.address}/thumbnail", headers={"Accept": "text/html"})
    assert (refused.status_code, refused.json()["code"]) == (406, "not_acceptable")
    two = client.get(f"{served.samples['rle'].address}/frames/1,2/rendered")
    assert (two.status_code, two.json()["code"]) == (400, "request_invalid")
    assert dark.getextrema() == (0, 0)
    assert bright.getextrema() == (255, 255)
    for query in (
        *("viewport=0,1", "viewport=1", "viewport=1,2,3,4", "window=1", "window=1,-2,linear", "window=1,2,cubic"),
        *("quality=101", "quality=x"),
    ):
        assert client.get(f"{sample.address}/rendered?{query}").status_code == 400, query
    assert client.get(f"{served.samples['pdf'].series}/rendered").json()["code"] == "part_unknown"


# -- clients of other hands --------------------------------------------------------------------------------------------


def test_dicomweb_client_reads_it_all(served: Served) -> None:
    session = create_session_from_user_pass(username="admin", password=PASSWORD)
    web = DICOMwebClient(url=f"{served.web.base}/dicomweb/projects/P", session=session)
    folder = DICOMfileClient(url=f"file://{served.folder}", in_memory=True, update_db=True)
    sample = served.samples["explicit"]
    study, series, instance = sample.uids
    assert web.retrieve_instance(study, series, instance).PixelData == sample.dataset.PixelData
    j2k = served.samples["j2k"]
    assert len(web.retrieve_study(j2k.uids[0])) == 1
    assert [found.SOPInstanceUID for found in web.retrieve_series(*served.samples["plain0"].uids[:2])] == [
        served.samples[f"plain{n}"].uids[2] for n in range(3)
    ]
    (frame,) = web.retrieve_instance_frames(study, series, instance, [1])
    assert frame == sample.dataset.PixelData
    syntax = str(j2k.dataset.file_meta.TransferSyntaxUID)
    (packed,) = web.retrieve_instance_frames(*j2k.uids, [1], media_types=(("image/jp2", syntax),))
    assert packed[:4] in (b"\xff\x4f\xff\x51", b"\0\0\0\x0c")
    assert web.retrieve_instance_rendered(study, series, instance, media_types=("image/png",))[:4] == b"\x89PNG"
    assert web.retrieve_instance_frames_rendered(study, series, instance, [1])[:2] == b"\xff\xd8"
    uri = web.retrieve_instance_metadata(study, series, instance)["7FE00010"]["BulkDataURI"]
    assert web.retrieve_bulkdata(uri) == [sample.dataset.PixelData]
    for each in (sample for name, sample in served.samples.items() if name != "film"):
        study, series, instance = each.uids
        ours = web.retrieve_instance_metadata(study, series, instance)
        theirs = cast("dict[str, Any]", folder.retrieve_instance_metadata(study, series, instance))
        for tag in ("00080016", "00080018", "00080020", "0020000D", "0020000E", "00280010", "00100010", "00080060"):
            assert _text(ours.get(tag)) == _text(theirs.get(tag)), tag


def _text(element: dict[str, Any] | None) -> str:
    return json.dumps((element or {}).get("Value", []), sort_keys=True)


# -- packs -------------------------------------------------------------------------------------------------------------


def test_packs_are_kept_and_made_anew(served: Served, client: httpx.Client) -> None:
    sample = served.samples["plain0"]
    packs = Path(served.web.site.data) / "packs"
    first = client.get(f"{sample.series}/metadata")
    folders = {path.name for path in packs.iterdir()}
    assert folders
    for pack in packs.rglob("*.pack"):
        pack.write_bytes(b"no pack")
    assert client.get(f"{sample.series}/metadata").json() == first.json()
    assert any(pack.read_bytes() != b"no pack" for pack in packs.rglob("*.pack"))
    for pack in packs.rglob("*.pack"):
        pack.unlink()
    assert parts_of(client.get(f"{sample.address}/frames/1", headers=FRAMES))[0][1] == sample.dataset.PixelData


def test_what_is_gone_is_left_out(served: Served, client: httpx.Client) -> None:
    sample = served.samples["plain2"]
    content = sample.path.read_bytes()
    sample.path.unlink()
    try:
        with served.web.site.catalog.read() as connection:
            asked = select(func.count()).select_from(verification).where(verification.c.asked.is_not(None))
            before = connection.execute(asked).scalar_one()
            assert client.get(sample.address, headers=STORED).status_code == 409
        with served.web.site.catalog.read() as connection:
            assert connection.execute(asked).scalar_one() == before + 1  # the session is verified next
        for verb, headers in (("", STORED), ("/metadata", {})):
            answer = client.get(f"{sample.series}{verb}", headers=headers)
            assert answer.status_code == 206
            assert answer.headers["warning"].startswith(f'299 {served.web.base}/dicomweb/projects/P "1 of 3 objects')
        for verb in ("", "/metadata", "/frames/1", "/rendered"):
            alone = client.get(f"{sample.address}{verb}", headers=STORED if not verb else {})
            assert (alone.status_code, alone.json()["code"]) == (409, "file_missing")
        for cut in (b"", content[:200], content[:-2], content + bytes(40)):  # it has not the bytes that were stored
            sample.path.write_bytes(cut)
            for verb, headers in (("", STORED), ("", {}), ("/metadata", {})):
                answer = client.get(f"{sample.series}{verb}", headers=headers)
                assert answer.status_code == 206
                assert "1 of 3 objects are left out" in answer.headers["warning"]
                assert verb or len(parts_of(answer)) == 2
            for verb in ("", "/metadata", "/frames/1", "/rendered", "/thumbnail", "/bulkdata/7FE00010"):
                alone = client.get(f"{sample.address}{verb}", headers=STORED if not verb else {})
                assert (alone.status_code, alone.json()["code"]) == (409, "file_damaged"), (len(cut), verb)
    finally:
        sample.path.write_bytes(content)


def test_looks_and_downloads_are_in_the_trail(served: Served, client: httpx.Client) -> None:
    address = served.samples["plain0"].address
    for _ in range(2):
        assert client.get(f"{address}/metadata").status_code == 200
    assert client.get(address, headers={"Accept": "application/dicom"}).status_code == 200
    lines = client.get("/api/v1/audit?limit=500").json()["items"]
    kinds = {line["action"] for line in lines}
    assert {"view", "download"} <= kinds
    views = [line for line in lines if line["action"] == "view"]
    assert len(views) == len({line["target"] for line in views})  # once an hour
