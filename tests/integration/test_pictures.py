"""Looking at stored images over HTTP: numbers, pictures, headers, what is kept of them, and who is told of it."""

from __future__ import annotations

import json
import os
import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import Any
from urllib.parse import unquote

import httpx
import numpy as np
import pytest
from PIL import Image as Picture
from pydicom.uid import UID

from scandock.model.errors import Fault
from scandock.services import pictures
from scandock.services.cleaning.registry import tidy_pictures
from scandock.viewing.decoder_pool import DecoderLost
from scandock.viewing.question_queue import Requester
from tests.builders import DataFolder, ecat, uploader_layout, verify_some
from tests.integration.web import serve_in_process
from tests.unit.viewing.made import dataset, file_of

pytestmark = pytest.mark.long

NAME = '"><script>alert(1)</script>'
AXIAL = [1, 0, 0, 0, 1, 0]


def image(number: int, **elements: Any) -> bytes:
    """A slice at 3 mm x number whose pixels are its number and up."""
    pixels = (np.arange(12 * 10).reshape(12, 10) + 1000 * number).astype("<i2")
    more = {
        "SOPInstanceUID": f"1.2.3.4.{number}",
        "PatientID": "7",
        "StudyInstanceUID": "1.2.3",
        "SeriesInstanceUID": "1.2.3.4",
        "SeriesNumber": 4,
        "InstanceNumber": 10 - number,
        "ImageOrientationPatient": AXIAL,
        "ImagePositionPatient": [0, 0, 3 * number],
        "PixelSpacing": [2, 1],
        "RescaleSlope": 2,
        "RescaleIntercept": -500,
        "WindowCenter": 1000,
        "WindowWidth": 4000,
        **elements,
    }
    made = dataset(pixels, **more)
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
    return file_of(made)


def report() -> bytes:
    more = {"SeriesInstanceUID": "1.2.3.9", "SOPInstanceUID": "1.2.3.9.1", "PatientID": "7", "Modality": "SR"}
    made = dataset(None, StudyInstanceUID="1.2.3", SeriesNumber=9, **more)
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
    made.SOPClassUID = made.file_meta.MediaStorageSOPClassUID = UID("1.2.840.10008.5.1.4.1.1.88.11")
    return file_of(made)


SLICES = [image(2, SeriesDescription=NAME), image(0, SeriesDescription=NAME), image(1, SeriesDescription=NAME)]
SESSION = {**uploader_layout("S1", "4", SLICES), **uploader_layout("S1", "9", [report()], resource="secondary")}


@pytest.fixture
def uuid(site: DataFolder, client: httpx.Client) -> str:
    site.bring(SESSION, session="S1", destination="archive")
    (found,) = client.get("/api/v1/sessions").json()["items"]
    return str(found["id"])


def scan(uuid: str, scan_id: str = "4") -> str:
    return f"/api/v1/sessions/{uuid}/scans/{scan_id}"


# -- numbers -----------------------------------------------------------------------------------------------------------


def test_the_stack_is_sorted_by_place(client, uuid):
    told = client.get(f"{scan(uuid)}/stack").json()
    rows = [dict(zip(told["columns"], row, strict=True)) for row in told["images"]]
    assert [row["position"][2] for row in rows] == [0, 3, 6]
    assert [row["instance"] for row in rows] == [10, 9, 8]
    assert (told["places"], told["turns"], told["middle"], told["reasons"]) == (3, 1, 1, [])


@pytest.mark.parametrize("accepted", ["gzip", "identity"])
def test_numbers_are_those_of_the_file(client, uuid, accepted):
    for number in range(3):
        answer = client.get(f"{scan(uuid)}/frames/{number}", headers={"Accept-Encoding": accepted})
        facts = json.loads(answer.headers["x-scandock-frame"])
        assert answer.headers.get("content-encoding", "identity") == accepted
        numbers = np.frombuffer(answer.content, "<i2").reshape(facts["rows"], facts["columns"])
        assert np.array_equal(numbers, np.arange(120).reshape(12, 10) + 1000 * number)
        assert (facts["kind"], facts["signed"], facts["slope"], facts["intercept"]) == ("grey", True, 2, -500)
        assert facts["spacing"] == [2, 1]
        assert facts["orientation"] == {"left": "R", "right": "L", "top": "A", "bottom": "P"}
        assert facts["windows"] == [{"center": 1000, "width": 4000, "name": "", "function": "linear"}]
        assert (facts["low"], facts["high"]) == (2000 * number - 500, 2 * (1000 * number + 119) - 500)


