"""DICOM receivers and peers as they are made, changed and read: by the API, XNAT's addresses and the command line."""

from __future__ import annotations

import json
import platform
import socket
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import delete, insert, update

from scandock.access import accounts
from scandock.catalog.projects import ProjectRow, add_project
from scandock.catalog.receivers import list_receivers
from scandock.catalog.server_tables import account, audit, dicom_peer, host, receiver
from scandock.catalog.tables import project
from scandock.dimse.records import unknown_called_title
from scandock.model.patience import tries
from scandock.model.receivers import Receiver
from scandock.services import receivers
from scandock.services.context import ServiceContext
from scandock.services.data_catalog import open_data
from scandock.services.receiver_records import ReceiverChanges
from scandock.services.receivers import make_import_request
from scandock.services.settings import load_settings
from tests.acceptors import Keeper, listening
from tests.builders import DataFolder, Image
from tests.integration.in_process import call_in_process
from tests.integration.web import Web, serve_in_process
from tests.ports import free_port

URL = "/api/v1/receivers"
XNAT = "/xapi/dicomscp"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    with serve_in_process(tmp_path_factory.mktemp("receivers") / "data") as web:
        assert add_project(web.site.catalog, ProjectRow(name="LUNG"))
        web.account("olga", LUNG="owner")
        web.account("mia", LUNG="member")
        web.account("vera")
        yield web


@pytest.fixture
def web(running: Web) -> Web:
    with running.site.catalog.write() as connection:
        connection.execute(delete(receiver))
        connection.execute(delete(dicom_peer))
    return running


@pytest.fixture
def admin(web: Web) -> Iterator[httpx.Client]:
    with web.client() as client:
        yield client


