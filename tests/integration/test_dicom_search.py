"""Searches over HTTP: what clients send, whose studies they find, pages, one answer for a study of many sessions."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from dicomweb_client.api import DICOMwebClient
from requests import Session
from sqlalchemy import Connection, event

from scandock.access.principal import SYSTEM
from scandock.catalog.trees import find_objects
from scandock.rules.dicom_attributes import Level
from scandock.rules.dicom_query import parse_query
from scandock.services import dicom_instances
from scandock.services.dicom_search import search_studies
from scandock.services.dicomweb import find_scope
from scandock.web import urls
from tests.builders import DataFolder, Image, make_data_folder
from tests.integration.web import PASSWORD, Web, serve_by_socket, serve_in_process
from tests.stored_files import make_all_old

P = urls.dicomweb("P")
ALL = urls.dicomweb()
STUDY, SERIES, INSTANCE = "0020000D", "0020000E", "00080018"
Json = dict[str, Any]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database_url: str) -> DataFolder:
    folder = make_data_folder(tmp_path, monkeypatch, database_url)
    folder.checked = False
    return folder


@pytest.fixture
def served(site: DataFolder) -> Iterator[tuple[Web, httpx.Client]]:
    with serve_in_process(site.data, site.settings) as web, web.client() as client:
        yield web, client


def image(study: object = 1, series: int = 1, number: int = 1, **values: Any) -> Image:
    also = values.pop("also", {})
    return Image(
        case="search", study=study, series=series, number=number, series_number=b"%d" % series, also=also, **values
    )


def bring(site: DataFolder, *images: Image, **options: Any) -> None:
    site.bring({f"{n}.dcm": one.file() for n, one in enumerate(images)}, **options)


def get(client: httpx.Client, address: str) -> list[Json]:
    answer = client.get(address)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/dicom+json"
    results: list[Json] = answer.json()
    return results


def texts(results: list[Json], tag: str) -> list[Any]:
    return [one.get(tag, {}).get("Value", [None])[0] for one in results]


# -- what clients send -------------------------------------------------------------------------------------------------


def test_ohif_gets_what_it_needs(site: DataFolder, served: tuple[Web, httpx.Client]) -> None:
    """Its requests as it sends them (OHIF 3.12), and each attribute that it reads."""
    _, client = served
    also = {0x00080021: (b"DA", b"20200131"), 0x00080031: (b"TM", b"1016"), 0x00081030: (b"LO", b"Head")}
    bring(site, *(image(number=n, also=also) for n in (2, 1)), image(series=2, modality=b"CT", also=also))
    study, patient = image().study_uid.decode(), "PAT1"
    client.headers["Accept"] = "application/dicom+json"
    paging = "limit=101&offset=0&fuzzymatching=false&includefield=00081030%2C00080060"
    (row,) = get(client, f"{P}/studies?{paging}&StudyInstanceUID={study}")
    needed = (STUDY, "00080020", "00080030", "00080050", "00100020", "00100010", "00201208", "00081030", "00080061")
    assert all(tag in row for tag in needed)
    assert row["00080061"]["Value"] == ["CT", "MR"]
    assert row["00201208"]["Value"] == [3]
    assert row["00080050"] == {"vr": "SH"}, "empty: its VR alone"
    fields = "includefield=00080021%2C00080031%2C0008103E%2C00200011"
    series = get(client, f"{P}/studies/{study}/series?{fields}")
    assert texts(series, "00200011") == [1, 2]
    for one in series:
        assert {SERIES, STUDY, "00080060", "00080021", "00080031", "0008103E", "00201209"} <= one.keys()
        assert not {"00100020", "00080020"} & one.keys(), "attributes of the study, which the address names"
    assert get(client, f"{P}/studies?00100020={patient}&{paging}") == [row]
    filters = "PatientName=*doe*&ModalitiesInStudy=CT%2CUS&StudyDate=20200101-20201231&StudyDescription=*ead"
    assert get(client, f"{P}/studies?{filters}&{paging}") == [row]
    assert get(client, f"{P}/studies?StudyInstanceUID={study}%5C1.2.3&{paging}") == [row]
    (thumbnail,) = get(client, f"{P}/studies/{study}/instances?limit=1&includefield=00080018")
    assert thumbnail[INSTANCE]["Value"] == [image(number=1).sop_uid.decode()]
    assert get(client, f"{P}/studies?AccessionNumber=none&{paging}") == []


@pytest.mark.parametrize(
    "accept",
    [
        None, "*/*", "application/dicom+json", "application/dicom+json, application/json", "application/json",
        "multipart/related; type=application/octet-stream, application/dicom+json;q=0.5",
    ],
)  # fmt: skip
def test_json_is_answered_to_whoever_takes_it(
    site: DataFolder, served: tuple[Web, httpx.Client], accept: str | None
) -> None:
    web, _ = served
    bring(site, image())
    headers = {} if accept is None else {"Accept": accept}
    answer = web.asking(auth=("admin", PASSWORD)).get(f"{P}/studies", headers=headers)
    assert answer.headers["content-type"] == "application/dicom+json"
    assert len(answer.json()) == 1


def test_other_requests_are_told_what_is_possible(site: DataFolder, served: tuple[Web, httpx.Client]) -> None:
    _, client = served
    bring(site, image())
    assert client.get(f"{P}/studies", headers={"Accept": "application/dicom+xml"}).status_code == 406
    assert client.get(f"{P}/studies?accept=application/dicom%2Bjson", headers={"Accept": "text/html"}).json()
    assert client.head(f"{P}/studies").status_code == 200
    assert "GET" in client.delete(f"{P}/studies").headers["allow"]
    assert client.get(f"{urls.dicomweb('Nowhere')}/studies").status_code == 404
    for path in ("/series", "/instances", "/series?PatientID=PAT1", "/instances?StudyDate=20200131"):
        answer = client.get(P + path)
        assert (answer.status_code, answer.json()["code"]) == (400, "request_invalid")
    assert client.get(f"{P}/studies?StudyDate=yesterday").status_code == 400
    answer = client.get(f"{P}/studies", headers={"Accept-Encoding": "gzip"})
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.json()[0][STUDY]


def test_orthanc_escapes_its_wildcards(site: DataFolder, served: tuple[Web, httpx.Client]) -> None:
    _, client = served
    bring(site, image(patient_name=b"M\xfcller^Jane", also={0x00080005: (b"CS", b"ISO_IR 100")}))
    for name in ("M%2A", "muller%5E%2A", "M%C3%9CLLER%5EJANE", "*^jane", "m?ller^jane"):
        assert len(get(client, f"{P}/studies?00100010={name}")) == 1, name
    for name in ("Muller", "jane", "x*"):
        assert get(client, f"{P}/studies?00100010={name}") == [], name


def test_pythons_dicomweb_client_searches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a socket: it leaves the port out of Host, pages until nothing is left, and reads each answer."""
    site = make_data_folder(tmp_path, monkeypatch)
    with serve_by_socket(site.data) as web, Session() as session:
        for n in range(3):
            bring(site, image(n), image(n, number=2), image(n, series=2))
        session.auth, session.trust_env = ("admin", PASSWORD), False
        client = DICOMwebClient(f"{web.base}{P}", session=session)
        studies = client.search_for_studies(limit=1, get_remaining=True, fields=["StudyDescription"])
        assert len({one[STUDY]["Value"][0] for one in studies}) == len(studies) == 3
        study = studies[0][STUDY]["Value"][0]
        assert studies[0]["00081190"]["Value"] == [f"{web.base}{urls.dicomweb_study(P, study)}"]
        (found,) = client.search_for_studies(search_filters={"StudyInstanceUID": study}, fuzzymatching=False)
        assert found[STUDY]["Value"] == [study]
        series = client.search_for_series(study, search_filters={"Modality": "MR"})
        assert texts(series, "00200011") == [1, 2]
        instances = client.search_for_instances(study, series[0][SERIES]["Value"][0])
        assert texts(instances, "00200013") == [1, 2]
        assert len(client.search_for_instances(study)) == 3
        assert client.search_for_studies(search_filters={"PatientID": "nobody"}) == []


