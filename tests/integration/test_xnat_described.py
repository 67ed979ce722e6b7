"""Projects as XNAT's clients describe them: descriptions, investigators, aliases, and who may see them."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import count
from typing import Any
from xml.etree import ElementTree as ET

import httpx
import pytest
from sqlalchemy import select

from scandock.access import accounts
from scandock.access.authentication import password_principal
from scandock.catalog.server_tables import audit
from scandock.web.xnat.services.destinations import Destination, resolve_labels
from tests.builders import make_data_folder
from tests.integration.web import Web, serve_in_process

pytestmark = pytest.mark.long

NS = {"xnat": "http://nrg.wustl.edu/xnat"}
NUMBERS = count()


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def web(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """One server for all tests, on each database; each test has a project of its own."""
    with pytest.MonkeyPatch.context() as patch, ExitStack() as databases:
        url = None
        if request.param == "postgresql":
            cluster = request.getfixturevalue("postgres_cluster")
            url = databases.enter_context(cluster.catalog())
        site = make_data_folder(tmp_path_factory.mktemp("described"), patch, url)
        with serve_in_process(site.data, site.settings) as web:
            web.account("owner")
            web.account("other")
            yield web


@pytest.fixture
def client(web: Web) -> Iterator[httpx.Client]:
    with web.client("owner") as client:
        yield client


@pytest.fixture
def name() -> str:
    """The id of a project that is nobody's yet."""
    return f"D{next(NUMBERS)}"


def put(client: httpx.Client, name: str, /, **said: str) -> httpx.Response:
    return client.put(f"/data/projects/{name}", params=said)


def made(client: httpx.Client, name: str, /, **said: str) -> None:
    answer = put(client, name, **said)
    assert (answer.status_code, answer.text) == (200, name)


def listed(client: httpx.Client, name: str, columns: str = "DEFAULT") -> list[dict[str, str]]:
    answer = client.get("/data/projects", params={"columns": columns, "format": "csv"})
    return [row for row in csv.DictReader(io.StringIO(answer.text)) if row["ID"] == name]


def item(client: httpx.Client, name: str) -> dict[str, Any]:
    found: dict[str, Any] = client.get(f"/data/projects/{name}?format=json").json()["items"][0]
    return found


def test_what_is_said_of_a_project_is_kept_and_shown(client: httpx.Client, name: str) -> None:
    said = {"secondary_ID": "HS", "description": "Hearts & <more>", "keywords": "heart mri", "pi_firstname": "Ada"}
    path = "xnat:projectData/PI/"
    made(client, name, **said, **{"name": "Hearts", f"{path}lastname": "Byron", f"{path}email": "a@b.example"})
    (row,) = listed(client, name)
    assert row == {
        "ID": name, "secondary_ID": "HS", "name": "Hearts", "description": "Hearts & <more>", "pi_firstname": "Ada",
        "pi_lastname": "Byron", "URI": f"/data/projects/{name}",
    }  # fmt: skip
    (row,) = listed(client, name, "keywords,xnat:projectData/PI/lastname,PI")
    assert (row["keywords"], row["PI/lastname"], row["PI"]) == ("heart mri", "Byron", "Byron, Ada")
    assert item(client, name)["data_fields"] == {
        "ID": name, "secondary_ID": "HS", "name": "Hearts", "description": "Hearts & <more>", "keywords": "heart mri",
    }  # fmt: skip
    document = ET.fromstring(client.get(f"/data/projects/{name}?format=xml").text)
    told = [document.findtext(f"xnat:{one}", None, NS) for one in ("description", "keywords", "PI/xnat:lastname")]
    assert told == ["Hearts & <more>", "heart mri", "Byron"]
    assert document.attrib["secondary_ID"] == "HS"

    made(client, name, description="NULL", keywords="brain")
    (row,) = listed(client, name, "description,keywords,name,secondary_ID")
    assert (row["description"], row["keywords"], row["name"], row["secondary_ID"]) == ("", "brain", "Hearts", "HS")


def test_a_project_of_which_nothing_is_said_is_called_by_its_id(client: httpx.Client, name: str) -> None:
    made(client, name)
    (row,) = listed(client, name)
    assert (row["secondary_ID"], row["name"], row["description"]) == (name, name, "")
    assert item(client, name)["children"] == []