def problem(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, str(response.json()["code"])


def make(client: httpx.Client, **values: Any) -> dict[str, Any]:
    response = client.post(URL, json={"ae_title": "SCAN", "port": 11112, "enabled": False, **values})
    assert response.status_code == 201, response.text
    assert response.headers["Location"].endswith(response.json()["id"])
    return dict(response.json())


def test_a_receiver_is_made_read_changed_and_removed(web: Web, admin: httpx.Client) -> None:
    port = free_port()
    made = make(
        admin, ae_title=" SCAN ", port=port, enabled=True, bind="127.0.0.1", project="lung", account="mia",
        allow_list=["CT1", "10.0.0.0/8", "CT1", "MR@10.0.0.1"], allow_list_enabled=True, closing="release",
    )  # fmt: skip
    assert (made["ae_title"], made["project"], made["account"]) == ("SCAN", "LUNG", "mia")
    assert made["allow_list"] == ["CT1", "10.0.0.0/8", "MR@10.0.0.1"]
    assert (made["host"], made["idle_seconds"], made["destination"]) == ("any", None, None)
    path = f"{URL}/{made['id']}"
    read = admin.get(path)
    assert read.json() == made
    assert admin.get(path, headers={"If-None-Match": read.headers["ETag"]}).status_code == 304
    known = {"If-Match": read.headers["ETag"]}
    changed = admin.patch(path, json={"idle_seconds": 5, "label": "  CT  room "}, headers=known)
    assert changed.status_code == 200, changed.text
    assert {**made, "idle_seconds": 5, "label": "CT room", "modified": changed.json()["modified"]} == changed.json()
    late = admin.patch(path, json={"idle_seconds": 6}, headers=known)
    assert problem(late) == (412, "changed_meanwhile")
    assert admin.patch(path, json={"idle_seconds": None, "project": None}).json()["project"] is None
    assert admin.patch(path, json={}).json()["idle_seconds"] is None
    assert admin.delete(path).status_code == 204
    assert problem(admin.get(path)) == (404, "not_found")
    lines = admin.get("/api/v1/audit", params={"kind": "receiver", "target": made["id"]}).json()["items"]
    assert [line["action"] for line in lines] == ["receiver_remove", "receiver_set", "receiver_set", "receiver_add"]
    assert lines[1]["details"] == {
        "ae_title": "SCAN", "port": port,
        "before": {"idle_seconds": 5, "project": "LUNG"}, "now": {"idle_seconds": None, "project": None},
    }  # fmt: skip


def test_the_audit_has_old_and_new_values_but_no_rule(web: Web, admin: httpx.Client) -> None:
    made = make(admin, allow_list=["CT1"], project_rules="(0010,0010):(DOE.JANE) t:.+ r:LUNG", rules_enabled=True)
    peers = [f"PEER{number:012}" for number in range(40)]
    changes = {"account": "olga", "allow_list": peers, "project_rules": "", "label": "MR"}
    assert admin.patch(f"{URL}/{made['id']}", json=changes).status_code == 200
    (line, _) = admin.get("/api/v1/audit", params={"kind": "receiver", "target": made["id"]}).json()["items"]
    before, now = line["details"]["before"], line["details"]["now"]
    assert set(before) == set(now) == set(changes) - {"allow_list"}
    assert (before["account"], now["account"], before["label"], now["label"]) == ("admin", "olga", "", "MR")
    assert line["details"]["removed"] == {"allow_list": "CT1"}
    added = line["details"]["added"]["allow_list"]
    assert added.startswith("PEER000000000000, PEER000000000001, ")
    assert (len(added), "… (718 characters, SHA-256 " in added) == (200, True)
    assert "DOE" not in json.dumps(line)
    assert (before["project_rules"].startswith("34 characters, SHA-256 "), now["project_rules"]) == (True, "")
    with web.client() as client:
        page = client.get("/admin/audit", params={"kind": "receiver", "action": "receiver_set"}).text
        assert "account admin, label none" in page
        assert "removed: allow list CT1" in page
        peer = client.post("/api/v1/peers", json={"ae_title": "PACS", "host": "pacs", "port": 104}).json()
        client.patch(f"/api/v1/peers/{peer['id']}", json={"port": 105})
        (line,) = client.get("/api/v1/audit", params={"action": "peer_set"}).json()["items"][:1]
    assert line["details"] == {"ae_title": "PACS", "before": {"port": 104}, "now": {"port": 105}}


def test_tls_without_a_certificate_is_warned_of_at_once(web: Web, admin: httpx.Client) -> None:
    made = make(admin)
    assert made["warnings"] == []
    path = f"{URL}/{made['id']}"
    changed = admin.patch(path, json={"tls": True})
    (warning,) = changed.json()["warnings"]
    assert warning.startswith("TLS is on, and the server has no certificate for it")
    assert admin.get(path).json() == changed.json()
    assert warning.replace("'", "&#39;") in admin.get("/admin/receivers").text
    known = {"If-Match": admin.get(path).headers["ETag"]}
    assert admin.patch(path, json={"tls": False}, headers=known).json()["warnings"] == []
    assert make(admin, ae_title="SAFE", port=2762, tls=True)["warnings"] == [warning]


def test_what_nobody_can_send_to_is_warned_of_at_once(web: Web, admin: httpx.Client) -> None:
    made = make(admin, host="no-such-machine", allow_list_enabled=True)
    unknown, empty = made["warnings"]
    assert unknown == (
        "No host called no-such-machine works here, so that this receiver does not listen."
        " Name one by the name of its machine, or any for all of them."
    )
    assert (
        empty == "The allow list is empty, so that every peer is rejected. Add peers to it, or let any peer associate."
    )
    page = admin.get("/admin/receivers").text
    assert unknown in page
    assert empty in page
    path = f"{URL}/{made['id']}"
    known = {"If-Match": admin.get(path).headers["ETag"]}
    changed = admin.patch(path, json={"host": platform.node(), "allow_list": ["CT1"]}, headers=known)
    assert changed.json()["warnings"] == []
    assert admin.patch(path, json={"allow_list": [], "allow_list_enabled": False}).json()["warnings"] == []


def test_a_host_is_known_by_what_it_says_of_itself(web: Web, admin: httpx.Client) -> None:
    """A host of the role web has no receivers."""
    made = make(admin, host="h2")
    path = f"{URL}/{made['id']}"
    values = {"name": "h2", "boot": "", "started": 0, "seen": 0}
    for number, (role, is_known) in enumerate((("web", False), ("worker", True))):
        with web.site.catalog.write() as connection:
            connection.execute(insert(host).values(uuid=str(number), role=role, **values))
        assert (admin.get(path).json()["warnings"] == []) is is_known


def test_start_enables_what_stop_has_disabled_and_nothing_else(web: Web, admin: httpx.Client) -> None:
    ports = [free_port() for _ in range(3)]
    first = make(admin, ae_title="FIRST", port=ports[0], bind="127.0.0.1", enabled=True)
    second = make(admin, ae_title="SECOND", port=ports[1], bind="127.0.0.1", enabled=True)
    off = make(admin, ae_title="OFF", port=ports[2])

    def enabled() -> set[str]:
        return {one["ae_title"] for one in admin.get(URL).json()["items"] if one["enabled"]}

    def answer(*titles: str) -> list[dict[str, Any]]:
        known = {"FIRST": ports[0], "SECOND": ports[1]}
        return sorted(
            ({"left": one, "middle": known[one], "right": True} for one in titles), key=lambda one: one["middle"]
        )

    assert admin.put(f"{XNAT}/start").json() == []
    assert enabled() == {"FIRST", "SECOND"}
    assert admin.put(f"{XNAT}/stop").json() == answer("FIRST", "SECOND")
    assert enabled() == set()
    states = admin.get("/api/v1/receivers/states").json()["items"]
    stopped = {one["receiver"]: (one["state"], "Stopped" in one["message"]) for one in states}
    assert stopped == {
        first["id"]: ("disabled", True), second["id"]: ("disabled", True), off["id"]: ("disabled", False),
    }  # fmt: skip
    assert admin.put(f"{XNAT}/stop").json() == []
    assert admin.put(f"{XNAT}/start").json() == answer("FIRST", "SECOND")
    assert enabled() == {"FIRST", "SECOND"}
    (line, *_) = admin.get("/api/v1/audit", params={"kind": "receiver", "target": first["id"]}).json()["items"]
    assert line["details"]["now"] == {"enabled": True, "stopped": False}
    # what is disabled by hand meanwhile stays so; a form that names all fields disables nothing
    admin.put(f"{XNAT}/stop")
    assert admin.patch(f"{URL}/{first['id']}", json={"enabled": False, "label": "x"}).json()["stopped"] is True
    assert admin.patch(f"{URL}/{second['id']}", json={"enabled": False}).json()["stopped"] is False
    with socket.socket() as other:
        other.bind(("127.0.0.1", ports[0]))
        other.listen()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("scandock.services.receivers._PORT_SECONDS", 0.01)
            (failed,) = admin.put(f"{XNAT}/start").json()
    assert failed == {"left": "FIRST", "middle": ports[0], "right": False}
    assert admin.put(f"{XNAT}/start").json() == answer("FIRST")
    assert enabled() == {"FIRST"}
    with web.client("olga") as olga:
        assert olga.put(f"{XNAT}/stop").status_code == 403
        assert olga.put(f"{XNAT}/start").status_code == 403
    assert enabled() == {"FIRST"}


def test_start_leaves_what_was_changed_meanwhile_and_goes_on(
    web: Web, admin: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    ports = sorted(free_port() for _ in range(4))
    made = {
        title: make(admin, ae_title=title, port=port, bind="127.0.0.1", enabled=True)["id"]
        for title, port in zip(("OFF", "GONE", "SHARED", "LAST"), ports, strict=True)
    }
    admin.put(f"{XNAT}/stop")
    other = make(admin, ae_title="OTHER", port=free_port())["id"]
    with web.site.catalog.write() as connection:  # of another address, which can't be set by hand
        connection.execute(update(receiver).where(receiver.c.uuid == other).values(port=ports[2]))
    changed: list[object] = []

    def change_first(seconds: float, pause: float) -> Iterable[object]:
        """Between the transaction that looked at the first one and the one that enables it."""
        if not changed:
            changed.append(admin.patch(f"{URL}/{made['OFF']}", json={"enabled": False}).json()["stopped"])
            changed.append(admin.delete(f"{URL}/{made['GONE']}").status_code)
        return tries(seconds, pause)

    monkeypatch.setattr(receivers, "tries", change_first)
    started = admin.put(f"{XNAT}/start")
    assert changed == [False, 204]
    assert (started.status_code, [(one["left"], one["right"]) for one in started.json()]) == (
        200, [("SHARED", False), ("LAST", True)],
    )  # fmt: skip
    states = {one["ae_title"]: (one["enabled"], one["stopped"]) for one in admin.get(URL).json()["items"]}
    assert states == {
        "OFF": (False, False), "SHARED": (False, True), "OTHER": (False, False), "LAST": (True, False),
    }  # fmt: skip
    (line, *_) = admin.get("/api/v1/audit", params={"kind": "receiver", "target": made["OFF"]}).json()["items"]
    assert line["details"]["now"] == {"stopped": False}  # by hand, not by the start

    # one that was enabled by hand before its turn came
    admin.put(f"{XNAT}/stop")
    set_receiver = receivers.set_receiver

    def enable_before(context: ServiceContext, uuid: str, changes: ReceiverChanges, **options: Any) -> Receiver:
        if uuid == made["LAST"] and options.get("only_stopped"):
            set_receiver(context, uuid, {"enabled": True})
        return set_receiver(context, uuid, changes, **options)

    monkeypatch.setattr(receivers, "set_receiver", enable_before)
    assert [one["left"] for one in admin.put(f"{XNAT}/start").json()] == ["SHARED"]


def test_owners_read_those_of_their_project_and_change_none(web: Web, admin: httpx.Client) -> None:
    theirs = make(admin, ae_title="THEIRS", project="LUNG", account="olga")
    other = make(admin, ae_title="OTHER")
    assert [one["id"] for one in admin.get(URL).json()["items"]] == [other["id"], theirs["id"]]
    with web.client("olga") as olga, web.client("mia") as mia, web.client("vera") as vera:
        assert [one["id"] for one in olga.get(URL).json()["items"]] == [theirs["id"]]
        assert [one["id"] for one in olga.get(URL, params={"project": "LUNG"}).json()["items"]] == [theirs["id"]]
        assert olga.get(f"{URL}/{theirs['id']}").json() == theirs
        assert problem(olga.get(f"{URL}/{other['id']}")) == (404, "not_found")
        assert problem(olga.patch(f"{URL}/{theirs['id']}", json={"enabled": True})) == (403, "forbidden")
        assert problem(olga.delete(f"{URL}/{theirs['id']}")) == (403, "forbidden")
        assert mia.get(URL).json()["items"] == []
        assert problem(mia.get(f"{URL}/{theirs['id']}")) == (403, "forbidden")
        assert problem(vera.get(f"{URL}/{theirs['id']}")) == (404, "not_found")
        assert problem(vera.get(URL, params={"project": "LUNG"})) == (404, "not_found")
        assert [one["aeTitle"] for one in olga.get(XNAT).json()] == ["THEIRS"]
        assert olga.post(XNAT, json={"aeTitle": "X", "port": 1}).status_code == 403


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"ae_title": "A\\B"}, "receiver_invalid"),
        ({"ae_title": "SEVENTEEN LETTERS"}, "receiver_invalid"),
        ({"bind": "localhost"}, "receiver_invalid"),
        ({"host": "a b"}, "receiver_invalid"),
        ({"allow_list": ["10.0.0.0/99"]}, "receiver_invalid"),
        ({"client_certificates": "required"}, "receiver_invalid"),
        ({"idle_seconds": 0}, "receiver_invalid"),
        ({"max_associations": 0}, "receiver_invalid"),
        ({"project": "NONE"}, "project_unknown"),
        ({"project": "Unassigned"}, "project_unknown"),
        ({"account": "nobody"}, "account_unknown"),
        ({"project": "LUNG", "account": "vera"}, "receiver_invalid"),
        ({"subject_rules": "no rule"}, "rules_unreadable"),
        ({"port": 0}, "request_invalid"),
        ({"closing": "never"}, "request_invalid"),
        ({"unknown": 1}, "request_invalid"),
    ],
)
def test_what_can_not_be_is_refused(admin: httpx.Client, changes: dict[str, Any], code: str) -> None:
    values = {"ae_title": "SCAN", "port": 11112, "enabled": False}
    refused = admin.post(URL, json=values | changes)
    assert refused.json()["code"] == code, refused.text
    made = make(admin)
    assert admin.patch(f"{URL}/{made['id']}", json=changes).json()["code"] == code
    assert admin.get(f"{URL}/{made['id']}").json() == made