# -- whose studies -----------------------------------------------------------------------------------------------------


@pytest.mark.postgresql
def test_the_base_of_all_has_what_waits_too_and_the_archives_copy_wins(site: DataFolder) -> None:
    """A study of the archive and the prearchive is one, with the series of both; each is seen by who may see it."""
    with serve_in_process(site.data, site.settings) as web, web.client() as admin:
        web.account("member", P="member")
        web.account("reader", P="collaborator")
        bring(site, image(1), image(1, number=2))
        bring(site, image(1, number=2), image(1, series=2, number=5), destination="prearchive")
        bring(site, image(2), destination="prearchive")
        bring(site, image(3), project=None)
        with web.client("reader") as reader, web.client("member") as member:
            assert len(get(reader, f"{ALL}/studies")) == len(get(reader, f"{P}/studies")) == 1
            assert texts(get(reader, f"{ALL}/studies"), "00201208") == [2]
            assert len(get(member, f"{ALL}/studies")) == 2
            assert len(get(member, f"{P}/studies")) == 1
            assert len(get(admin, f"{ALL}/studies")) == 3
            waiting = image(2).study_uid.decode()
            for address in ("/studies?PatientID=PAT1", f"/series?StudyInstanceUID={waiting}",
                            f"/instances?SOPInstanceUID={image(2).sop_uid.decode()}"):  # fmt: skip
                assert waiting in member.get(ALL + address).text
                assert waiting not in reader.get(ALL + address).text
                assert waiting not in admin.get(P + address).text
        study = image(1).study_uid.decode()
        (one,) = get(admin, f"{ALL}/studies?StudyInstanceUID={study}")
        assert (one["00201206"]["Value"], one["00201208"]["Value"]) == ([2], [3])
        series = get(admin, f"{ALL}/studies/{study}/series")
        assert (texts(series, "00200011"), texts(series, "00201209")) == ([1, 2], [2, 1])
        assert texts(get(admin, f"{ALL}/studies/{study}/instances"), "00200013") == [1, 2, 5]
        assert texts(get(admin, f"{P}/studies/{study}/instances"), "00200013") == [1, 2]
        # what the archive says of a study counts, not what waits
        bring(site, image(1, number=9, patient_id=b"OTHER"), destination="prearchive")
        (one,) = get(admin, f"{ALL}/studies?StudyInstanceUID={study}")
        assert one["00100020"]["Value"] == ["PAT1"]
        assert get(admin, f"{ALL}/studies?PatientID=OTHER") == []


