"""What DICOM receivers do, as people see it and step in: their states, open studies, associations; API and pages."""

from __future__ import annotations

import html
import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from sqlalchemy import delete, insert, update

from scandock.access.principal import SYSTEM
from scandock.catalog.projects import ProjectRow, add_project
from scandock.catalog.server_tables import (
    audit,
    dicom_association,
    dicom_peer,
    received_study,
    receiver,
    receiver_state,
)
from scandock.dimse.records import calling_not_allowed
from scandock.model.reception import SILENT_MS, StudyWish
from scandock.model.verdicts import ImportState
from scandock.services.cleaning.registry import GONE_RECEIVERS
from scandock.services.context import ServiceContext
from scandock.services.pagination import Sorting
from scandock.services.received_status import (
    ask_for_study,
    list_associations,
    list_open_studies,
    list_states,
)
from scandock.services.receiver_errors import ReceiverInvalid, StudyHostSilent, StudyNotReceiving
from scandock.services.receiver_states import end_associations_of_silent_hosts
from scandock.services.receivers import set_receiver
from scandock.store.local import LocalStore
from tests.acceptors import Keeper, listening
from tests.builders import images
from tests.dicom_sender import DicomSender, RejectedError
from tests.integration.receiver_site import ReceiverSite, make_receiver_site, quicken
from tests.integration.web import PASSWORD, Web, serve_in_process
from tests.ports import free_port

NEWEST = Sorting(sort="-begun")


@pytest.fixture
def received(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ReceiverSite]:
    quicken(monkeypatch)
    with make_receiver_site(tmp_path, dicom_idle_seconds=600) as made:
        yield made


def context_of(site: ReceiverSite) -> ServiceContext:
    return ServiceContext(site.catalog, LocalStore(str(site.data)), site.settings, SYSTEM)


def states(site: ReceiverSite) -> dict[str, tuple[str, str]]:
    with site.catalog.read() as connection:
        return {one.receiver: (one.state, one.message) for one in list_states(connection, SYSTEM)}


def associations(site: ReceiverSite) -> list[tuple[str, str, str]]:
    with site.catalog.read() as connection:
        items = list_associations(connection, SYSTEM, NEWEST).items
    return [(one.outcome, one.calling, one.called) for one in items]


def test_a_study_is_shown_closed_and_discarded(received: ReceiverSite) -> None:
    site, context = received, context_of(received)
    site.add()
    first, second = images(3, modality=b"MR"), images(2, modality=b"MR", case="other")
    with site.importing():
        (state,) = states(site).values()
        assert state == ("listening", "")
        with site.sender(calling="CT1") as sender:
            assert sender.send(*first, *second) == [0] * 5
            site.until(lambda: associations(site) == [("open", "CT1", "SCANDOCK")])
        with pytest.raises(RejectedError):
            DicomSender(site.port, called="NOBODY", calling="CT2")

        def shown() -> list[tuple[int, str, str, str | None]]:
            with site.catalog.read() as connection:
                studies = list_open_studies(connection, SYSTEM)
            return [(one.objects, one.calling, one.address, one.project) for one in studies]

        site.until(lambda: sorted(count for count, *_ in shown()) == [2, 3])
        assert {row[1:] for row in shown()} == {("CT1", "127.0.0.1", "P")}
        site.until(lambda: [one.outcome for one in site.associations()] == ["released", "rejected"])
        with site.catalog.read() as connection:
            studies = {one.objects: one.id for one in list_open_studies(connection, SYSTEM)}
            page = list_associations(connection, SYSTEM, NEWEST, refused=True)
        assert [(one.outcome, one.message, one.receiver) for one in page.items] == [
            ("rejected", "No enabled receiver is called NOBODY at this port.", None)
        ]
        ask_for_study(context, studies[2], StudyWish.DISCARD)
        with pytest.raises(StudyNotReceiving):
            ask_for_study(context, studies[2], StudyWish.CLOSE)
        noted = json.loads(site.rows(audit)[-1].details)
        assert (noted["calling"], noted["called"], noted["objects"], noted["bytes"] > 0) == ("CT1", "SCANDOCK", 2, True)
        ask_for_study(context, studies[3], StudyWish.CLOSE)
        site.until(lambda: site.states() == [ImportState.PLACED])
    (upload,) = site.uploads()
    assert (upload.uuid, upload.closed_by, upload.objects) == (studies[3], "person", 3)
    assert shown() == []
    with pytest.raises(StudyNotReceiving):
        ask_for_study(context, studies[3], StudyWish.DISCARD)