def test_title_and_port_are_one_receivers_and_a_port_is_of_one_kind(admin: httpx.Client) -> None:
    first = make(admin, ae_title="ONE", port=11112)
    taken = {"ae_title": "ONE", "port": 11112, "enabled": False}
    assert problem(admin.post(URL, json=taken)) == (409, "receiver_exists")
    assert make(admin, ae_title="ONE", port=11113)["port"] == 11113
    assert make(admin, ae_title="TWO", port=11112)["ae_title"] == "TWO"
    mixed = {"ae_title": "SAFE", "port": 11112, "enabled": False, "tls": True}
    assert problem(admin.post(URL, json=mixed)) == (409, "receiver_port_shared")
    assert make(admin, ae_title="SAFE", port=11114, tls=True, client_certificates="optional")["tls"] is True
    assert problem(admin.patch(f"{URL}/{first['id']}", json={"port": 11114})) == (409, "receiver_port_shared")
    here = make(admin, ae_title="HERE", port=11115, host="host-a")
    assert make(admin, ae_title="THERE", port=11115, host="host-b", tls=True)["port"] == here["port"]


def test_a_port_that_is_taken_by_another_program_is_refused_at_once(admin: httpx.Client) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("scandock.services.receivers._PORT_SECONDS", 0.01)
            values = {"ae_title": "SCAN", "port": port, "bind": "127.0.0.1"}
            refused = admin.post(URL, json=values)
            assert problem(refused) == (400, "receiver_invalid")
            assert "in use" in refused.json()["detail"]
            assert admin.post(XNAT, json={"aeTitle": "SCAN", "port": port}).status_code == 400
            off = make(admin, **values, enabled=False)
            assert problem(admin.patch(f"{URL}/{off['id']}", json={"enabled": True})) == (400, "receiver_invalid")
    assert admin.patch(f"{URL}/{off['id']}", json={"enabled": True}).json()["enabled"] is True
    away = admin.patch(f"{URL}/{off['id']}", json={"bind": "203.0.113.9"})
    assert problem(away) == (400, "receiver_invalid")


