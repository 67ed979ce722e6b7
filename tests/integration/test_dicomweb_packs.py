"""Packs: made in the background by a worker, kept beside the trees, gone with them and with damage."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, insert, select

from scandock.catalog.file_rows import FileRow
from scandock.catalog.server_tables import damage
from scandock.catalog.sessions import existing_session
from scandock.catalog.tables import project, session
from scandock.services import dicom_instances, dicomweb_metadata
from scandock.services.cleaning.registry import tidy_packs
from scandock.services.dicomweb_packs import CHUNK
from scandock.services.file_verification import VerificationPlan, verify_tree
from scandock.store.local import LocalStore
from scandock.viewing.cache import ImageCache
from scandock.viewing.decoder_messages import DecoderRequest, Message
from scandock.web.dicomweb import metadata
from scandock.workers.pack_builder import PackBuilder
from tests.builders import DataFolder, Image, images
from tests.integration.dicomweb_parts import parts_of
from tests.integration.web import Web, serve_in_process
from tests.stored_files import all_files, session_files

pytestmark = pytest.mark.processes


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Web, DataFolder]]:
    root = tmp_path_factory.mktemp("packs")
    with serve_in_process(root / "data") as web:
        site = DataFolder(root=root, checked=False)
        site.bring({f"{n}.dcm": data for n, data in enumerate(images(CHUNK + 3, case="many"))})
        site.bring({f"{n}.dcm": data for n, data in enumerate(images(2, case="few"))})
        yield web, site


def packs(web: Web) -> dict[str, list[str]]:
    return {
        folder.name: sorted(path.name for path in folder.iterdir())
        for folder in (Path(web.site.data) / "packs").iterdir()
    }


def series(case: str) -> str:
    image = Image(case=case)
    return f"/dicomweb/projects/P/studies/{image.study_uid.decode()}/series/{image.series_uid.decode()}"


def test_packs_of_a_data_folder_from_its_first_look_to_damage(served: tuple[Web, DataFolder]) -> None:
    web, _ = served
    with web.client() as client:
        by_headers = client.get(f"{series('many')}/instances?includefield=00083002").json()
    web.site.instance_headers.__init__()  # type: ignore[misc]  # as after a restart
    builder = PackBuilder(web.site.catalog, LocalStore(web.site.data), web.site.settings)
    assert builder.turn(lambda: True) == 0
    bounded = web.site.settings.model_copy(update={"metadata_bytes": 0})
    full = PackBuilder(web.site.catalog, LocalStore(web.site.data), bounded)
    assert full.turn(lambda: False) == 0
    full.close()
    assert builder.turn(lambda: False) == 2
    made = packs(web)
    assert sorted(made.values()) == [["1-0-0.pack", "1-0-1.pack", "complete"], ["1-0-0.pack", "complete"]]
    assert builder.turn(lambda: False) == 0
    again = PackBuilder(web.site.catalog, LocalStore(web.site.data), web.site.settings)
    assert again.turn(lambda: False) == 0  # another worker finds them
    for each in (builder, again):
        each.close()
    with web.client() as client:
        models = client.get(f"{series('many')}/metadata").json()
        assert [model["00200013"]["Value"][0] for model in models] == list(range(1, CHUNK + 4))
        assert len({model["00080018"]["Value"][0] for model in models}) == CHUNK + 3
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(dicom_instances, "read_header", None)  # none is read of what packs have
            listed = client.get(f"{series('many')}/instances?includefield=00083002").json()
        assert listed == by_headers
        assert [one["00200013"]["Value"][0] for one in listed] == list(range(1, CHUNK + 4))
        assert web.site.pictures.decoders.pids == []  # none of it was decoded

        with web.site.catalog.write() as connection:
            uid = Image(case="few", number=2).sop_uid.decode()
            ((tree, n),) = ((one.tree_id, one.row.n) for one in session_files(connection) if one.row.sop_uid == uid)
            connection.execute(insert(damage).values(tree_id=tree, file_n=n, kind="changed", found=1, error=""))
        assert tidy_packs(web.site.dicomweb, web.site.catalog) == 0
        (few_packs,) = [names for names in packs(web).values() if "1-0-1.pack" not in names]
        assert few_packs == []  # it may have been made of damaged bytes
        few = client.get(f"{series('few')}/metadata")
        assert (few.status_code, len(few.json())) == (206, 1)
        gone = client.get(f"{series('few')}/instances/{Image(case='few', number=2).sop_uid.decode()}/metadata")
        assert (gone.status_code, gone.json()["code"]) == (409, "file_damaged")
        builder = PackBuilder(web.site.catalog, LocalStore(web.site.data), web.site.settings)
        builder.turn(lambda: False)
        builder.close()
        assert sorted(packs(web).values()) == sorted(made.values())
        assert tidy_packs(web.site.dicomweb, web.site.catalog) == 0
        assert sorted(packs(web).values()) == sorted(made.values())  # what is left of it is sound


def test_metadata_begin_before_all_packs_of_a_study_are_made(
    served: tuple[Web, DataFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    web, site = served
    site.bring({f"{n}.dcm": data for n, data in enumerate(images(CHUNK + 1, case="slow"))})
    verbs = ask_noting(web, monkeypatch)
    with web.client() as client:
        with monkeypatch.context() as patch:
            patch.setattr(dicomweb_metadata, "CHECK_SECONDS", 0.0)
            patch.setattr(metadata, "read_metadata", lambda reader, base: iter([b"[]"]))
            early = client.get(f"{series('slow')}/metadata")
        assert (early.status_code, len(verbs), "etag" in early.headers) == (200, 1, False)
        assert f"1 of {CHUNK + 1} objects were not checked" in early.headers["warning"]
        whole = client.get(f"{series('slow')}/metadata")
        assert (whole.status_code, len(verbs), len(whole.json())) == (200, 2, CHUNK + 1)
        again = client.get(f"{series('slow')}/metadata", headers={"If-None-Match": whole.headers["etag"]})
        assert (again.status_code, "warning" in whole.headers) == (304, False)


def ask_noting(web: Web, monkeypatch: pytest.MonkeyPatch, then: Callable[[], None] = lambda: None) -> list[str]:
    """The verbs of all questions to decoders from now on; `then` is called before each is asked."""
    verbs: list[str] = []
    ask = web.site.pictures.decoders.ask

    def noted(request: DecoderRequest, *more: Any, **named: Any) -> Message:
        verbs.append(request["verb"])
        then()
        return ask(request, *more, **named)

    monkeypatch.setattr(web.site.pictures.decoders, "ask", noted)
    return verbs


@pytest.mark.parametrize("case", ["rotten", "gone", "no room"])
def test_of_a_tree_with_damage_headers_are_read_once(
    served: tuple[Web, DataFolder], monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    """Viewers ask for frame after frame: if a pack were made for each, nobody else would get a decoder."""
    web, site = served
    site.bring({f"{n}.dcm": data for n, data in enumerate(images(3, case=case))})
    uid = Image(case=case, number=2).sop_uid.decode()
    ((tree_id, row),) = ((tree_id, row) for tree_id, row in stored(web) if row.sop_uid == uid)
    rotten = {"tree_id": tree_id, "file_n": row.n, "kind": "changed", "found": 1, "error": ""}
    verbs = ask_noting(web, monkeypatch)
    if case == "rotten":
        with web.site.catalog.write() as connection:
            connection.execute(insert(damage).values(rotten))
    elif case == "gone":
        (path,) = Path(web.site.data).rglob(f"*{row.name}")
        moved = path.rename(site.root / "moved")
    else:
        monkeypatch.setattr(ImageCache, "keep", lambda *_: False)
    with web.client() as client:
        for number in (1, 3, 1):
            instance = Image(case=case, number=number).sop_uid.decode()
            assert client.get(f"{series(case)}/instances/{instance}/frames/1").status_code == 200
        assert client.get(f"{series(case)}/metadata").status_code == (200 if case == "no room" else 206)
        assert verbs == ["objects"]
        if case == "no room":
            return
        if case == "rotten":
            with web.site.catalog.write() as connection:
                connection.execute(delete(damage))
        else:
            moved.rename(path)
        whole = client.get(f"{series(case)}/metadata")  # it is healed
        assert [model["00200013"]["Value"] for model in whole.json()] == [[1], [2], [3]]
        assert verbs == ["objects"] * 2
        with web.site.catalog.write() as connection:
            connection.execute(insert(damage).values(rotten))
        part = client.get(f"{series(case)}/metadata")
        assert (part.status_code, "etag" in part.headers) == (206, False)
        assert verbs == ["objects"] * 3  # made without the object whose bytes are no longer sure
        with web.site.catalog.write() as connection:
            connection.execute(delete(damage))


def test_what_was_read_of_rotten_bytes_is_gone_once_they_are_whole(served: tuple[Web, DataFolder]) -> None:
    web, site = served
    site.bring({"1.dcm": Image(case="flaky", patient_name=b"DOE^JANE").file()})
    (path,) = [
        path for path in (site.data / "archive").rglob("*.dcm") if Image(case="flaky").sop_uid in path.read_bytes()
    ]
    sound = path.read_bytes()
    store = LocalStore(web.site.data)
    with web.site.catalog.read() as connection:
        study = session.c.study_uid == Image(case="flaky").study_uid.decode()
        holder = existing_session(connection, connection.execute(select(session.c.uuid).where(study)).scalar_one())
    with web.client() as client:
        path.write_bytes(sound.replace(b"DOE^JANE", b"ROT^TEN!"))
        names = [client.get(f"{series('flaky')}/metadata").json()[0]["00100010"]["Value"][0]["Alphabetic"]]
        assert verify_tree(web.site.catalog, store, holder, VerificationPlan()).problems == 1
        path.write_bytes(sound)
        assert verify_tree(web.site.catalog, store, holder, VerificationPlan()).problems == 0
        names.append(client.get(f"{series('flaky')}/metadata").json()[0]["00100010"]["Value"][0]["Alphabetic"])
    assert names == ["ROT^TEN!", "DOE^JANE"]


def stored(web: Web) -> list[tuple[int, FileRow]]:
    with web.site.catalog.read() as connection:
        return all_files(connection)


def test_requests_that_come_together_make_a_pack_once(
    served: tuple[Web, DataFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    web, site = served
    site.bring({f"{n}.dcm": data for n, data in enumerate(images(2, case="together"))})
    waiting = threading.Event()
    aside = web.site.pictures.aside

    def wait_aside(call: Callable[[], Any]) -> Any:
        if threading.current_thread() is not first:
            waiting.set()
        return aside(call)

    def read() -> int:
        with web.client() as client:
            return client.get(f"{series('together')}/metadata").status_code

    with ThreadPoolExecutor(1) as others:
        second: list[Future[int]] = []
        first: threading.Thread | None = None

        def ask_second() -> None:
            nonlocal first
            if not second:
                first = threading.current_thread()
                second.append(others.submit(read))
                assert waiting.wait(20)

        monkeypatch.setattr(web.site.pictures, "aside", wait_aside)
        verbs = ask_noting(web, monkeypatch, ask_second)
        assert read() == 200
        assert second[0].result(20) == 200
    assert verbs == ["objects"]


def test_of_two_copies_that_of_the_archive_is_read(served: tuple[Web, DataFolder]) -> None:
    web, site = served
    archived = Image(case="twice").file()
    waiting = Image(case="twice", patient_name=b"OTHER^NAME").file()
    site.bring({"a.dcm": waiting}, project="Q", destination="prearchive")
    accept = {"Accept": "application/dicom; transfer-syntax=*"}
    address = f"{series('twice')}/instances/{Image(case='twice').sop_uid.decode()}".replace("/projects/P", "")
    with web.client() as client:
        assert client.get(address, headers=accept).content == waiting
        assert client.get(address.replace("/dicomweb", "/dicomweb/projects/Q"), headers=accept).status_code == 404
        site.bring({"a.dcm": archived})
        assert client.get(address, headers=accept).content == archived

        # a copy that is damaged, or not as long as it was stored, hides no sound one
        (stored_file,) = [
            path for path in (Path(web.site.data) / "archive/P").rglob("*.dcm") if path.read_bytes() == archived
        ]
        stored_file.write_bytes(archived[:-1])
        assert client.get(address, headers=accept).content == waiting
        assert parts_of(client.get(f"{address}/frames/1"))
        stored_file.write_bytes(archived)
        assert client.get(address, headers=accept).content == archived
        tag = client.get(address, headers=accept).headers["etag"]
        with web.site.catalog.write() as connection:
            tree_id = tree_of(web, "P")
            (row,) = (row for of, row in stored(web) if stored_file.name in row.name and of == tree_id)
            connection.execute(insert(damage).values(tree_id=tree_id, file_n=row.n, kind="changed", found=1, error=""))
        again = client.get(address, headers={**accept, "If-None-Match": tag})
        assert (again.status_code, again.content) == (200, waiting)
        in_project = client.get(address.replace("/dicomweb", "/dicomweb/projects/P"), headers=accept)
        assert in_project.json()["code"] == "file_damaged"


def tree_of(web: Web, project_name: str) -> int:
    """The tree of the session with the study of which there are two copies."""
    study = Image(case="twice").study_uid.decode()
    with web.site.catalog.read() as connection:
        query = select(session.c.tree_id, session.c.study_uid, project.c.name).join(
            project, project.c.id == session.c.project_id
        )
        (number,) = [
            row.tree_id for row in connection.execute(query) if (row.study_uid, row.name) == (study, project_name)
        ]
        return int(number)
