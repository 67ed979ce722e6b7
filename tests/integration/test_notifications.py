"""Told when it is done: mails and signed webhooks reach real receivers, failures are tried again and shown."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select, update

from scandock.access.principal import AccessDenied, Door, Principal
from scandock.catalog.deliveries import enqueue
from scandock.catalog.engine import Catalog
from scandock.catalog.server_tables import account, delivery, member, reception, subscription
from scandock.catalog.tables import project, session, upload
from scandock.model.errors import Usage
from scandock.queue.event_data import ImportEnded
from scandock.queue.events import add_event
from scandock.queue.tokens import new_uuid
from scandock.rules.permissions import Role
from scandock.services import notifications, subscriptions
from scandock.services.context import ServiceContext
from scandock.services.data_catalog import open_data
from scandock.services.file_verification import VerificationPlan, mark_for_verification
from scandock.services.notifications import RETRY_PAUSES, send_due_deliveries
from scandock.services.settings import Settings, load_settings
from scandock.services.subscriptions import list_deliveries, list_subscriptions, subscribe, unsubscribe
from tests.builders import DataFolder, images, make_data_folder, uploader_layout, verify_some
from tests.integration.web import serve_in_process
from tests.sinks import http_sink, smtp_sink

pytestmark = pytest.mark.long

ALL = subscriptions.STATES
SETTINGS = load_settings()


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database_url: str) -> DataFolder:
    made = make_data_folder(tmp_path, monkeypatch, database_url)
    made.bring(uploader_layout("S1", "1", images(2)), session="S1")
    return made


@contextmanager
def context_of(site: DataFolder, name: str = "ann") -> Iterator[ServiceContext]:
    """The desk of an owner of P."""
    with open_data(str(site.data), site.settings) as (catalog, store):
        with catalog.write() as connection:
            uuid = new_uuid()
            values = {"uuid": uuid, "name": name, "key": name, "created": 1, "modified": 1}
            number = connection.execute(insert(account).values(**values).returning(account.c.id)).scalar_one()
            of = connection.execute(select(project.c.id).where(project.c.name == "P")).scalar_one()
            connection.execute(insert(member).values(project_id=of, account_id=number, role="owner"))
        who = Principal(number, uuid, name, roles={"P": Role.OWNER}, door=Door.BASIC)
        yield ServiceContext(catalog, store, site.settings, who)


@pytest.fixture
def sent_with(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Let the sending have these settings."""

    def have(**values: Any) -> None:
        made = replace(load_settings().notify, webhook_private=True, seconds=5.0, **values)
        monkeypatch.setattr(Settings, "notify", property(lambda _: made))

    have(smtp_host="mail.example.org")
    return have


def ended(context: ServiceContext, state: str = "placed", *, project_id: int | None = None) -> str:
    """An import of the desk's account that ends now, as the queue writes it."""
    number = new_uuid()
    report = {
        "state": state,
        "entries": {"stored": 7},
        "sessions": [{"state": "archive", "label": "DOE_JANE", "project": "P", "files": 7}],
    }
    with context.catalog.write() as connection:
        row = {"uuid": number, "archive": "jane doe.zip", "source": "server", "state": state, "request": "{}"}
        values = {**row, "created": 1, "report": json.dumps(report), "message": "About DOE_JANE"}
        made = connection.execute(insert(upload).values(**values).returning(upload.c.id)).scalar_one()
        connection.execute(
            insert(reception).values(
                upload_id=made, account_id=context.principal.account_id, door="raw", project_id=project_id
            )
        )
        add_event(context.catalog, connection, made, ImportEnded(state=state, code="", message=""))
    return number


def due(catalog: Catalog) -> None:
    """Let the time of every waiting delivery have come."""
    with catalog.write() as connection:
        connection.execute(update(delivery).values(next_at=0))


# -- who is told -------------------------------------------------------------------------------------------------------