def test_numbers_are_packed_at_the_fastest_level(client, uuid):
    with client.stream("GET", f"{scan(uuid)}/frames/0", headers={"Accept-Encoding": "gzip"}) as answer:
        raw = b"".join(answer.iter_raw())
    assert raw[:3] == b"\x1f\x8b\x08"
    assert raw[8] == 4  # RFC 1952 2.3.1, XFL: the fastest algorithm


def test_a_picture_is_the_image_through_a_window(client, uuid):
    answer = client.get(f"{scan(uuid)}/frames/1/picture", params={"center": 1600, "width": 201})
    assert answer.headers["content-type"] == "image/png"
    got = np.asarray(Picture.open(BytesIO(answer.content)))
    values = 2 * (np.arange(120).reshape(12, 10) + 1000) - 500
    expected = np.clip((values - 1599.5) / 200 + 0.5, 0, 1) * 255
    assert np.abs(got - expected).max() <= 0.51
    small = client.get(f"{scan(uuid)}/frames/1/picture", params={"size": 48})
    assert Picture.open(BytesIO(small.content)).size == (20, 48)  # the pixels are twice as high as wide


@pytest.mark.parametrize("params", [{"center": 5}, {"width": 5}, {"center": 5, "width": 0}, {"center": 5, "width": -1}])
def test_half_a_window_is_refused(client, uuid, params):
    assert client.get(f"{scan(uuid)}/frames/1/picture", params=params).status_code == 400


def test_what_is_not_there_is_not_found(client, uuid):
    assert client.get(f"{scan(uuid)}/frames/3").json()["code"] == "image_unknown"
    assert client.get(f"{scan(uuid, 'none')}/thumbnail").json()["code"] == "scan_unknown"
    assert client.get(f"/api/v1/sessions/{uuid}/files/99/header").json()["code"] == "file_unknown"


# -- pictures that can't be made ---------------------------------------------------------------------------------------


def test_what_is_no_image_is_a_picture_of_the_reason(client, uuid):
    answer = client.get(f"{scan(uuid, '9')}/thumbnail")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/svg+xml")
    assert unquote(answer.headers["x-scandock-reason"]) == "This is a report (SR), without pixels."
    assert "report (SR)" in answer.text
    assert client.get(f"{scan(uuid, '9')}/frames/0").json() == {
        "kind": "none",
        "reason": "This is a report (SR), without pixels.",
    }


def test_a_thumbnail_is_of_an_image_that_can_be_shown(client, site):
    """The image in the middle says more pixels than it has; the one beside it stands for the scan."""
    broken = [image(number, **({"Rows": 900} if number == 2 else {})) for number in range(5)]
    site.bring(uploader_layout("B1", "4", broken), session="B1", destination="archive")
    [found] = client.get("/api/v1/sessions").json()["items"]
    stack = client.get(f"{scan(found['id'])}/stack").json()
    middle = client.get(f"{scan(found['id'])}/frames/{stack['middle']}/picture")
    assert middle.headers["content-type"] == "image/svg+xml"
    answer = client.get(f"{scan(found['id'])}/thumbnail")
    assert (answer.headers["content-type"], "x-scandock-reason" in answer.headers) == ("image/webp", False)
    beside = client.get(f"{scan(found['id'])}/frames/{stack['middle'] - 1}/picture")
    assert beside.headers["content-type"] == "image/png"


def test_a_decoder_that_dies_costs_a_picture_and_is_not_tried_at_once_again(web, client, uuid, monkeypatch):
    client.get(f"{scan(uuid)}/stack")
    asked = []

    def dies(*args: object, **more: object) -> None:
        asked.append(args)
        raise DecoderLost("The decoder died of it.")

    with monkeypatch.context() as patched:
        patched.setattr(web.site.pictures.decoders, "ask", dies)
        for _ in range(3):
            answer = client.get(f"{scan(uuid)}/thumbnail")
            assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
            assert "died" in answer.text
    assert len(asked) == 1
    assert client.get(f"{scan(uuid)}/frames/0").headers["x-scandock-frame"]


