"""Packs: made in the background by a worker, kept beside the trees, gone with them and with damage."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import insert, select

from scandock.catalog.server_tables import damage
from scandock.catalog.tables import file, session
from scandock.services import dicom_instances
from scandock.services.cleaning.registry import tidy_packs
from scandock.services.dicomweb_packs import CHUNK
from scandock.store.local import LocalStore
from scandock.workers.pack_builder import PackBuilder
from tests.builders import DataFolder, Image, images
from tests.integration.web import Web, serve_in_process

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
            tree, n = connection.execute(
                select(file.c.tree_id, file.c.n)
                .join(session, session.c.tree_id == file.c.tree_id)
                .where(file.c.sop_uid == Image(case="few", number=2).sop_uid.decode())
            ).one()
            connection.execute(insert(damage).values(tree_id=tree, file_n=n, kind="changed", found=1, error=""))
        few = client.get(f"{series('few')}/metadata")
        assert (few.status_code, len(few.json())) == (206, 1)
        gone = client.get(f"{series('few')}/instances/{Image(case='few', number=2).sop_uid.decode()}/metadata")
        assert (gone.status_code, gone.json()["code"]) == (409, "file_damaged")
        assert tidy_packs(web.site.dicomweb, web.site.catalog) == 1
        assert len(packs(web)) == 1
        assert client.get(f"{series('few')}/metadata").status_code == 206
        assert len(packs(web)) == 1  # none is kept of what is damaged
        builder = PackBuilder(web.site.catalog, LocalStore(web.site.data), web.site.settings)
        builder.turn(lambda: False)
        builder.close()
        assert len(packs(web)) == 1


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