@pytest.mark.postgresql
def test_an_import_s_end_is_noted_for_who_asked(site: DataFolder, sent_with: Any) -> None:
    with context_of(site) as context:
        subscribe(context, kind="email", target="ann@example.org", states=["placed"])
        subscribe(context, kind="email", target="held@example.org", states=["held", "failed"])
        subscribe(context, kind="email", target="owner@example.org", states=ALL, project_name="P")
        site.bring(uploader_layout("S2", "1", images(2, case="other")), session="S2")
        with context.catalog.write() as connection:  # by the command line, but into the project
            told = connection.execute(select(subscription.c.target).join(delivery)).scalars()
            assert list(told) == ["owner@example.org"]
            connection.execute(delivery.delete())
    with open_data(str(site.data), site.settings) as (catalog, store), context_of(site, "bob") as other:
        context = replace(context, catalog=catalog, store=store)
        ended(other)
        with context.catalog.read() as connection:
            assert connection.execute(select(delivery.c.id)).all() == []
            of = connection.execute(select(project.c.id)).scalars().first()
        ended(context)
        ended(other, "held", project_id=of)
        with context.catalog.read() as connection:
            told = connection.execute(
                select(subscription.c.target).join(delivery).order_by(subscription.c.id)
            ).scalars()
            assert list(told) == ["ann@example.org", "owner@example.org"]


def test_mail_is_not_promised_where_none_is_sent(site: DataFolder, sent_with: Any) -> None:
    sent_with(smtp_host="")
    with context_of(site) as context:
        with pytest.raises(Usage) as caught:
            subscribe(context, kind="email", target="ann@example.org", states=["placed"])
        assert caught.value.code == "mail_off"
        assert subscribe(context, kind="webhook", target="http://127.0.0.1:9/x", states=["placed"]).kind == "webhook"


@pytest.mark.postgresql
def test_asking_is_checked(site: DataFolder, sent_with: Any) -> None:
    with context_of(site) as context:
        for values, code in (
            ({"kind": "sms"}, "kind_unknown"),
            ({"states": []}, "states_unknown"),
            ({"states": ["done"]}, "states_unknown"),
            ({"target": "nobody"}, "address_invalid"),
            ({"kind": "webhook", "target": "ftp://x"}, "url_invalid"),
        ):
            with pytest.raises(Usage) as caught:
                subscribe(context, **{"kind": "email", "target": "a@b.org", "states": ["placed"], **values})  # type: ignore[arg-type]
            assert caught.value.code == code
        for _ in range(subscriptions.MAX_SUBSCRIPTIONS):
            subscribe(context, kind="email", target="a@b.org", states=["placed"])
        with pytest.raises(Usage) as caught:
            subscribe(context, kind="email", target="a@b.org", states=["placed"])
        assert caught.value.code == "subscriptions_many"
        with context.catalog.read() as connection:
            mine = list_subscriptions(connection, context)
        with context_of(site, "eve") as eve:
            with pytest.raises(AccessDenied):
                unsubscribe(eve, mine[0].id)
            with pytest.raises(AccessDenied):
                subscribe(
                    replace(eve, principal=replace(eve.principal, roles={"P": Role.MEMBER})),
                    kind="email", target="a@b.org", states=["placed"], project_name="P",
                )  # fmt: skip
        unsubscribe(context, mine[0].id)
        with context.catalog.read() as connection:
            assert len(list_subscriptions(connection, context)) == subscriptions.MAX_SUBSCRIPTIONS - 1