def test_a_file_that_is_gone_is_told_and_the_others_are_shown(client, uuid, site):
    files = sorted((site.data / "archive/P/S1/scans/4").rglob("*.dcm"))
    files[0].unlink()
    assert len(client.get(f"{scan(uuid)}/stack").json()["images"]) == 2
    for path in files[1:]:
        path.unlink()
    answer = client.get(f"{scan(uuid)}/frames/0")
    assert "not in the store" in answer.json()["reason"]
    assert answer.headers["cache-control"] == "no-store"
    reason = client.get(f"{scan(uuid)}/thumbnail").headers["x-scandock-reason"]
    assert "not in the store" in unquote(reason)
    page = client.get("/projects/P/sessions/S1/scans/4", params={"file": 0})
    assert page.status_code == 200
    assert "not in the store" in page.text


def test_a_damaged_file_is_not_shown_and_says_so(web, client, uuid, site):
    site.checked = False
    number = client.get(f"{scan(uuid)}/stack").json()["images"][1][0]
    of_file = f"/api/v1/sessions/{uuid}/files/{number}"
    shown = (f"{scan(uuid)}/thumbnail", f"{scan(uuid)}/frames/1", f"{scan(uuid)}/frames/1/picture", f"{of_file}/header")
    tags = {path: client.get(path).headers["etag"] for path in shown}
    assert os.listdir(site.data / "cache")
    one = client.get(of_file).json()
    victim = site.data / "archive/P/S1" / one["path"]
    whole = victim.read_bytes()

    def verify() -> None:
        assert client.post(f"/api/v1/sessions/{uuid}/verify").status_code == 204
        verify_some(web.site.catalog, web.site.store, 60)

    def reason(path: str) -> str:
        """Why a picture is not shown, though the browser has it from before."""
        answer = client.get(path, headers={"If-None-Match": tags[path]})
        assert answer.status_code == 200
        if "image/webp" in answer.headers["content-type"] or "image/png" in answer.headers["content-type"]:
            return ""
        if answer.headers["content-type"] == "application/octet-stream":
            return ""
        assert "etag" not in answer.headers
        return unquote(answer.headers.get("x-scandock-reason", "")) or str(answer.json()["reason"])

    for harmed, words in ((whole[:-1] + b"\x7f", "bytes are not those"), (None, "gone from the store")):
        victim.unlink()
        if harmed is not None:
            victim.write_bytes(harmed)
        verify()
        for path in shown:
            assert ("is damaged" in reason(path), words in reason(path)) == (True, True)
        assert client.get(f"{scan(uuid)}/frames/0").headers["x-scandock-frame"]
        page = client.get("/projects/P/sessions/S1/scans/4", params={"file": number}).text
        assert "1 file damaged" in page
        assert words in page
        assert ('data-tree="0"' in page, "thumbnail?tree=0" in client.get("/projects/P/sessions/S1").text) == (
            True,
            True,
        )
        victim.touch()
    listed = {
        row["id"]: row["damaged"] for row in client.get("/api/v1/files", params={"session": uuid}).json()["items"]
    }
    assert {key: kind for key, kind in listed.items() if kind} == {number: "missing"}
    assert one["damaged"] is None

    assert tidy_pictures(web.site.pictures, web.site.catalog)
    assert os.listdir(site.data / "cache") == []  # it may have been made of the damaged bytes
    victim.write_bytes(whole)
    verify()
    for path in shown[:3]:
        answer = client.get(path, headers={"If-None-Match": tags[path]})
        assert answer.status_code == 304 or "etag" in answer.headers
        assert "x-scandock-reason" not in answer.headers