def test_a_project_that_was_deleted_stays_named_until_another_is(web: Web, admin: httpx.Client) -> None:
    assert add_project(web.site.catalog, ProjectRow(name="SHORT"))
    made = make(admin, project="SHORT")
    with web.site.catalog.write() as connection:
        connection.execute(delete(project).where(project.c.name == "SHORT"))
    gone = admin.get(f"{URL}/{made['id']}").json()
    assert (gone["project"], gone["project_missing"]) == (None, True)
    assert admin.patch(f"{URL}/{made['id']}", json={"label": "x"}).json()["project_missing"] is True
    assert add_project(web.site.catalog, ProjectRow(name="SHORT"))  # another one of that id gets nothing of it
    assert admin.get(f"{URL}/{made['id']}").json()["project_missing"] is True
    back = admin.patch(f"{URL}/{made['id']}", json={"project": "SHORT"}).json()
    assert (back["project"], back["project_missing"]) == ("SHORT", False)


def test_an_account_that_is_disabled_later_is_shown(web: Web, admin: httpx.Client) -> None:
    web.account("temp", LUNG="member")
    made = make(admin, account="temp")
    with web.site.catalog.write() as connection:
        connection.execute(update(account).where(account.c.name == "temp").values(disabled=True))
    assert admin.get(f"{URL}/{made['id']}").json()["account_disabled"] is True
    assert problem(admin.patch(f"{URL}/{made['id']}", json={"label": "x"})) == (400, "receiver_invalid")
    assert admin.patch(f"{URL}/{made['id']}", json={"account": "admin"}).json()["account_disabled"] is False