# -- the sending -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("labels", [False, True])
def test_a_mail_says_it_in_plain_words(site: DataFolder, sent_with: Any, labels: bool) -> None:
    with context_of(site) as context, smtp_sink() as box:
        sent_with(smtp_host="127.0.0.1", smtp_port=box.port, public_url="https://scans.example.org", labels=labels)
        subscribe(context, kind="email", target="ann@example.org", states=ALL)
        number = ended(context)
        assert send_due_deliveries(context.catalog, SETTINGS).sent == 1
        ((to, mail),) = box.mails
        text = mail.get_content()  # type: ignore[attr-defined]
        assert (to, mail["To"], mail["Subject"]) == ("ann@example.org", "ann@example.org", "Scandock: import placed")
        assert "Files stored: 7" in text
        assert f"https://scans.example.org/imports/{number}" in text.splitlines()
        assert ("DOE_JANE" in text or "jane" in text) is labels
        assert send_due_deliveries(context.catalog, SETTINGS).sent == 0
        assert len(box.mails) == 1


@pytest.mark.parametrize("labels", [False, True])
def test_a_webhook_is_signed(site: DataFolder, sent_with: Any, labels: bool) -> None:
    with context_of(site) as context, http_sink() as hook:
        sent_with(labels=labels, public_url="https://scans.example.org")
        made = subscribe(context, kind="webhook", target=hook.url, states=ALL)
        number = ended(context, "held")
        assert send_due_deliveries(context.catalog, SETTINGS).sent == 1
        ((path, headers, body),) = hook.calls
        told = json.loads(body)
        assert (path, told["import"], told["state"]) == ("/hook?x=1", number, "held")
        assert told["url"] == f"https://scans.example.org/api/v1/imports/{number}"
        assert told["page"] == f"https://scans.example.org/imports/{number}"
        assert (b"DOE_JANE" in body or b"jane" in body) is labels
        moment, mac = (part.split("=", 1)[1] for part in headers["x-scandock-signature"].split(","))
        assert mac == hmac.new((made.secret or "").encode(), f"{moment}.".encode() + body, hashlib.sha256).hexdigest()
        assert headers["x-scandock-subscription"] == made.id
        with context.catalog.read() as connection:
            assert "secret" not in list_subscriptions(connection, context)[0].to_json()


@pytest.mark.postgresql
def test_what_fails_is_tried_again_and_then_shown(site: DataFolder, sent_with: Any) -> None:
    with context_of(site) as context, http_sink() as hook:
        hook.status = 500
        made = subscribe(context, kind="webhook", target=hook.url, states=ALL)
        ended(context)
        for attempt in range(len(RETRY_PAUSES)):
            if attempt:
                send_due_deliveries(context.catalog, SETTINGS)
                assert len(hook.calls) == attempt  # its time has not come
                due(context.catalog)
            assert send_due_deliveries(context.catalog, SETTINGS) == notifications.DeliveryCounts()
            assert len(hook.calls) == attempt + 1
            with context.catalog.read() as connection:
                (told,) = list_deliveries(connection, context, made.id)
                now = connection.execute(select(context.catalog.now())).scalar_one()
            assert (told.state, told.attempts) == ("waiting", attempt + 1)
            assert abs((told.next or 0) - now - RETRY_PAUSES[attempt] * 1000) < 5_000
        due(context.catalog)
        assert send_due_deliveries(context.catalog, SETTINGS).failed == 1
        due(context.catalog)
        assert send_due_deliveries(context.catalog, SETTINGS) == notifications.DeliveryCounts()
        with context.catalog.read() as connection:
            (told,) = list_deliveries(connection, context, made.id)
            assert list_subscriptions(connection, context)[0].failed == 1
        assert (told.state, told.error) == ("failed", "The receiver answered 500.")
        assert len(hook.calls) == len(RETRY_PAUSES) + 1


def test_one_that_fails_keeps_no_other_from_being_sent(site: DataFolder, sent_with: Any) -> None:
    with context_of(site) as context, http_sink() as hook, smtp_sink() as box:
        box.refuse = True
        sent_with(smtp_host="127.0.0.1", smtp_port=box.port)
        subscribe(context, kind="email", target="ann@example.org", states=ALL)
        subscribe(context, kind="webhook", target="http://127.0.0.1:1/", states=ALL)
        subscribe(context, kind="webhook", target=hook.url, states=ALL)
        ended(context)
        assert send_due_deliveries(context.catalog, SETTINGS) == notifications.DeliveryCounts(sent=1)
        with context.catalog.read() as connection:
            told = connection.execute(select(delivery.c.state, delivery.c.attempts)).all()
        assert sorted(map(tuple, told)) == [("sent", 1), ("waiting", 1), ("waiting", 1)]