def test_pictures_of_rotten_bytes_do_not_come_back_once_the_file_was_put_back(web, client, uuid, site):
    site.checked = False
    verify_some(web.site.catalog, web.site.store, 60)
    stack = client.get(f"{scan(uuid)}/stack").json()
    shown = (f"{scan(uuid)}/thumbnail", f"{scan(uuid)}/frames/1", f"{scan(uuid)}/frames/1/picture")
    whole = {path: client.get(path).content for path in shown}
    shutil.rmtree(site.data / "cache")
    name = client.get(f"/api/v1/sessions/{uuid}/files/{stack['images'][1][0]}").json()["path"]
    victim = site.data / "archive/P/S1" / name
    before = victim.read_bytes()
    victim.write_bytes(before[:-120] + bytes(120))
    rotten = {path: client.get(path) for path in shown}
    assert all(rotten[path].content != whole[path] for path in shown)
    for put_back in (False, True):
        if put_back:
            victim.write_bytes(before)
        assert client.post(f"/api/v1/sessions/{uuid}/verify").status_code == 204
        verify_some(web.site.catalog, web.site.store, 60)
    for path in shown:
        answer = client.get(path, headers={"If-None-Match": rotten[path].headers["etag"]})
        assert (answer.status_code, answer.content) == (200, whole[path])
    assert len(os.listdir(site.data / "cache")) > 1
    tidy_pictures(web.site.pictures, web.site.catalog)
    assert len(os.listdir(site.data / "cache")) == 1


@pytest.mark.parametrize("looked_before", [True, False])
def test_where_the_whole_folder_is_gone_it_is_said_too(web, client, uuid, site, looked_before):
    site.checked = False
    if looked_before:
        client.get(f"{scan(uuid)}/stack")
    (site.data / "archive/P/S1").rename(site.data / "elsewhere")
    assert client.post(f"/api/v1/sessions/{uuid}/verify").status_code == 204
    verify_some(web.site.catalog, web.site.store, 60)
    for path in ("thumbnail", "frames/1/picture"):
        answer = client.get(f"{scan(uuid)}/{path}")
        assert "whole folder is gone" in unquote(answer.headers["x-scandock-reason"])
        assert answer.headers["cache-control"] == "no-store"
    assert "whole folder is gone" in client.get(f"/api/v1/sessions/{uuid}/files/0/header").json()["reason"]
    assert client.get("/projects/P/sessions/S1/scans/4", params={"file": 0}).status_code == 200


# -- whose turn it is --------------------------------------------------------------------------------------------------


def test_decoders_are_asked_by_account_and_session_and_for_visitors_by_address(web, client, uuid, monkeypatch):
    askers = []
    ask = web.site.pictures.decoders.ask

    def note(*args: Any, asker: Requester, **more: Any) -> Any:
        askers.append(asker)
        return ask(*args, asker=asker, **more)

    monkeypatch.setattr(web.site.pictures.decoders, "ask", note)
    assert client.patch("/api/v1/projects/P", json={"accessibility": "public"}).status_code == 200
    client.get(f"{scan(uuid)}/frames/0")
    with web.client(None) as visitor:
        assert visitor.get(f"{scan(uuid)}/frames/1").status_code == 200
    assert {(one.visitor, one.who == "127.0.0.1", one.session) for one in askers} == {
        (False, False, uuid),
        (True, True, uuid),
    }


def test_fifty_browsers_at_one_address_all_see_the_series(web, client, uuid):
    assert client.patch("/api/v1/projects/P", json={"accessibility": "public"}).status_code == 200

    def looks(number: int) -> bool:
        with web.asking() as browser:
            frame = browser.get(f"{scan(uuid)}/frames/{number % 3}")
            thumbnail = browser.get(f"{scan(uuid)}/thumbnail")
        return "x-scandock-frame" in frame.headers and thumbnail.headers["content-type"] == "image/webp"

    with ThreadPoolExecutor(50) as browsers:
        assert all(browsers.map(looks, range(50)))
    assert web.site.pictures.decoders.waiting == 0


def test_a_stack_has_a_bound(web, client, uuid, monkeypatch):
    monkeypatch.setattr(pictures, "MAX_IMAGES", 2)
    told = client.get(f"{scan(uuid)}/stack").json()
    assert (len(told["images"]), told["note"]) == (2, "The scan has more than 2 images; these are its first.")
    assert web.site.response_buffers.bytes == 0


# -- what is kept ------------------------------------------------------------------------------------------------------


def test_the_second_time_no_decoder_is_asked(site, client, uuid):
    first = client.get(f"{scan(uuid)}/thumbnail")
    assert Picture.open(BytesIO(first.content)).size == (107, 256)
    with serve_in_process(site.data) as restarted, restarted.client() as again:
        restarted.site.pictures.decoders.close()  # it would answer that it is busy
        second = again.get(f"{scan(uuid)}/thumbnail")
        assert second.content == first.content
        assert len(again.get(f"{scan(uuid)}/stack").json()["images"]) == 3
    site.check()