def test_peers_are_administrators_own(web: Web, admin: httpx.Client) -> None:
    peers = "/api/v1/peers"
    values = {"ae_title": "PACS", "host": "pacs.example.org", "port": 11112}
    created = admin.post(peers, json=values)
    assert created.status_code == 201
    peer = created.json()
    path = f"{peers}/{peer['id']}"
    assert admin.get(peers).json()["items"] == [peer]
    assert problem(admin.post(peers, json=values)) == (409, "peer_exists")
    assert problem(admin.post(peers, json={**values, "ae_title": "B", "host": "a b"})) == (400, "peer_invalid")
    tag = admin.get(path).headers["ETag"]
    assert admin.patch(path, json={"tls": True}, headers={"If-Match": tag}).json()["tls"] is True
    assert problem(admin.patch(path, json={"port": 1}, headers={"If-Match": tag})) == (412, "changed_meanwhile")
    second = admin.post(peers, json={**values, "ae_title": "PACS2"}).json()
    assert problem(admin.patch(f"{peers}/{second['id']}", json={"ae_title": "PACS"})) == (409, "peer_exists")
    with web.client("olga") as olga:
        assert problem(olga.get(peers)) == (403, "forbidden")
        assert problem(olga.get(path)) == (403, "forbidden")
    assert admin.delete(path).status_code == 204
    assert problem(admin.get(path)) == (404, "not_found")