def test_a_study_of_pet_and_mr_is_listed_once(site: DataFolder) -> None:
    with serve_in_process(site.data, site.settings) as web, web.client() as client:
        site.project("Both", petmr="separate")
        bring(site, image(modality=b"MR"), image(series=2, modality=b"PT"), project="Both")
        base = urls.dicomweb("Both")
        (one,) = get(client, f"{base}/studies")
        assert one["00080061"]["Value"] == ["MR", "PT"]
        assert (one["00201206"]["Value"], one["00201208"]["Value"]) == ([2], [2])
        for modality, found in (("MR", 1), ("PT", 1), ("PT,US", 1), ("CT", 0)):
            assert len(get(client, f"{base}/studies?ModalitiesInStudy={modality}")) == found
        assert len(get(client, f"{base}/studies/{one[STUDY]['Value'][0]}/series")) == 2


# -- pages and values --------------------------------------------------------------------------------------------------


@pytest.mark.postgresql
def test_keys_are_matched_in_each_database(site: DataFolder) -> None:
    """By every key of a study, and what does not match; the newest study first, page by page."""
    also = {
        0x00080005: (b"CS", b"ISO_IR 192"), 0x00080050: (b"SH", b"A_1%"), 0x00080090: (b"PN", b"House^Gregory"),
        0x00080201: (b"SH", b"+0100"), 0x00081030: (b"LO", b"Head [1]"), 0x00100021: (b"LO", b"Site"),
        0x00100030: (b"DA", b"19700102"), 0x00100040: (b"CS", b"F"), 0x00200010: (b"SH", b"7"),
        0x00100010: (b"PN", "Yamada^Tarou=山田^太郎".encode()),
    }  # fmt: skip
    with serve_in_process(site.data, site.settings) as web, web.client() as client:
        bring(site, image("first", also=also))
        for n, day in enumerate((b"20200102", b"20200103", b"20200101")):
            bring(site, image(n, study_date=day, patient_name=b"X^Y", patient_id=b"X"))
        target = image("first").study_uid.decode()
        for query in (
            *("StudyDate=20200131", "StudyDate=20200104-", "StudyTime=1015&StudyID=7", "StudyTime=10-11&StudyID=7"),
            *(
                "AccessionNumber=A_1%25",
                "AccessionNumber=A_?%25",
                "AccessionNumber=A*",
                "ModalitiesInStudy=MR&StudyID=7",
            ),
            *("ReferringPhysicianName=house*", "PatientName=yamada*", "PatientName=%E5%B1%B1%E7%94%B0*"),
            *("PatientName=yamada*%3D%E5%B1%B1*", "PatientID=PAT1", "PatientID=P?T*", f"StudyInstanceUID={target}"),
            *("StudyID=7", "StudyDescription=Head+[*", "StudyDescription=*[1]", "PatientBirthDate=1970.01.02"),
            *("PatientSex=F", "IssuerOfPatientID=Site", "TimezoneOffsetFromUTC=%2B0100"),
        ):
            assert texts(get(client, f"{P}/studies?{query}"), STUDY) == [target], query
        for query in (
            *("AccessionNumber=a_1%25", "AccessionNumber=AB1%25", "AccessionNumber=A?1_", "PatientID=pat1"),
            *("StudyTime=1016", "StudyDescription=Head+1", "PatientName=yamada", "StudyDate=20200201-"),
            "StudyInstanceUID=1.2.*",
        ):
            assert get(client, f"{P}/studies?{query}") == [], query
        assert client.get(f"{P}/studies?PatientName=x%00y").status_code == 400
        days = texts(get(client, f"{P}/studies"), "00080020")
        assert days == ["20200131", "20200103", "20200102", "20200101"]
        paged = []
        for offset in range(5):
            answer = client.get(f"{P}/studies?limit=1&offset={offset}&Nothing=1&fuzzymatching=true")
            paged += texts(answer.json(), "00080020")
            warnings = answer.headers["warning"]
            assert warnings.count("299 ") == (3 if offset < 3 else 2)
            assert (f'"There are {3 - offset} additional results' in warnings) is (offset < 3)
            assert re.fullmatch(r'(299 http://\S+/dicomweb/projects/P "[^"]*"(, )?)+', warnings)
        assert paged == days
        assert "warning" not in client.get(f"{P}/studies").headers
        assert "warning" not in client.get(f"{P}/studies?limit=0&offset=9").headers
        answer = client.get(f"{P}/studies?limit=0")
        assert (answer.json(), "There are 4 additional" in answer.headers["warning"]) == ([], True)