def test_a_redirect_is_not_followed(site: DataFolder, sent_with: Any) -> None:
    with context_of(site) as context, http_sink() as hook:
        hook.status = 302
        subscribe(context, kind="webhook", target=hook.url, states=ALL)
        ended(context)
        assert send_due_deliveries(context.catalog, SETTINGS) == notifications.DeliveryCounts()
        assert len(hook.calls) == 1


@pytest.mark.postgresql
def test_a_worker_that_dies_while_sending_loses_nothing(
    site: DataFolder, sent_with: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with context_of(site) as context, http_sink() as hook:
        subscribe(context, kind="webhook", target=hook.url, states=ALL)
        ended(context)

        def die(*args: Any) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patched:
            patched.setattr(notifications, "post_signed", die)
            with pytest.raises(KeyboardInterrupt):
                send_due_deliveries(context.catalog, SETTINGS)
        assert send_due_deliveries(context.catalog, SETTINGS).sent == 0  # it is taken for a while
        due(context.catalog)
        assert send_due_deliveries(context.catalog, SETTINGS).sent == 1


@pytest.mark.postgresql
def test_an_import_that_is_tried_again_is_told_of_again(site: DataFolder, sent_with: Any) -> None:
    with context_of(site) as context, http_sink() as hook:
        subscribe(context, kind="webhook", target=hook.url, states=ALL)
        number = ended(context, "failed")
        send_due_deliveries(context.catalog, SETTINGS)
        with context.catalog.write() as connection:
            of = connection.execute(select(upload.c.id).where(upload.c.uuid == number)).scalar_one()
            connection.execute(update(upload).where(upload.c.id == of).values(state="placed"))
            enqueue(context.catalog, connection, of, "placed")
        send_due_deliveries(context.catalog, SETTINGS)
        assert [json.loads(body)["state"] for _, _, body in hook.calls] == ["failed", "placed"]


def test_over_http(tmp_path: Path) -> None:
    with serve_in_process(tmp_path / "data") as web, web.client() as client:
        web.account("meg", P="member")
        wanted = {"kind": "webhook", "target": "https://example.org/hook", "states": ["held", "failed"]}
        made = client.post("/api/v1/subscriptions", json=wanted)
        assert made.status_code == 201
        assert len(made.json()["secret"]) > 30
        where = made.headers["location"]
        (listed,) = client.get("/api/v1/subscriptions").json()["items"]
        assert listed["states"] == ["held", "failed"]
        assert client.get(f"{where}/deliveries").json() == {"items": []}
        with web.client("meg") as meg:
            assert meg.delete(where).status_code == 404
            assert meg.post("/api/v1/subscriptions", json={**wanted, "project": "P"}).status_code == 403
        private = client.post("/api/v1/subscriptions", json={**wanted, "target": "http://127.0.0.1/"})
        assert (private.status_code, private.json()["code"]) == (400, "url_invalid")
        assert client.delete(where).status_code == 204
        assert client.get("/api/v1/subscriptions").json() == {"items": []}


# -- damage ------------------------------------------------------------------------------------------------------------


def rot(site: DataFolder, number: int = 0) -> None:
    """Flip a bit in a stored file."""
    victim = sorted((site.data / "archive").rglob("*.dcm"))[number]
    data = bytearray(victim.read_bytes())
    data[-1] ^= 1
    victim.write_bytes(data)


def found(context: ServiceContext, *, mail: bool) -> None:
    """Have everything read again, and what is to be told of it be due."""
    with context.catalog.write() as connection:
        for number in connection.execute(select(session.c.tree_id)).scalars().all():
            mark_for_verification(context.catalog, connection, number)
    verify_some(context.catalog, context.store, 60, plan=VerificationPlan(mail=mail))
    due(context.catalog)


@pytest.mark.postgresql
def test_administrators_hear_of_damage_unasked(site: DataFolder, sent_with: Any) -> None:
    with context_of(site) as context, smtp_sink() as box:
        with context.catalog.write() as connection:
            for name, admin, disabled in (("root", True, False), ("gone", True, True), ("bob", False, False)):
                values = {"name": name, "key": name, "email": f"{name}@example.org", "created": 1, "modified": 1}
                connection.execute(insert(account).values(uuid=new_uuid(), admin=admin, disabled=disabled, **values))
        sent_with(smtp_host="127.0.0.1", smtp_port=box.port, public_url="https://dock.example.org")
        found(context, mail=True)
        assert send_due_deliveries(context.catalog, SETTINGS).sent == 0  # nothing is damaged
        rot(site)
        found(context, mail=False)  # as without mail
        assert send_due_deliveries(context.catalog, SETTINGS).sent == 0
        rot(site, 1)
        found(context, mail=True)
        assert send_due_deliveries(context.catalog, SETTINGS).sent == 1
        ((to, mail),) = box.mails
        assert to == "root@example.org"
        text = mail.as_string()
        for said in ("Files: 2", "Sessions: 1", "https://dock.example.org/admin/damage"):
            assert said in text
        assert "S1" not in text
        found(context, mail=True)  # nothing is new
        assert send_due_deliveries(context.catalog, SETTINGS).sent == 0


@pytest.mark.postgresql
def test_owners_and_projects_hear_of_damage_once_they_ask(site: DataFolder, sent_with: Any) -> None:
    with context_of(site) as context, http_sink() as hook:
        for target, more in (("mine", {}), ("project", {"project_name": "P"})):
            subscribe(context, kind="webhook", target=f"{hook.url}&{target}", states=["damaged"], **more)
        with context_of(site, "eve") as eve:
            subscribe(eve, kind="webhook", target=f"{hook.url}&outcomes", states=["placed"])
        sent_with(labels=True)
        rot(site)
        found(context, mail=False)
        assert send_due_deliveries(context.catalog, SETTINGS).sent == 2
        assert sorted(path.rpartition("&")[2] for path, _, _ in hook.calls) == ["mine", "project"]
        for _, _, body in hook.calls:
            told = json.loads(body)
            assert (told["event"], told["files"], told["sessions"]) == ("damage.found", 1, 1)
            assert [one["label"] for one in told["damage"]] == ["S1"]
        with context.catalog.read() as connection:
            (sent,) = list_deliveries(connection, context, list_subscriptions(connection, context)[0].id)
        assert (sent.import_, sent.state) == (None, "sent")
        rot(site)  # put back from a backup, before who is told of the next file is
        rot(site, 1)
        found(context, mail=False)
        rot(site, 1)
        found(context, mail=False)
        assert send_due_deliveries(context.catalog, SETTINGS).sent == 2
        assert len(hook.calls) == 2  # what is whole again is not told of


def test_what_is_found_while_a_message_is_sent_is_told_in_the_next(
    site: DataFolder, sent_with: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with context_of(site) as context:
        subscribe(context, kind="webhook", target="https://example.org/hook", states=["damaged"])
        sent_with()
        told: list[int] = []

        def post(*sent: Any) -> None:
            told.append(sent[-1]["files"])
            if len(told) == 1:
                rot(site, 1)
                found(context, mail=False)

        monkeypatch.setattr(notifications, "post_signed", post)
        rot(site)
        found(context, mail=False)
        assert send_due_deliveries(context.catalog, SETTINGS).sent == 1
        due(context.catalog)
        assert send_due_deliveries(context.catalog, SETTINGS).sent == 1
        due(context.catalog)
        assert send_due_deliveries(context.catalog, SETTINGS).sent == 0
        assert told == [1, 2]