def test_xnats_clients_make_and_change_receivers(web: Web, admin: httpx.Client) -> None:
    port = free_port()
    made = admin.post(XNAT, json={"aeTitle": "XNAT", "port": port, "identifier": "dicomObjectIdentifier"})
    assert made.status_code == 200
    one = made.json()
    number = one["id"]
    assert one == {
        "id": number, "aeTitle": "XNAT", "port": port, "identifier": "dicomObjectIdentifier", "fileNamer": None,
        "label": None, "enabled": True, "disabled": 0, "customProcessing": False, "directArchive": False,
        "anonymizationEnabled": True, "whitelistEnabled": False, "whitelist": [], "routingExpressionsEnabled": False,
        "projectRoutingExpression": None, "subjectRoutingExpression": None, "sessionRoutingExpression": None,
        "created": one["created"], "timestamp": one["timestamp"],
    }  # fmt: skip
    assert isinstance(number, int)
    assert admin.get(XNAT).json() == [one]
    assert admin.get(f"{XNAT}/").json() == [one]
    assert admin.get(f"{XNAT}/{number}/").json() == one
    assert admin.get(f"{XNAT}/title/XNAT/{port}").json() == one
    again = admin.post(XNAT, json={"aeTitle": "XNAT", "port": port, "identifier": "dicomObjectIdentifier"})
    assert again.status_code == 409
    # what XNAT lacks survives its PUT
    (known,) = admin.get(URL).json()["items"]
    assert admin.patch(f"{URL}/{known['id']}", json={"project": "LUNG", "idle_seconds": 7}).status_code == 200
    off = admin.put(f"{XNAT}/{number}", json={"enabled": False, "id": 77})
    assert (off.status_code, off.json()["id"], off.json()["enabled"]) == (200, number, False)
    assert off.json()["disabled"] > 0
    full = admin.put(f"{XNAT}/{number}", json={**one, "whitelistEnabled": True, "whitelist": ["CT", "10.0.0.0/8"]})
    assert (full.json()["whitelist"], full.json()["enabled"]) == (["CT", "10.0.0.0/8"], True)
    (known,) = admin.get(URL).json()["items"]
    assert (known["project"], known["idle_seconds"], known["allow_list_enabled"]) == ("LUNG", 7, True)
    rule = r"(0008,0018):(.*):1 t:.+ r:MyProject"
    routed = admin.put(f"{XNAT}/{number}", json={"routingExpressionsEnabled": True, "projectRoutingExpression": rule})
    assert (routed.json()["projectRoutingExpression"], routed.json()["routingExpressionsEnabled"]) == (rule, True)
    assert admin.put(f"{XNAT}/{number}", json={"directArchive": True}).json()["directArchive"] is True
    assert admin.get(URL).json()["items"][0]["destination"] == "archive"
    assert admin.put(f"{XNAT}/{number}", json={"directArchive": False}).json()["directArchive"] is False
    assert admin.get(URL).json()["items"][0]["destination"] is None
    assert admin.put(f"{XNAT}/{number}", json={"anonymizationEnabled": False}).json()["anonymizationEnabled"] is False
    flag = f"{XNAT}/{number}/enabled"
    assert admin.get(flag).json() is True
    assert admin.put(f"{flag}/false").json()["enabled"] is False
    assert admin.get(flag).json() is False
    assert admin.put(f"{XNAT}/start").json() == []
    assert admin.get(flag).json() is False
    gone = admin.delete(f"{XNAT}/{number}")
    assert (gone.status_code, gone.text) == (200, "")
    missing = admin.get(f"{XNAT}/{number}")
    assert missing.status_code == 404
    assert f"DicomSCPInstance(id: {number})" in missing.text
    assert f"Could not find DICOM SCP instance with ID {number}" in admin.delete(f"{XNAT}/{number}").text
    assert admin.put(f"{XNAT}/{number}", json={}).status_code == 404