def test_series_and_instances_are_matched_and_paged(site: DataFolder, served: tuple[Web, httpx.Client]) -> None:
    """In order of numbers, by keys of each level above too; with the attributes that the address leaves open."""
    web, client = served
    objects = [image(series=s, number=n, modality=m) for s, m in ((10, b"CT"), (2, b"MR")) for n in (3, 12, 1)]
    bring(site, *objects)
    study = image().study_uid.decode()
    series = get(client, f"{P}/studies/{study}/series")
    assert texts(series, "00200011") == [2, 10]
    uid = series[0][SERIES]["Value"][0]
    assert texts(get(client, f"{P}/studies/{study}/series?Modality=CT"), "00200011") == [10]
    assert texts(get(client, f"{P}/series?SeriesInstanceUID={uid}&PatientID=PAT1"), "00100020") == ["PAT1"]
    assert get(client, f"{P}/series?SeriesInstanceUID={uid}&PatientID=nobody") == []
    every = get(client, f"{P}/studies/{study}/instances")
    assert texts(every, "00200013") == [1, 3, 12] * 2
    assert {"00080060", SERIES, STUDY} <= every[0].keys()
    assert "00100020" not in every[0]
    of_series = get(client, f"{P}/studies/{study}/series/{uid}/instances")
    assert texts(of_series, "00200013") == [1, 3, 12]
    assert "00080060" not in of_series[0]
    assert of_series[0]["00280010"]["Value"] == [4]
    assert of_series[0]["00081190"]["Value"] == [
        "http://127.0.0.1" + urls.dicomweb_instance(P, study, uid, of_series[0][INSTANCE]["Value"][0])
    ]
    (whole,) = get(client, f"{P}/instances?SOPInstanceUID={of_series[1][INSTANCE]['Value'][0]}")
    assert {"00100020", "00080060", "00200013"} <= whole.keys()
    answer = client.get(f"{P}/studies/{study}/instances?limit=2&offset=1")
    assert texts(answer.json(), "00200013") == [3, 12]
    assert "There are 3 additional" in answer.headers["warning"]
    assert texts(get(client, f"{P}/studies/{study}/instances?InstanceNumber=12"), "00200013") == [12, 12]
    sop_class = image(modality=b"CT").sop_class.decode()
    assert len(get(client, f"{P}/studies/{study}/instances?SOPClassUID={sop_class}")) == 3
    assert get(client, f"{P}/studies/1.2.3/series") == get(client, f"{P}/studies/{study}/series/1.2/instances") == []
    # what was read is kept; of what can't be read its UID is known
    for path in (site.data / "archive").rglob("*.dcm"):
        path.write_bytes(b"rotten")
    assert get(client, f"{P}/studies/{study}/instances") == every
    web.site.instance_headers.__init__()  # type: ignore[misc]  # as after a restart
    assert {one["00200013"]["vr"] for one in get(client, f"{P}/studies/{study}/instances")} == {"IS"}
    assert set(texts(get(client, f"{P}/studies/{study}/instances"), INSTANCE)) == set(texts(every, INSTANCE))