def test_a_receiver_is_followed_while_it_is_changed(received: ReceiverSite) -> None:
    site, context = received, context_of(received)
    site.add()
    (uuid,) = states(site)
    assert states(site)[uuid] == ("starting", "")
    with site.running():
        site.until(lambda: states(site)[uuid][0] == "listening")
        set_receiver(context, uuid, {"bind": ""})
        site.until(lambda: site.rows(receiver_state)[0].at >= site.rows(receiver)[0].modified)
        assert states(site)[uuid][0] == "listening"
        with pytest.raises(ReceiverInvalid, match="can't listen"):
            set_receiver(context, uuid, {"bind": "203.0.113.7"})
        for entry in ("*", "10.1.*", "A?", "A@B@10.1.2.1"):
            with pytest.raises(ReceiverInvalid, match="no entry of an allow list"):
                set_receiver(context, uuid, {"allow_list": [entry]})
        set_receiver(context, uuid, {"enabled": False})
        assert states(site)[uuid] == ("disabled", "")
        with socket.socket() as other:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            site.until(lambda: not _is_taken(other, site.port))
            other.listen()
            with site.catalog.write() as connection:  # as by a command on another machine, which can't try the port
                connection.execute(update(receiver).values(enabled=True, modified=site.catalog.now()))
            site.until(lambda: states(site)[uuid][0] == "failed")
            assert "Another program listens" in states(site)[uuid][1]
        site.until(lambda: states(site)[uuid][0] == "listening")
        with site.catalog.write() as connection:
            connection.execute(update(receiver).values(project_uuid="gone"))
        assert states(site)[uuid] == ("rejecting", "Its project was deleted.")
    with site.catalog.write() as connection:
        connection.execute(delete(receiver_state))
        connection.execute(update(receiver).values(modified=site.catalog.now() - SILENT_MS - 1))
    assert states(site)[uuid] == ("failed", "No server of its host listens for it.")


def _is_taken(probe: socket.socket, port: int) -> bool:
    try:
        probe.bind(("127.0.0.1", port))
    except OSError:
        return True
    return False


# -- pages and API -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    with serve_in_process(tmp_path_factory.mktemp("shown") / "data") as web:
        assert add_project(web.site.catalog, ProjectRow(name="LUNG"))
        web.account("olga", LUNG="owner")
        web.account("mia", LUNG="member")
        yield web


@pytest.fixture
def web(running: Web) -> Web:
    with running.site.catalog.write() as connection:
        for table in (receiver_state, dicom_association, receiver, dicom_peer):
            connection.execute(delete(table))
    return running


class Browser:
    """A person's login, with the token that forms bring."""

    def __init__(self, client: httpx.Client, name: str) -> None:
        self.client = client
        assert client.post("/login", data={"name": name, "password": PASSWORD}).status_code == 303
        found = re.search(r'name="csrf" value="([^"]+)"', client.get("/account").text)
        assert found is not None
        self.csrf = found[1]

    def get(self, path: str) -> str:
        answer = self.client.get(path)
        assert answer.status_code == 200, answer.text
        return html.unescape(answer.text)

    def post(self, path: str, **fields: str) -> httpx.Response:
        return self.client.post(path, data={"csrf": self.csrf, **fields})


@pytest.fixture
def admin(web: Web) -> Iterator[Browser]:
    with web.asking() as client:
        yield Browser(client, "admin")


FORM = {
    "ae_title": "CTROOM3", "port": "11112", "host": "any", "bind": "", "label": "CT in room 3", "project": "LUNG",
    "account": "admin", "destination": "prearchive", "closing": "release", "idle_seconds": "30",
    "client_certificates": "off", "allow_list": "CT1\r\n10.0.0.0/8\r\n", "allow_list_enabled": "1", "anonymize": "1",
    "max_associations": "", "max_object_bytes": "2 GB", "project_rules": "", "subject_rules": "", "session_rules": "",
}  # fmt: skip


def the_receiver(web: Web) -> dict[str, Any]:
    with web.client() as client:
        (one,) = client.get("/api/v1/receivers").json()["items"]
    return dict(one)