@pytest.mark.parametrize(
    "values",
    [
        {"identifier": "someOther"},
        {"aeTitle": "A\\B"},
        {"aeTitle": 7},
        {"port": "x"},
        {"port": True},
        {"port": 70_000},
        {"whitelist": ["10.0.0.0/99"]},
        {"whitelist": "CT"},
        {"enabled": "yes"},
        {"projectRoutingExpression": "no rule", "routingExpressionsEnabled": True},
        {"customProcessing": True},
        {"fileNamer": "other"},
    ],
)
def test_what_xnats_clients_can_not_set_is_refused(admin: httpx.Client, values: dict[str, Any]) -> None:
    right = {"aeTitle": "SCAN", "port": 11112, "identifier": "dicomObjectIdentifier", "enabled": False}
    refused = admin.post(XNAT, json={**right, **values})
    assert (refused.status_code, refused.headers["content-type"].partition(";")[0]) == (400, "text/plain")
    assert admin.get(XNAT).json() == []


def test_xnats_identifiers_are_the_one_that_there_is(web: Web, admin: httpx.Client) -> None:
    (name,) = admin.get(f"{XNAT}/identifiers").json()
    assert name == "dicomObjectIdentifier"
    assert admin.get(f"{XNAT}/identifiers/default").text.endswith("ClassicDicomObjectIdentifier")
    assert admin.get(f"{XNAT}/identifiers/other").status_code == 404
    assert admin.put(f"{XNAT}/identifiers").status_code == 200
    assert admin.put(f"{XNAT}/identifiers/default").status_code == 200
    with web.client("vera") as vera:
        assert vera.get(f"{XNAT}/identifiers").status_code == 200
        assert vera.put(f"{XNAT}/identifiers").status_code == 403
    assert admin.post(XNAT, content=b"[1").status_code == 400


def test_receivers_and_peers_by_the_command_line(tmp_path: Path) -> None:
    data = tmp_path / "data"
    rules = tmp_path / "rules.txt"
    rules.write_text("(0010,0020):(.+)\n")

    def admin(*words: str, code: int = 0) -> str:
        done = call_in_process("admin", *words, "--data", str(data))
        assert done.returncode == code, done.stderr
        return done.stdout if code == 0 else done.stderr

    refused = admin("receiver", "add", "SCAN", "11112", "--disable", code=2)
    assert "acts for an account" in refused
    call_in_process("admin", "project", "add", "LUNG", "--data", str(data))
    with open_data(str(data), load_settings()) as (catalog, _), catalog.write() as connection:
        accounts.create(connection, "root", admin=True)
    made = admin(
        "receiver", "add", "SCAN", "11112", "--disable", "--project", "LUNG", "--allow", "CT1", "--allow", "10.0.0.0/8",
        "--allow-list", "--idle", "5", "--max-object", "2GB", "--rules", "--subject-rules", str(rules),
    )  # fmt: skip
    assert made == "Receiver SCAN:11112, to LUNG, 2 allowed, disabled is made.\n"
    (one,) = json.loads(admin("receiver", "list", "--json"))
    assert (one["account"], one["idle_seconds"], one["max_object_bytes"]) == ("root", 5, 2_000_000_000)
    assert (one["subject_rules"], one["allow_list"]) == ("(0010,0020):(.+)", ["CT1", "10.0.0.0/8"])
    admin("receiver", "add", "SCAN", "11113", "--disable")
    assert "Several receivers" in admin("receiver", "set", "SCAN", "--idle", "0", code=2)
    changed = admin("receiver", "set", "SCAN:11112", "--idle", "0", "--project", "", "--allow", "", "--any-peer")
    assert changed == "Receiver SCAN:11112, to projects by rules, any peer, disabled is set.\n"
    done = call_in_process(
        "admin", "receiver", "set", "SCAN:11113", "--ae-title", "OTHER", "--port", "11114", "--tls", "--data", str(data)
    )
    assert done.stdout.startswith("Receiver OTHER:11114,")
    assert "TLS" in done.stdout
    assert done.stderr.startswith("Warning: TLS is on, and the server has no certificate")
    assert "SCANDOCK_DICOM_TLS_CERTIFICATE" in done.stderr
    done = call_in_process(
        "admin",
        "receiver",
        "add",
        "THIRD",
        "11115",
        "--disable",
        "--host",
        "nowhere",
        "--allow-list",
        "--data",
        str(data),
    )
    assert [line.partition(",")[0] for line in done.stderr.splitlines()] == [
        "Warning: No host called nowhere works here", "Warning: The allow list is empty",
    ]  # fmt: skip
    admin("receiver", "remove", "THIRD")
    assert admin("receiver", "list").splitlines() == [
        "SCAN:11112, to projects by rules, any peer, disabled",
        "OTHER:11114, to projects by rules, any peer, TLS, disabled",
    ]
    port = free_port()
    admin("receiver", "set", "SCAN", "--enable", "--bind", "127.0.0.1", "--port", str(port))
    assert f"SCAN:{port}, to projects by rules, any peer, starting" in admin("receiver", "list").splitlines()
    assert {one["state"] for one in json.loads(admin("receiver", "list", "--json"))} == {"starting", "disabled"}
    assert "There is no project 'NOPE' to receive for" in admin("receiver", "set", "SCAN", "--project", "NOPE", code=2)
    assert "is no size" in admin("receiver", "set", "SCAN", "--max-object", "big", code=2)
    assert admin("receiver", "remove", "OTHER") == "Receiver OTHER:11114 is removed.\n"
    assert "There is no receiver 'OTHER'" in admin("receiver", "remove", "OTHER", code=2)
    assert (
        admin("peer", "add", "PACS", "pacs.example.org", "104", "--tls")
        == "Peer PACS, pacs.example.org:104, TLS is made.\n"
    )
    assert admin("peer", "set", "PACS", "--host", "10.0.0.2", "--no-tls") == "Peer PACS, 10.0.0.2:104 is set.\n"
    assert admin("peer", "list") == "PACS, 10.0.0.2:104\n"
    assert json.loads(admin("peer", "list", "--json"))[0]["host"] == "10.0.0.2"
    with listening(Keeper()) as port:
        admin("peer", "set", "PACS", "--host", "127.0.0.1", "--port", str(port))
        assert admin("peer", "echo", "PACS").startswith("PACS has answered within ")
    with listening(Keeper(admits=lambda _: unknown_called_title("x"))) as port:
        admin("peer", "set", "PACS", "--port", str(port))
        assert "it has no AE title PACS" in admin("peer", "echo", "PACS", code=1)
    assert admin("peer", "remove", "PACS") == "Peer PACS is removed.\n"
    assert "There is no peer" in admin("peer", "remove", "PACS", code=2)
    with open_data(str(data), load_settings()) as (catalog, _), catalog.read() as connection:
        addresses = {row.address.partition(" uid")[0] for row in connection.execute(audit.select())}
    assert addresses == {"local"}