def test_a_project_answers_to_its_aliases(web: Web, client: httpx.Client, name: str) -> None:
    made(client, name, alias=f"{name}_one")
    made(client, name, **{"xnat:projectData/aliases/alias[0]/alias": f"{name} zwei"})
    for alias in (f"{name}_one", f"{name}_ONE".lower(), f"{name} zwei"):
        assert item(client, alias)["data_fields"]["ID"] == name
    assert client.put(f"/data/projects/{name}_one/subjects/S1").status_code == 201
    for document, where in (
        (f"<Project ID='{name}_one'><description>by its alias</description></Project>", f"/data/projects/{name}"),
        (f"<Subject label='S1' project='{name}_ONE' src='by its alias'/>", f"/data/projects/{name}/subjects/S1"),
    ):
        assert client.put("/xapi/archive/upload/xml", content=document.encode()).status_code == 200
        assert "by its alias" in client.get(where).text
    (subject,) = client.get(f"/data/projects/{name}/subjects").json()["ResultSet"]["Result"]
    assert subject["label"] == "S1"
    assert [row["alias"] for row in listed(client, name, "alias")] == [f"{name} zwei", f"{name}_one"]
    for asked, found in ((f"{name}_ONE", [name]), (f"no,{name} zwei", [name]), (f"*{name}_o*", [name]), ("zwei", [])):
        rows = client.get("/data/projects", params={"alias": asked}).json()["ResultSet"]["Result"]
        assert [row["ID"] for row in rows] == found, asked
    (told,) = [one for one in item(client, name)["children"] if one["field"] == "aliases/alias"]
    assert [one["data_fields"]["alias"] for one in told["items"]] == [f"{name} zwei", f"{name}_one"]
    document = client.get(f"/data/projects/{name}?format=xml").text
    assert f"<xnat:alias>{name}_one</xnat:alias>" in document

    with web.site.catalog.read() as connection:  # where an import is to go
        accounts_known = [accounts.get(connection, one) for one in ("owner", "other")]
    meant = []
    for account in accounts_known:
        principal = password_principal(web.site.catalog, account)
        with web.site.catalog.read() as connection:
            meant.append(resolve_labels(connection, principal, Destination(project=f"{name}_one")).project)
    assert meant == [name, f"{name}_one"]

    with web.client("other") as other, web.client(None) as nobody:  # who may not see it hears nothing of it
        assert other.get(f"/data/projects/{name}_one").status_code == 404
        assert nobody.get(f"/data/projects/{name}_one").status_code == 401
        answer = put(other, f"{name}_one")
        assert (answer.status_code, f"{name} " in answer.text) == (409, False), answer.text
        for said in ({"alias": f"{name}_ONE"}, {"alias": name}):
            assert put(other, f"{name}X", **said).status_code == 409
        assert other.get(f"/data/projects/{name}X").status_code == 404  # nothing of it was done
    sent = client.put(f"/data/projects/{name}", content=document.encode(), headers={"content-type": "text/xml"})
    assert sent.status_code == 200
    made(client, name, alias="NULL")
    assert client.get(f"/data/projects/{name}_one").status_code == 404
    assert [row["alias"] for row in listed(client, name, "alias")] == [""]


def test_an_alias_is_free_again_once_its_project_is_gone(client: httpx.Client, name: str) -> None:
    made(client, name, alias=f"{name}_one")
    assert client.delete(f"/data/projects/{name}").status_code == 200
    made(client, f"{name}_one")


@pytest.mark.parametrize(
    "said",
    [{"alias": "a/b"}, {"alias": "x" * 65}, {"alias": "\u0390" * 64}, {"accessibility": "open"}, {"keywords": "\0"}],
    ids=str,
)
def test_what_can_be_said_of_no_project_is_refused_and_none_is_made(
    client: httpx.Client, name: str, said: dict[str, str]
) -> None:
    assert put(client, name, **said).status_code == 400
    assert client.get(f"/data/projects/{name}").status_code == 404


def test_accessibility_comes_with_the_project_and_is_its_owners_to_change(
    web: Web, client: httpx.Client, name: str
) -> None:
    made(client, name, accessibility="public")
    with web.client(None) as nobody, web.client("other") as other:
        assert nobody.get(f"/data/projects/{name}").status_code == 200
        assert put(other, name, accessibility="private").status_code == 403
        assert put(other, name, description="x").status_code == 403
        assert put(nobody, name, description="x").status_code == 401
    assert client.get(f"/data/projects/{name}/accessibility").text == "public"
    made(client, name, accessibility="PROTECTED")
    made(client, name, accessibility="")
    assert client.get(f"/data/projects/{name}/accessibility").text == "protected"
    with web.site.catalog.read() as connection:
        noted = connection.execute(select(audit.c.action).where(audit.c.target == name).order_by(audit.c.id))
        assert list(noted.scalars()) == ["project_create", "access_set", "access_set"]


def test_what_is_said_of_a_protected_project_is_seen_as_far_as_its_title_is(
    web: Web, client: httpx.Client, name: str
) -> None:
    said = {"description": "All may know", "pi_lastname": "Byron", "xnat:projectData/PI/email": "a@b.example"}
    made(client, name, accessibility="protected", **said)
    with web.client("other") as other:
        assert item(other, name)["data_fields"]["description"] == "All may know"
        assert "a@b.example" not in other.get(f"/data/projects/{name}").text
        page = other.get(f"/projects/{name}").text
        assert "<dd>All may know</dd>" in page
        assert "<dt>Principal investigator</dt><dd>Byron</dd>" in page
        assert "a@b.example" not in page
    assert "a@b.example" in client.get(f"/data/projects/{name}").text


def test_searches_find_projects_by_what_is_said_of_them(client: httpx.Client, name: str) -> None:
    made(client, name, description=f"About {name}", pi_firstname="Ada", pi_lastname="Byron")
    bundle = f"""<xdat:bundle xmlns:xdat="http://nrg.wustl.edu/security" ID="@s" brief-description="s">
      <xdat:root_element_name>xnat:projectData</xdat:root_element_name>
      <xdat:search_field><xdat:element_name>xnat:projectData</xdat:element_name><xdat:field_ID>DESCRIPTION</xdat:field_ID>
      <xdat:sequence>0</xdat:sequence><xdat:type>string</xdat:type><xdat:header>D</xdat:header></xdat:search_field>
      <xdat:search_where method="AND"><xdat:criteria><xdat:schema_field>xnat:projectData/DESCRIPTION</xdat:schema_field>
      <xdat:comparison_type>LIKE</xdat:comparison_type><xdat:value>%{name}</xdat:value></xdat:criteria>
      </xdat:search_where></xdat:bundle>"""
    answer = client.post("/data/search?format=json", content=bundle.encode(), headers={"content-type": "text/xml"})
    assert answer.status_code == 200, answer.text
    assert [row["description"] for row in answer.json()["ResultSet"]["Result"]] == [f"About {name}"]