def test_a_receiver_is_made_changed_and_removed_by_forms(web: Web, admin: Browser) -> None:
    assert "There is no receiver." in admin.get("/admin/receivers")
    assert 'value="admin"' in admin.get("/admin/receivers/new")
    made = admin.post("/admin/receivers", **FORM)
    assert (made.status_code, made.headers["location"]) == (303, "/admin/receivers?said=receiver-made")
    one = the_receiver(web)
    assert (one["ae_title"], one["project"], one["destination"], one["closing"]) == (
        "CTROOM3", "LUNG", "prearchive", "release",
    )  # fmt: skip
    assert (one["enabled"], one["allow_list"], one["max_object_bytes"]) == (False, ["CT1", "10.0.0.0/8"], 2 * 10**9)
    address = f"/admin/receivers/{one['id']}"
    form = admin.get(address)
    assert 'value="2 GB"' in form
    assert ">CT1\n10.0.0.0/8</textarea>" in form
    wrong = admin.post(address, do="save", **{**FORM, "label": "Typed anew", "port": "x"})
    assert wrong.status_code == 400
    assert "The port is 'x'." in html.unescape(wrong.text)
    assert 'value="Typed anew"' in wrong.text
    assert the_receiver(web) == one
    saved = admin.post(address, do="save", **{**FORM, "project": "", "destination": "", "idle_seconds": ""})
    assert saved.status_code == 303
    changed = the_receiver(web)
    assert (changed["project"], changed["destination"], changed["idle_seconds"]) == (None, None, None)
    taken = admin.post("/admin/receivers", **FORM)
    assert (taken.status_code, "There is a receiver CTROOM3" in taken.text) == (409, True)
    assert admin.post(address, do="save", **{**FORM, "port": str(free_port()), "bind": "127.0.0.1"}).status_code == 303
    assert admin.post(address, do="enable").headers["location"] == "/admin/receivers?said=receiver-changed"
    assert the_receiver(web)["enabled"] is True
    assert admin.post(address, do="disable").status_code == 303
    assert the_receiver(web)["enabled"] is False
    assert admin.post(address, do="remove").headers["location"] == "/admin/receivers?said=receiver-removed"
    assert "There is no receiver." in admin.get("/admin/receivers")


def associate(web: Web, receiver_number: int | None, **values: Any) -> None:
    """A line of an association, as the receiver process writes it."""
    with web.site.catalog.write() as connection:
        row = {
            "receiver_id": receiver_number, "host": "h", "owner": "", "port": 11112, "called": "CTROOM3",
            "calling": "CT1", "address": "10.1.2.3", "begun": 1, "outcome": "released",
        }  # fmt: skip
        connection.execute(insert(dicom_association).values(row | values))


def test_owners_see_what_concerns_their_project(web: Web, admin: Browser) -> None:
    assert admin.post("/admin/receivers", **FORM).status_code == 303
    assert admin.post("/admin/receivers", **{**FORM, "ae_title": "OTHER", "project": ""}).status_code == 303
    with web.client() as client:
        numbers = {one["aeTitle"]: one["id"] for one in client.get("/xapi/dicomscp").json()}
    associate(web, numbers["CTROOM3"], objects=5)
    refused = "CT9 at 10.1.2.3 is not on the allow list."
    associate(web, None, calling="CT9", outcome="rejected", message=refused, number=1234)
    associate(web, numbers["OTHER"], calling="HIDDEN", called="OTHER")
    associate(web, None, calling="HIDDEN", called="NOBODY", outcome="rejected", message="No enabled receiver.")
    whole = admin.get("/admin/receivers")
    assert whole.count("HIDDEN") == 2
    assert "CT9 at 10.1.2.3 is not on the allow list." in whole
    troubled = admin.get("/admin/receivers?refused=1")
    assert "CT9" in troubled
    cells = '10.1.2.3</span></th><td data-of="Number" class="n">1234</td><td data-of="Called">CTROOM3:11112</td>'
    assert cells in troubled
    with web.asking() as client:
        page = Browser(client, "olga").get("/projects/LUNG/receivers")
        assert "CTROOM3" in page
        assert "CT9 at 10.1.2.3 is not on the allow list." in page
        assert "HIDDEN" not in page
        assert "OTHER" not in page
        assert "New receiver" not in page
    associations = "/api/v1/receivers/associations"
    with web.client("olga") as olga, web.client("mia") as mia, web.client() as client:
        assert [one["calling"] for one in olga.get(associations).json()["items"]] == ["CT9", "CT1"]
        (one,) = olga.get(associations, params={"refused": "true"}).json()["items"]
        assert (one["calling"], one["number"]) == ("CT9", 1234)
        first = client.get(associations, params={"limit": 3}).json()
        rest = client.get(associations, params={"limit": 3, "cursor": first["next"]}).json()
        assert (len(first["items"]), len(rest["items"]), rest["next"]) == (3, 1, None)
        assert mia.get(associations).json()["items"] == []
        assert [one["state"] for one in olga.get("/api/v1/receivers/states").json()["items"]] == ["disabled"]
        assert olga.get("/api/v1/receivers/studies").json()["items"] == []