def test_a_browser_that_has_it_is_told_so_and_keeps_it_where_the_tree_is_named(web, client, uuid):
    tree = client.get(scan(uuid)).json()["tree"]
    for path in ("thumbnail", "stack", "frames/1", "frames/1/picture"):
        answer = client.get(f"{scan(uuid)}/{path}")
        assert answer.headers["cache-control"] == "private, no-cache"
        again = client.get(f"{scan(uuid)}/{path}", headers={"If-None-Match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        assert "immutable" in client.get(f"{scan(uuid)}/{path}", params={"tree": tree}).headers["cache-control"]
        assert "immutable" not in client.get(f"{scan(uuid)}/{path}", params={"tree": tree + 1}).headers["cache-control"]
    verify_some(web.site.catalog, web.site.store, 60)
    page, viewer = (client.get(f"/projects/P/sessions/S1{one}").text for one in ("", "/scans/4"))
    (shown,) = set(re.findall(rf'scans/4/thumbnail\?tree=({tree}\.[0-9]+)"', page))
    assert f'data-tree="{shown}"' in viewer
    for path in ("thumbnail", "stack", "frames/1", "frames/1/picture"):
        kept = {
            named: "immutable" in client.get(f"{scan(uuid)}/{path}", params={"tree": named}).headers["cache-control"]
            for named in (shown, str(tree), f"{tree}.0", f"{tree}.1")
        }
        assert [named for named, is_kept in kept.items() if is_kept] == [shown]
    assert client.get(f"{scan(uuid)}/thumbnail", params={"tree": "x"}).status_code == 422


def test_what_is_kept_goes_with_its_session(web, client, uuid, site):
    client.get(f"{scan(uuid)}/thumbnail")
    (kept,) = os.listdir(site.data / "cache")
    assert kept.endswith(uuid)
    assert tidy_pictures(web.site.pictures, web.site.catalog) == 0
    assert client.delete(f"/api/v1/sessions/{uuid}").status_code == 200
    assert tidy_pictures(web.site.pictures, web.site.catalog) == 1
    assert os.listdir(site.data / "cache") == []


def test_a_session_that_grows_shows_its_new_images(web, client, uuid, site):
    before = client.get(f"{scan(uuid)}/frames/2/picture").headers["etag"]
    site.checked = False
    site.bring(uploader_layout("S1", "4", [image(3)]), session="S1", overwrite="append", destination="archive")
    told = client.get(f"{scan(uuid)}/stack").json()
    assert [row[6][2] for row in told["images"]] == [0, 3, 6, 9]
    assert client.get(f"{scan(uuid)}/frames/2/picture", headers={"If-None-Match": before}).status_code == 200


# -- headers -----------------------------------------------------------------------------------------------------------


def test_a_header_is_rows_of_text_and_can_be_searched(client, uuid):
    listed = client.get("/api/v1/files", params={"session": uuid, "scan": "4"}).json()["items"]
    address = f"/api/v1/sessions/{uuid}/files/{listed[0]['id']}/header"
    told = client.get(address).json()
    named = {row[2]: row[4] for row in told["rows"]}
    assert named["Series Description"] == NAME
    assert named["Pixel Data"] == "240 bytes"
    found = client.get(address, params={"search": "rescale"}).json()["rows"]
    assert [row[2] for row in found] == ["Rescale Intercept", "Rescale Slope"]
    tag = client.get(address).headers["etag"]
    assert client.get(address, headers={"If-None-Match": tag}).status_code == 304


# -- who looks ---------------------------------------------------------------------------------------------------------


def test_who_looks_is_noted_once_an_hour_for_each_session(site, web, client, uuid):
    web.account("ann", P="member")
    with web.client("ann") as ann:
        for _ in range(3):
            ann.get(f"{scan(uuid)}/thumbnail")
            ann.get(f"{scan(uuid)}/frames/0")
    client.get(f"{scan(uuid)}/stack")
    client.get("/projects/P/sessions/S1/scans/4")
    trail = client.get("/api/v1/audit", params={"action": "view"}).json()["items"]
    assert sorted((one["actor"], one["kind"], one["target"], one["project"]) for one in trail) == [
        ("admin", "session", uuid, "P"),
        ("ann", "session", uuid, "P"),
    ]
    with serve_in_process(site.data) as restarted, restarted.client() as again:
        again.get(f"{scan(uuid)}/thumbnail")
    assert len(client.get("/api/v1/audit", params={"action": "view"}).json()["items"]) == 3


def test_who_looks_is_noted_the_next_time_where_it_could_not_be(web, client, uuid, monkeypatch):
    def fail(*_: object) -> None:
        raise Fault("catalog", "The catalog could not be written.")

    looks = (f"{scan(uuid)}/thumbnail", f"/api/v1/sessions/{uuid}/files/0/header")
    for number, look in enumerate(looks):
        web.account(f"ann{number}", P="member")
        with web.client(f"ann{number}") as ann:
            with monkeypatch.context() as patch:
                patch.setattr(pictures, "note_view", fail)
                assert ann.get(look).status_code == 503
            assert ann.get(look).status_code == 200
    trail = client.get("/api/v1/audit", params={"action": "view"}).json()["items"]
    assert sorted(one["actor"] for one in trail) == ["ann0", "ann1"]


def test_who_may_not_read_it_is_told_nothing(web, uuid):
    web.account("stranger")
    listed = [f"{scan(uuid)}/{one}" for one in ("thumbnail", "stack", "frames/0", "frames/0/picture")]
    with web.client("stranger") as stranger:
        for path in (*listed, f"/api/v1/sessions/{uuid}/files/0/header"):
            assert stranger.get(path).status_code == 404, path
    with web.client("admin") as admin:
        assert admin.get("/api/v1/audit", params={"action": "view"}).json()["items"] == []


# -- pages -------------------------------------------------------------------------------------------------------------


def test_a_session_waiting_in_the_prearchive_is_looked_at_like_an_archived_one(client, site):
    site.checked = False
    site.bring(uploader_layout("S2", "4", SLICES[:1]), session="S2", destination="prearchive")
    (waiting,) = client.get("/api/v1/prearchive").json()["items"]
    assert client.get(f"{scan(waiting['id'])}/thumbnail").headers["content-type"] == "image/webp"
    page = client.get(f"/prearchive/{waiting['id']}")
    assert f"/api/v1/sessions/{waiting['id']}/scans/4/thumbnail" in page.text
    assert f'href="/prearchive/{waiting["id"]}/scans/4"' in page.text
    assert client.get(f"/prearchive/{waiting['id']}/scans/4").status_code == 200


def test_an_ecat_session_is_shown(client, site):
    site.checked = False
    site.bring({"a/one.v": ecat()}, session="E1")
    found = next(one for one in client.get("/api/v1/sessions").json()["items"] if one["label"] == "E1")
    (only,) = client.get(f"/api/v1/sessions/{found['id']}/scans").json()["items"]
    told = client.get(f"{scan(found['id'], only['id'])}/stack").json()
    answer = client.get(f"{scan(found['id'], only['id'])}/thumbnail")
    assert (len(told["images"]), told["places"], told["reasons"]) == (2, 2, [])
    assert answer.headers["content-type"] == "image/webp"
    picture = Picture.open(BytesIO(answer.content))
    assert picture.size == (256, 128)
    levels = np.asarray(picture.convert("L"))
    assert levels.min() < 20
    assert levels.max() > 235
    volume = np.arange(256).reshape(2, 8, 16)[::-1, :, ::-1]  # from the feet up, the patient's right on the left
    for number, plane in enumerate(volume):
        frame = client.get(f"{scan(found['id'], only['id'])}/frames/{number}")
        facts = json.loads(frame.headers["x-scandock-frame"])
        assert np.array_equal(np.frombuffer(frame.content, "<i2").reshape(facts["rows"], facts["columns"]), plane)
        assert (facts["slope"], facts["intercept"], facts["unit"]) == (1, 0, "Bq/cc")


def test_a_store_without_descriptors_is_read_too(web, client, uuid, monkeypatch):
    """As one elsewhere would be: the bytes go through memory."""

    snapshots = type(web.site.store.snapshot("archive/P/S1"))
    real = snapshots.open

    def opened(self: Any, rel: str, *more: int) -> BytesIO:
        with real(self, rel, *more) as stream:
            return BytesIO(stream.read())

    monkeypatch.setattr(snapshots, "open", opened)
    assert client.get(f"{scan(uuid)}/thumbnail").headers["content-type"] == "image/webp"
