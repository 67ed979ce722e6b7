"""Saved searches of XNAT's dialect: kept by their names, for whom their documents name, found with the reader's rights.

Documents are written as pyxnat's `manage.search` does it: `private` names the account itself, `public` nobody.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import httpx
import pytest
from sqlalchemy import func, select, update

from scandock.access import accounts, tokens
from scandock.catalog.server_tables import account, audit, saved_search, saved_search_user
from scandock.model import request_limits
from scandock.rules.permissions import Scope
from scandock.web.xnat.services import saved_searches
from tests.builders import DataFolder, images, make_data_folder, uploader_layout
from tests.integration.web import Web, serve_in_process

MR = "xnat:mrSessionData"
AT = "/data/search/saved"
NAMES = {"x": "http://nrg.wustl.edu/security"}


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """A session of P, one of Q; ann reads P, bob Q, eve nothing."""
    with pytest.MonkeyPatch.context() as patch:
        site: DataFolder = make_data_folder(tmp_path_factory.mktemp("saved"), patch)
        with serve_in_process(site.data) as running:
            site.bring(uploader_layout("E1", "1", images(1)), subject="Ann", session="E1")
            site.bring(uploader_layout("E2", "1", images(1, study=2)), project="Q", subject="Bob", session="E2")
            running.account("ann", P="collaborator")
            running.account("bob", Q="collaborator")
            running.account("eve")
            yield running


@pytest.fixture
def people(web: Web) -> Iterator[dict[str, httpx.Client]]:
    """Clients of all of them, and of a guest; no search is there."""
    names = ("admin", "ann", "bob", "eve", None)
    clients = {name or "guest": web.client(name) for name in names}
    yield clients
    for one in clients["admin"].get(f"{AT}?all=true").json()["ResultSet"]["Result"]:
        with web.site.catalog.write() as connection:
            connection.execute(saved_search.delete().where(saved_search.c.name == one["id"]))
    for client in clients.values():
        client.close()


def document(
    brief: str = "mine", *, users: tuple[str, ...] = (), secure: str | None = "false", where: str = "", **more: str
) -> bytes:
    """A search of the labels of sessions."""
    said = {"ID": f"@{MR}", "brief-description": brief, "allow-diff-columns": "0", **more}
    if secure is not None:
        said["secure"] = secure
    named = "".join(f"<x:allowed_user><x:login>{one}</x:login></x:allowed_user>" for one in users)
    attributes = "".join(f' {name}="{text}"' for name, text in said.items())
    return (
        f'<x:bundle xmlns:x="{NAMES["x"]}"{attributes}><x:root_element_name>{MR}</x:root_element_name>'
        f"<x:search_field><x:element_name>{MR}</x:element_name><x:field_ID>LABEL</x:field_ID><x:sequence>0</x:sequence>"
        f'<x:type>string</x:type><x:header>label</x:header></x:search_field><x:search_where method="AND">{where}'
        f"</x:search_where>{named}</x:bundle>"
    ).encode()


def criterion(field: str, value: str) -> str:
    return (
        f'<x:criteria override_value_formatting="0"><x:schema_field>{MR}/{field}</x:schema_field><x:comparison_type>='
        f"</x:comparison_type><x:value>{value}</x:value></x:criteria>"
    )


def names_in(client: httpx.Client, query: str = "") -> list[str]:
    answer = client.get(f"{AT}?format=csv{query}")
    assert answer.status_code == 200, answer.text
    return [row["id"] for row in csv.DictReader(io.StringIO(answer.text))]


def labels(client: httpx.Client, name: str) -> list[str]:
    answer = client.get(f"{AT}/{name}/results?format=csv")
    assert answer.status_code == 200, answer.text
    return [row["label"] for row in csv.DictReader(io.StringIO(answer.text))]


def put(client: httpx.Client, name: str, body: bytes, **params: str) -> httpx.Response:
    return client.put(f"{AT}/{name}", params={"inbody": "true", **params}, content=body)


def test_a_search_is_kept_and_its_results_are_its_readers(web: Web, people: dict[str, httpx.Client]) -> None:
    ann, bob = people["ann"], people["bob"]
    assert put(ann, "all", document("All of them", description="50%% of it")).status_code == 200
    (row,) = ann.get(f"{AT}?format=json").json()["ResultSet"]["Result"]
    assert {name: row[name] for name in ("id", "brief_description", "description", "root_element_name", "users")} == {
        "id": "all", "brief_description": "All of them", "description": "50%% of it", "root_element_name": MR,
        "users": "{ann}",
    }  # fmt: skip
    assert (labels(ann, "all"), labels(bob, "all")) == (["E1"], ["E2"])
    assert labels(people["admin"], "all") == ["E1", "E2"]
    assert labels(people["eve"], "all") == []
    kept = ET.fromstring(bob.get(f"{AT}/all").content)
    assert (kept.tag, kept.get("ID"), kept.get("secure")) == (f"{{{NAMES['x']}}}bundle", "all", "false")
    assert [one.text for one in kept.iterfind("x:search_field/x:field_ID", NAMES)] == ["LABEL"]
    assert bob.get("/data/projects/Q/searches/all").content == bob.get(f"{AT}/all").content


def test_what_is_saved_is_found_as_a_search_that_is_sent(web: Web, people: dict[str, httpx.Client]) -> None:
    admin = people["admin"]
    said = document(where=criterion("PROJECT", "Q"))
    assert put(admin, "q", said).status_code == 200
    kept = admin.get(f"{AT}/q").content
    for form in ("csv", "json", "xml"):
        sent = admin.post(f"/data/search?format={form}", content=said)
        assert sent.content == admin.post(f"/data/search?format={form}", content=kept).content
        assert sent.content == admin.get(f"{AT}/q/results?format={form}").content
    put(admin, "all", document())
    sorted_ = admin.get(f"{AT}/all/results?format=csv&sortBy=label&sortOrder=DESC").text.splitlines()
    assert [line.partition(",")[0] for line in sorted_[1:]] == ["E2", "E1"]
    assert admin.get(f"{AT}/@{MR}/results?format=csv").text.count("\n") == 3
    assert put(admin, "odd", document(where=criterion("nothing", "1"))).status_code == 200
    answer = admin.get(f"{AT}/odd/results")
    assert (answer.status_code, "no field that can be searched" in answer.text) == (400, True)


# -- who may -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "readers"),
    [
        (document(), {"ann", "bob", "eve", "admin"}),
        (document(users=("ann",)), {"ann", "admin"}),  # as pyxnat keeps a private one
        (document(users=("bob",)), {"ann", "bob", "admin"}),
        (document(secure="true"), {"ann", "admin"}),
        (document(secure="1", users=("BOB",)), {"ann", "bob", "admin"}),
        (document(secure=None), {"ann", "admin"}),  # as the original's schema has it
        (document(secure="0"), {"ann", "bob", "eve", "admin"}),
        (document(secure="nonsense"), {"ann", "admin"}),
    ],
)
def test_who_reads_a_search(web: Web, people: dict[str, httpx.Client], said: bytes, readers: set[str]) -> None:
    assert put(people["ann"], "s", said).status_code == 200
    for name, client in people.items():
        missing = 401 if name == "guest" else 404
        expected = 200 if name in readers else missing
        for where in (f"{AT}/s", f"{AT}/s/results"):
            assert client.get(where).status_code == expected, (name, where)
        own = readers - (set() if "eve" in readers else {"admin"})  # who sees all of them by all=true alone
        assert names_in(client) == (["s"] if name in own else []), name
    assert names_in(people["admin"], "&all=true") == ["s"]


def test_who_changes_a_search(web: Web, people: dict[str, httpx.Client]) -> None:
    ann, bob, eve, admin, guest = (people[name] for name in ("ann", "bob", "eve", "admin", "guest"))
    put(ann, "open", document())
    put(ann, "shared", document(users=("bob",)))
    before = {name: ann.get(f"{AT}/{name}").content for name in ("open", "shared")}
    for name, client, expected in (
        ("open", bob, 403), ("open", guest, 401), ("shared", eve, 409), ("shared", guest, 401),
    ):  # fmt: skip
        answer = put(client, name, document("stolen", secure="true"))
        assert (answer.status_code, answer.headers["content-type"][:10]) == (expected, "text/plain")
        assert client.delete(f"{AT}/{name}").status_code == (404 if expected == 409 else expected)
    assert client_documents(ann, before) == before
    assert put(bob, "shared", document("by bob")).status_code == 200
    assert "by bob" in ann.get(f"{AT}/shared").text
    put(admin, "shared", document("by admin", users=("ann",)))
    assert (names_in(ann), names_in(bob)) == (["open", "shared"], ["open"])
    assert ann.get(f"{AT}/shared").text.count("login>admin") == 0


def client_documents(client: httpx.Client, names: Any) -> dict[str, bytes]:
    return {name: client.get(f"{AT}/{name}").content for name in names}


def test_a_document_that_is_read_and_sent_back_changes_nothing(web: Web, people: dict[str, httpx.Client]) -> None:
    ann = people["ann"]
    for name, said in (("open", document()), ("shared", document(users=("bob",))), ("own", document(secure="true"))):
        put(ann, name, said)
        first, rows = ann.get(f"{AT}/{name}").content, ann.get(AT).json()
        assert put(ann, name, first).status_code == 200
        assert (ann.get(f"{AT}/{name}").content, ann.get(AT).json()) == (first, rows)


def test_who_may_not_change_an_open_search_is_not_told_who_does(web: Web, people: dict[str, httpx.Client]) -> None:
    put(people["ann"], "open", document())
    (row,) = people["eve"].get(AT).json()["ResultSet"]["Result"]
    assert row["users"] == "{}"
    assert "ann" not in people["eve"].get(f"{AT}/open").text


def test_deleting_takes_it_from_its_last_user_alone(web: Web, people: dict[str, httpx.Client]) -> None:
    ann, bob, admin = people["ann"], people["bob"], people["admin"]
    put(ann, "shared", document(users=("ann", "bob", "nobody")))
    assert ann.delete(f"{AT}/shared").status_code == 200
    assert (names_in(ann), names_in(bob)) == ([], ["shared"])
    with web.site.catalog.read() as connection:
        whose = connection.execute(
            select(account.c.name).join(saved_search, saved_search.c.account_id == account.c.id)
        ).scalar_one()
    assert whose == "bob", "it counts for who is left"
    assert bob.delete(f"{AT}/shared").status_code == 200
    assert names_in(admin, "&all=true") == []
    assert bob.delete(f"{AT}/shared").status_code == 404
    put(ann, "own", document(secure="true"))
    assert admin.delete(f"{AT}/own").status_code == 200
    assert names_in(admin, "&all=true") == []
    with web.site.catalog.read() as connection:
        assert connection.execute(select(func.count()).select_from(saved_search_user)).scalar_one() == 0


def test_an_administrator_sees_what_others_keep(web: Web, people: dict[str, httpx.Client]) -> None:
    put(people["ann"], "a", document(secure="true"))
    put(people["bob"], "b", document(secure="true"))
    assert names_in(people["admin"], "&user=ann") == ["a"]
    assert names_in(people["admin"], "&all=true") == ["a", "b"]
    assert names_in(people["bob"], "&user=ann&all=true") == ["b"]


def test_searches_of_projects_are_listed_by_their_tag(web: Web, people: dict[str, httpx.Client]) -> None:
    ann = people["ann"]
    put(ann, "mine", document())
    put(ann, "of-p", document(tag="P"))
    assert put(ann, "of-q", document(tag="Q")).status_code == 404
    assert names_in(ann) == ["mine"]
    assert names_in(ann, "&includeTag=true") == names_in(ann, "&includeTag=p") == ["of-p"]
    assert people["bob"].get(f"{AT}?includeTag=P").status_code == 404


def test_a_token_does_what_it_is_for(web: Web, people: dict[str, httpx.Client]) -> None:
    put(people["ann"], "s", document(secure="true"))
    for scope, expected in ((Scope.READ, (200, 200, 403, 403)), (Scope.UPLOAD, (403, 403, 403, 403))):
        with web.site.catalog.write() as connection:
            made = tokens.issue(connection, accounts.get(connection, "ann"), scope=scope)
        with web.asking(auth=(made.alias, made.secret)) as client:
            answers = (client.get(AT), client.get(f"{AT}/s"), put(client, "s", document()), client.delete(f"{AT}/s"))
            assert tuple(one.status_code for one in answers) == expected, scope


# -- what can be kept --------------------------------------------------------------------------------------------------


def test_what_is_no_search_is_not_kept(web: Web, people: dict[str, httpx.Client]) -> None:
    ann = people["ann"]
    bomb = b'<!DOCTYPE a [<!ENTITY b "c">]>' + document()
    unknown = document().replace(MR.encode(), b"xnat:nothingData")
    deep = document(where='<x:child_set method="AND">' * 50 + "</x:child_set>" * 50)
    nameless = document().replace(b"<x:field_ID>LABEL</x:field_ID>", b"")
    many = document(users=tuple(f"u{n}" for n in range(request_limits.SAVED_SEARCH_USERS + 1)))
    for body in (b"", b"<", b"<a/>", bomb, unknown, deep, nameless, many, document(users=("x" * 65,))):
        answer = put(ann, "s", body)
        assert (answer.status_code, answer.headers["content-type"][:10]) == (400, "text/plain"), body[:100]
    long = document(where=criterion("LABEL", "x" * request_limits.SAVED_SEARCH_BYTES))
    assert put(ann, "s", long).status_code == 413
    many_short = document(where="<x:a/>" * 60_000)  # which its namespace's prefix makes longer
    assert put(ann, "s", many_short.replace(b"x:", b"").replace(b"xmlns:x=", b"xmlns=")[:-1] + b">").status_code == 400
    for name in ("@mine", "x" * 129, "%00", "a%0Ab"):
        assert put(ann, name, document()).status_code == 400, name
    assert names_in(ann) == []


def test_other_attributes_and_elements_come_back_and_none_of_other_namespaces(
    web: Web, people: dict[str, httpx.Client]
) -> None:
    ann = people["ann"]
    more = "<x:sort_by><x:element_name>e</x:element_name><x:field_ID>f</x:field_ID></x:sort_by>"
    said = document(layeredSequence="3").replace(b"</x:bundle>", more.encode() + b"</x:bundle>")
    said = said.replace(b"<x:bundle ", b'<x:bundle xmlns:y="urn:y" y:z="1" ', 1)
    assert put(ann, "s", said).status_code == 200
    kept = ET.fromstring(ann.get(f"{AT}/s").content)
    assert (kept.get("layeredSequence"), kept.findtext("x:sort_by/x:field_ID", namespaces=NAMES)) == ("3", "f")
    assert not any("}" in name for name in kept.attrib)


def test_a_copy_gets_a_name_of_its_own_and_its_maker_alone(web: Web, people: dict[str, httpx.Client]) -> None:
    ann, bob = people["ann"], people["bob"]
    put(ann, "s", document(users=("ann", "bob")))
    shared = bob.get(f"{AT}/s").content
    assert put(bob, "s", shared, saveAs="true").text == "s_1"
    assert put(bob, "s", shared, saveAs="true").text == "s_1_1"
    assert (names_in(ann), names_in(bob)) == (["s"], ["s", "s_1", "s_1_1"])


def test_an_account_keeps_so_many(web: Web, people: dict[str, httpx.Client], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saved_searches, "MAX_SEARCHES", 2)
    ann = people["ann"]
    assert [put(ann, f"s{n}", document()).status_code for n in range(3)] == [200, 200, 409]
    assert put(ann, "s1", document("again")).status_code == 200
    assert put(people["bob"], "s2", document()).status_code == 200
    assert ann.delete(f"{AT}/s0").status_code == 200
    assert put(ann, "s3", document()).status_code == 200


def test_a_disabled_accounts_searches_are_still_whom_they_name(web: Web, people: dict[str, httpx.Client]) -> None:
    """The original deletes no account, nor what it kept; neither is any deleted here."""
    put(people["bob"], "s", document(users=("ann",)))
    with web.site.catalog.write() as connection:
        connection.execute(update(account).where(account.c.name == "bob").values(disabled=True))
    try:
        assert people["bob"].get(f"{AT}/s").status_code == 401
        assert names_in(people["ann"]) == ["s"]
        assert people["ann"].delete(f"{AT}/s").status_code == 200
        assert names_in(people["admin"], "&all=true") == [], "nobody else can use it"
    finally:
        with web.site.catalog.write() as connection:
            connection.execute(update(account).where(account.c.name == "bob").values(disabled=False))


def test_changes_are_in_the_audit(web: Web, people: dict[str, httpx.Client]) -> None:
    ann = people["ann"]
    with web.site.catalog.read() as connection:
        last = connection.execute(select(func.coalesce(func.max(audit.c.id), 0))).scalar_one()
    put(ann, "Jane Doe", document("Jane Doe", secure="true"))
    put(ann, "Jane Doe", document("Jane Doe"))
    ann.delete(f"{AT}/Jane Doe")
    with web.site.catalog.read() as connection:
        since = select(audit).where(audit.c.id > last, audit.c.kind == "search")  # a login's line may come late
        lines = connection.execute(since.order_by(audit.c.id)).all()
    assert [(one.actor, one.action) for one in lines] == [
        ("ann", "search_save"), ("ann", "search_save"), ("ann", "search_delete"),
    ]  # fmt: skip
    assert [json.loads(one.details) for one in lines] == [
        {"made": True, "public": False, "root": MR}, {"made": False, "public": True, "root": MR}, {"for_all": True},
    ]  # fmt: skip
    assert len({one.target for one in lines}) == 1
    assert not any("Jane" in f"{one.target}{one.details}" for one in lines)


@pytest.mark.postgresql
def test_each_database_keeps_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database_url: str) -> None:
    site = make_data_folder(tmp_path, monkeypatch, database_url)
    with serve_in_process(site.data, site.settings) as running:
        running.account("ann")
        with running.client() as admin, running.client("ann") as ann:
            assert put(ann, "s", document(users=("admin",))).status_code == 200
            assert put(ann, "s", document("second", users=("ANN", "admin"))).status_code == 200
            assert put(admin, "s", document(), saveAs="true").text == "s_1"
            assert (names_in(ann), names_in(admin)) == (["s", "s_1"], ["s", "s_1"])
            assert labels(ann, "s") == []
            assert ann.delete(f"{AT}/s").status_code == 200
            assert names_in(ann) == ["s_1"]
            assert admin.delete(f"{AT}/s").status_code == 200
            assert admin.get(f"{AT}/s").status_code == 404