def test_peers_are_made_changed_and_removed_by_forms(web: Web, admin: Browser) -> None:
    peers = "/admin/peers"
    assert "There is no peer." in admin.get(peers)
    fields = {"ae_title": "PACS", "host": "pacs.example.org", "port": "11112", "label": "Radiology"}
    assert admin.post(peers, **fields).headers["location"] == "/admin/peers?said=peer-made"
    again = admin.post(peers, **fields)
    assert (again.status_code, 'value="pacs.example.org"' in again.text) == (409, True)
    with web.client() as client:
        (one,) = client.get("/api/v1/peers").json()["items"]
    address = f"{peers}/{one['id']}"
    assert 'value="Radiology"' in admin.get(address)
    assert admin.post(address, do="save", **{**fields, "port": "far"}).status_code == 400
    assert admin.post(address, do="save", **{**fields, "port": "104", "tls": "1"}).status_code == 303
    assert "104" in admin.get(peers)
    keeper = Keeper()
    with listening(keeper) as port:
        here = {"ae_title": "PACS", "host": "127.0.0.1", "port": str(port)}
        assert admin.post(address, do="save", **here).status_code == 303
        assert admin.post(address, do="echo").headers["location"] == "/admin/peers?said=peer-answered"
        with web.client() as client:
            assert 0 < client.post(f"/api/v1/peers/{one['id']}/echo").json()["seconds"] < 5
    with listening(Keeper(admits=lambda _: calling_not_allowed("x"))) as port:
        assert admin.post(address, do="save", **{**here, "port": str(port)}).status_code == 303
        silent = admin.post(address, do="echo")
        assert silent.status_code == 502
        assert "it does not allow our AE title SCANDOCK" in html.unescape(silent.text)
        with web.client() as client:
            refused = client.post(f"/api/v1/peers/{one['id']}/echo")
            assert (refused.status_code, refused.json()["code"]) == (502, "dicom_peer_failed")
            lines = client.get("/api/v1/audit", params={"action": "peer_echo"}).json()["items"]
        assert [line["details"]["answered"] for line in lines] == [False, False, True, True]
    assert admin.post(address, do="remove").status_code == 303
    assert "There is no peer." in admin.get(peers)


def test_what_a_host_that_is_gone_has_left_is_shown_as_that(received: ReceiverSite) -> None:
    site, context = received, context_of(received)
    site.add()
    with site.running(), site.sender() as sender:
        assert sender.send(*images(2, modality=b"MR"), *images(1, modality=b"MR", case="other")) == [0] * 3
        site.until(lambda: associations(site) == [("open", "SENDER", "SCANDOCK")])
        site.until(lambda: sorted(row.objects for row in site.uploads()) == [1, 2])
        (uuid,) = states(site)
        told = site.rows(receiver_state)[0].at
    with site.catalog.write() as connection:  # as another host has left it
        for table in (dicom_association, received_study):
            connection.execute(update(table).values(host="other"))
        connection.execute(update(dicom_association).values(outcome="open", ended=None))
        connection.execute(
            insert(receiver_state).values(receiver_id=1, host="other", listening=True, message="", at=told)
        )

    def shown() -> tuple[str, list[str], list[bool]]:
        assert end_associations_of_silent_hosts(site.catalog) in (0, 1)
        with site.catalog.read() as connection:
            silent = [one.host_silent for one in list_open_studies(connection, SYSTEM)]
        return states(site)[uuid][0], [outcome for outcome, *_ in associations(site)], silent

    assert shown() == ("listening", ["open"], [False, False])
    with site.catalog.write() as connection:
        for column in (receiver_state.c.at, received_study.c.heard, receiver.c.modified):
            connection.execute(update(column.table).values({column: column - SILENT_MS - 1_000}))
    assert shown() == ("failed", ["ended"], [True, True])
    one, two = (row.uuid for row in site.uploads())
    with pytest.raises(StudyHostSilent):
        ask_for_study(context, one, StudyWish.CLOSE)
    ask_for_study(context, two, StudyWish.DISCARD)
    assert [row.uuid for row in site.uploads()] == [one]
    assert "study_discard" in {row.action for row in site.rows(audit)}


def test_associations_of_a_process_that_was_killed_end_without_another_one(received: ReceiverSite) -> None:
    site = received
    site.add()
    with site.running(), site.sender():
        site.until(lambda: associations(site) == [("open", "SENDER", "SCANDOCK")])
        assert GONE_RECEIVERS.run(cast(Any, site)) == 0
        owner = json.loads(site.associations()[0].owner) | {"pid": 2**22 + 1}
    with site.catalog.write() as connection:
        connection.execute(update(dicom_association).values(outcome="open", owner=json.dumps(owner)))
    assert GONE_RECEIVERS.run(cast(Any, site)) == 1
    assert [(one.outcome, one.message) for one in site.associations()] == [("ended", "The receiver process was ended.")]


def test_a_receiver_process_says_again_that_it_listens(received: ReceiverSite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scandock.workers.receiver_process.TELL_SECONDS", 0.1)
    received.add()
    with received.running():
        told = received.rows(receiver_state)[0].at
        received.until(lambda: [row.at > told for row in received.rows(receiver_state)] == [True])