def test_a_receivers_own_rules_are_asked_before_the_sites(site: DataFolder) -> None:
    rules = {"project_rules": "(0010,0020):(.+) t:.+ r:LUNG", "subject_rules": "(0010,0020):(.+) t:.+ r:BY_RECEIVER"}
    files = {f"{kind}.txt": text for kind, text in rules.items()}
    for name, text in files.items():
        (site.root / name).write_text(text)
    assert call_in_process("admin", "project", "add", "LUNG", "--data", site.data).returncode == 0
    with site.catalog() as catalog, catalog.write() as connection:
        accounts.create(connection, "root", admin=True)
    words = [f"--{kind.replace('_', '-')}={site.root / kind}.txt" for kind in rules]
    words += ["--data", str(site.data)]
    done = call_in_process("admin", "receiver", "add", "SCAN", "11112", "--disable", "--rules", *words)
    assert done.returncode == 0, done.stderr
    with site.catalog() as catalog, catalog.read() as connection:
        (made,) = list_receivers(connection)
    request = make_import_request(made)
    assert dict(request.receiver_rules) == {"project": rules["project_rules"], "subject": rules["subject_rules"]}
    assert type(request).from_json(request.to_json()) == request
    outcome = site.bring({"a.dcm": Image(case="rules").file()}, project=None, receiver_rules=request.receiver_rules)
    (session,) = outcome.report["sessions"]
    assert (session["project"], session["subject"]) == ("LUNG", "BY_RECEIVER")
    assert make_import_request(replace(made, rules_enabled=False)).receiver_rules == {}


def test_what_is_asked_of_an_import_is_the_receivers(site: DataFolder) -> None:
    plain = Receiver(number=1, uuid="u", title="SCAN", port=104, account_id=1, account="root")
    assert make_import_request(plain).named == {"overwrite": "append", "ignore_unparsable": True}
    fixed = replace(plain, project="LUNG", project_uuid="x", destination="prearchive", anonymize=False)
    named = make_import_request(fixed).named
    assert (named["project"], named["destination"], named["prevent_anon"]) == ("LUNG", "prearchive", True)