def test_only_the_series_of_a_page_are_looked_at(
    site: DataFolder, served: tuple[Web, httpx.Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    """How many instances the others have is known; a search by what headers say looks at all."""
    web, client = served
    bring(site, *(image(series=s, number=n) for s in (1, 2, 3) for n in range(1, 5)))
    study = image().study_uid.decode()
    read: list[str] = []
    plain = dicom_instances.read_values

    def reading(head: Any, size: int) -> Any:
        values = plain(head, size)
        read.append(values["00200013"])
        return values

    monkeypatch.setattr(dicom_instances, "read_values", reading)
    for query, numbers, remaining, looked_at in (
        ("limit=1", [1], 11, 4),
        ("limit=2&offset=5", [2, 3], 5, 4),
        ("limit=3&offset=3", [4, 1, 2], 6, 8),
        ("limit=1&offset=11", [4], 0, 4),
        ("limit=5&offset=12", [], 0, 0),
        ("limit=0&offset=1", [], 11, 0),
        ("limit=1&offset=1&InstanceNumber=3", [3], 1, 12),
        (f"SOPInstanceUID={image(series=2, number=2).sop_uid.decode()}", [2], 0, 1),
    ):
        web.site.instance_headers.__init__()  # type: ignore[misc]  # as after a restart
        read.clear()
        answer = client.get(f"{P}/studies/{study}/instances?{query}")
        assert texts(answer.json(), "00200013") == numbers, query
        warning = answer.headers.get("warning", "There are 0 additional")
        assert f"There are {remaining} additional" in warning, query
        assert len(read) == looked_at, query
    read.clear()
    assert len(get(client, f"{P}/instances?StudyInstanceUID={study}&SeriesNumber=3&limit=1&PatientID=PAT1")) == 1
    assert get(client, f"{P}/instances?StudyInstanceUID={study}&PatientID=nobody") == []
    assert len(read) <= 4


@pytest.mark.postgresql
def test_an_object_is_found_by_its_uid_alone(site: DataFolder) -> None:
    """By the index of objects, also those of trees of older versions; only where its session may be seen."""
    with serve_in_process(site.data, site.settings) as web, web.client() as client:
        web.account("reader", P="collaborator")
        bring(site, *(image(n, number=m) for n in (1, 2) for m in (1, 2)))
        bring(site, image(1, number=7), destination="prearchive")
        uid, waiting = (image(1, number=n).sop_uid.decode() for n in (2, 7))
        for is_old in (False, True):
            if is_old:
                with web.site.catalog.write() as connection:
                    make_all_old(connection)
            assert texts(get(client, f"{P}/instances?SOPInstanceUID={uid}"), INSTANCE) == [uid]
            assert texts(get(client, f"{P}/instances?SOPInstanceUID={uid},1.2.3,{waiting}"), INSTANCE) == [uid]
            assert set(texts(get(client, f"{ALL}/instances?SOPInstanceUID={uid},{waiting}"), INSTANCE)) == {
                uid,
                waiting,
            }
            with web.client("reader") as reader:
                assert get(reader, f"{ALL}/instances?SOPInstanceUID={waiting}") == []
        if web.site.catalog.engine.dialect.name == "sqlite":
            with web.site.catalog.read() as connection:
                plans = explained(connection, lambda: list(find_objects(connection, [uid])))
            used = r"ix_object_block_part|ix_tree_with_rows|ix_file_(sop_hash|unhashed)|SEARCH tree USING INTEGER"
            assert [plan for plan in plans if not re.search(used, plan)] == []
            assert len(plans) == 6


def explained(connection: Connection, ask: Callable[[], object]) -> list[str]:
    """How SQLite finds what is asked for."""
    plans: list[str] = []

    def explain(conn: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if not statement.startswith("EXPLAIN"):
            plans.extend(row[3] for row in conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters))

    event.listen(connection, "before_cursor_execute", explain)
    ask()
    return plans


def test_other_rows_of_a_study_are_found_by_its_uid(site: DataFolder, served: tuple[Web, httpx.Client]) -> None:
    """Not among all of the project, for each: among 10,000 studies that takes minutes."""
    web, _ = served
    bring(site, image())
    query = parse_query(Level.STUDY, [("limit", "1"), ("ModalitiesInStudy", "MR")])
    plans: list[str] = []
    with web.site.catalog.read() as connection:
        for name in ("P", None):
            scope = find_scope(connection, SYSTEM, name)
            plans += explained(connection, lambda scope=scope: search_studies(connection, scope, query))  # type: ignore[misc]
    others = [plan for plan in plans if re.search(r"(SEARCH|SCAN) earlier", plan)]
    assert len(others) >= 2
    assert all("SEARCH earlier USING COVERING INDEX ix_dicom_study_study_uid" in plan for plan in others), plans
    assert sum("SCAN other" in plan for plan in plans) <= sum("LIST SUBQUERY" in plan for plan in plans), plans
    assert not any("CORRELATED" in plan and "SCAN" in plan for plan in plans), plans


def test_answers_are_compressed_whole(site: DataFolder, served: tuple[Web, httpx.Client]) -> None:
    web, _ = served
    bring(site, image())
    with web.asking(auth=("admin", PASSWORD)) as client, client.stream("GET", f"{P}/studies") as answer:
        raw = b"".join(answer.iter_raw())
    assert b'"00080005"' in gzip.decompress(raw)
