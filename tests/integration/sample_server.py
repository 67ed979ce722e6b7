"""A DATA with one of everything in projects of every accessibility, and an account of every kind that asks for it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import insert, select, update

from scandock.access import accounts, members, tokens
from scandock.access.principal import SYSTEM
from scandock.catalog.projects import ProjectRow, add_project
from scandock.catalog.server_tables import project_access, receiver, reception, subscription
from scandock.catalog.tables import project, session, subject, tree, upload
from scandock.model.limits import Limits
from scandock.queue.claim import LONGEST_RETRY_MS, SlotUsage, claim
from scandock.queue.owner import this_owner
from scandock.rules.permissions import Accessibility, Role, Scope
from scandock.services.context import ServiceContext
from scandock.services.ohif import install_ohif
from scandock.services.receiver_records import ReceiverChanges
from scandock.services.receivers import add_receiver
from scandock.services.settings import Settings, load_settings
from scandock.services.subscriptions import subscribe
from scandock.services.trash import delete_session
from scandock.workers.attempt import AttemptRequest, run_attempt
from tests.builders import Image, uploader_layout, zip_entries
from tests.integration.ohif_packages import make_package
from tests.integration.upload_server import UploadServer
from tests.integration.web import Web, serve_in_process, settings_with_mail
from tests.shared_folders import make_once

CANARY = "Zebra"
"""Stands in every label, name and text of the private project, its id among them, and nowhere else."""
TUS = {"Tus-Resumable": "1.0.0"}
PLACES = "places.json"


@dataclass(frozen=True)
class Persona:
    """Somebody who asks; `role` is theirs in every project, `owns` says that the imports are theirs."""

    name: str
    role: Role | None = None
    scope: Scope = Scope.ALL
    admin: bool = False
    signed_in: bool = True
    owns: bool = False


PERSONAS = (
    Persona("anonymous", signed_in=False),
    Persona("stranger"),
    Persona("collaborator", Role.COLLABORATOR),
    Persona("member", Role.MEMBER),
    Persona("uploader", Role.MEMBER, owns=True),
    Persona("owner", Role.OWNER),
    Persona("reading", Role.OWNER, Scope.READ),
    Persona("uploading", Role.OWNER, Scope.UPLOAD),
    Persona("admin", admin=True),
)


@dataclass(kw_only=True)
class SampleProject:
    """A project and the ids of what is in it; empty where `Unassigned` has none."""

    project: str
    accessibility: Accessibility
    ended: str
    """An import that has ended, of the account `uploader`."""
    received: str
    """One that waits for a worker, which there is not."""
    waiting: str
    archived: str = ""
    subject: str = ""
    trashed: str = ""

    @property
    def unassigned(self) -> bool:
        return not self.archived


@dataclass(kw_only=True)
class SampleServer:
    """A server with one of everything; `clients` by the name of who asks."""

    web: Web
    places: list[SampleProject]
    clients: dict[str, httpx.Client] = field(default_factory=dict)
    told: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What a session's record says, by its id."""
    begun: dict[str, str] = field(default_factory=dict)
    """The resumable upload that is under way, by project."""
    perhaps_gone: set[str] = field(default_factory=set)
    """The projects whose resumable upload somebody was asked to end."""

    def record(self, session: str) -> dict[str, Any]:
        """A session's record as an administrator sees it, asked once: nobody here changes one."""
        if session not in self.told:
            self.told[session] = self.clients["admin"].get(f"/api/v1/sessions/{session}").json()
        return self.told[session]

    def folder(self, place: SampleProject) -> str:
        """The path of the archived session of a project, as people mount it."""
        return f"{place.project}/{self.record(place.archived)['label']}/"

    def note(self, place: SampleProject) -> str:
        """The path of a file of that session."""
        word = place.project.removesuffix("_project")
        return f"{self.folder(place)}resources/NOTES/files/{word}.txt"

    def subscribed(self, place: SampleProject) -> str:
        """A subscription of a project, the only one that it has."""
        site = self.web.site
        context = ServiceContext(site.catalog, site.store, site.settings, SYSTEM)
        with site.catalog.write() as connection:
            connection.execute(subscription.delete())
        return str(
            subscribe(
                context,
                kind="webhook",
                target="https://example.org/hook",
                states=["failed"],
                project_name=place.project,
            ).id
        )

    def receiver(self, place: SampleProject) -> str:
        """A DICOM receiver of a project, the only one that there is; it is off, so that no port is needed."""
        site = self.web.site
        context = ServiceContext(site.catalog, site.store, site.settings, SYSTEM)
        with site.catalog.write() as connection:
            connection.execute(receiver.delete())
        changes = ReceiverChanges(
            ae_title="SAMPLE", port=11112, enabled=False, project=place.project, account="uploader"
        )
        return add_receiver(context, changes).uuid

    def receiving(self, place: SampleProject, *, to_end: bool = False) -> str:
        """A resumable upload of `uploader` that has no byte yet; `to_end` says that who is given it may end it."""
        name = place.project
        client = self.clients["uploader"]
        if name in self.perhaps_gone:  # one account may have so many under way
            client.delete(f"/api/v1/uploads/{self.begun.pop(name)}", headers=TUS)
            self.perhaps_gone.remove(name)
        if name not in self.begun:
            named = {} if place.unassigned else {"Upload-Metadata": f"project {_base64(name)}"}
            answer = client.post("/api/v1/uploads", headers={**TUS, "Upload-Length": "9", **named})
            assert answer.status_code == 201, answer.text
            self.begun[name] = answer.headers["location"].rpartition("/")[2]
        if to_end:
            self.perhaps_gone.add(name)
        return self.begun[name]

    def token(self, name: str) -> str:
        """The alias of a further token of an account."""
        with self.web.site.catalog.write() as connection:
            return tokens.issue(connection, accounts.get(connection, name), scope=Scope.READ).alias


def _base64(text: str) -> str:
    import base64

    return base64.b64encode(text.encode()).decode()


@contextmanager
def serve_samples(
    root: Path, serve: Callable[[Path, Settings], AbstractContextManager[Web]] = serve_in_process
) -> Iterator[SampleServer]:
    """Serve a DATA of one's own, with all of it made by real imports."""
    data, places = _sample_data()
    shutil.copytree(data, root / "data")
    with serve(root / "data", settings_with_mail()) as web:
        install_ohif(web.site.data, str(make_package(root / "ohif.tgz")), Limits())
        server = SampleServer(web=web, places=list(places))
        try:
            for persona in PERSONAS:
                server.clients[persona.name] = _client(web, persona)
            yield server
        finally:
            for client in server.clients.values():
                client.close()


@cache
def _sample_data() -> tuple[Path, tuple[SampleProject, ...]]:
    """A DATA with it all, to be copied."""
    folder = make_once("everyone", _import_all)
    places = json.loads((folder / PLACES).read_text())
    known = [SampleProject(**{**values, "accessibility": Accessibility(values["accessibility"])}) for values in places]
    return folder / "data", tuple(known)


def _import_all(folder: Path) -> None:
    server = UploadServer(folder / "data")
    people = _make_accounts(server)
    server.accounts["uploader"] = people["uploader"]
    try:
        places = [_make_project(server, people, kind) for kind in Accessibility]
        places.append(_make_unassigned(server))
        with server.catalog.write() as connection:
            connection.execute(project.delete().where(project.c.name == "P"))  # who serves makes it, too
    finally:
        server.close()
    (folder / PLACES).write_text(json.dumps([asdict(place) for place in places]))


def _make_accounts(server: UploadServer) -> dict[str, int]:
    with server.catalog.write() as connection:
        return {
            persona.name: accounts.create(connection, persona.name).id
            for persona in PERSONAS
            if persona.signed_in and not persona.admin  # `admin` is made by who serves
        }


def _client(web: Web, persona: Persona) -> httpx.Client:
    headers = {}
    if persona.signed_in:
        with web.site.catalog.write() as connection:
            issued = tokens.issue(connection, accounts.get(connection, persona.name), scope=persona.scope)
        headers["Authorization"] = f"Bearer {issued.bearer}"
    return web.asking(headers=headers)


def _make_project(server: UploadServer, people: Mapping[str, int], kind: Accessibility) -> SampleProject:
    word = CANARY if kind is Accessibility.PRIVATE else kind.value.capitalize()
    name = f"{word}_project"
    add_project(server.catalog, ProjectRow(name=name, title=f"{word} title"))
    with server.catalog.write() as connection:
        number = connection.execute(select(project.c.id).where(project.c.name == name)).scalar_one()
        connection.execute(insert(project_access).values(project_id=number, accessibility=kind))
        for persona in PERSONAS:
            if persona.role is not None:
                members.set_role(connection, name, accounts.get(connection, persona.name), persona.role)
    uuids = [
        server.send(
            _archive(word, n), by="uploader", name=f"{word}.zip", project=name, session=f"{word}_{label}", **how
        )
        for n, (label, how) in enumerate({"kept": {}, "waits": {"destination": "prearchive"}, "gone": {}}.items())
    ]
    _import(server)
    for uuid in uuids:
        assert server.state(uuid) == "placed", server.row(uuid)
    received = server.receive(b"x", by="uploader", name=f"{word}_later.zip", project=name)
    _hold_waiting(server, received)
    with server.catalog.write() as connection:
        ids = [server.id(uuid) for uuid in (*uuids, received)]
        connection.execute(update(reception).where(reception.c.upload_id.in_(ids)).values(project_id=number))
    archived, waits, deleted = (_session(server, uuid) for uuid in uuids)
    delete_session(ServiceContext(server.catalog, server.store, load_settings(), SYSTEM), deleted)
    with server.catalog.read() as connection:
        person = connection.execute(
            select(subject.c.uuid).join(session, session.c.subject_id == subject.c.id).where(session.c.uuid == archived)
        ).scalar_one()
    return SampleProject(
        project=name, accessibility=kind, ended=uuids[0], received=received,
        archived=archived, subject=person, waiting=waits, trashed=deleted,
    )  # fmt: skip


def _make_unassigned(server: UploadServer) -> SampleProject:
    """What `uploader` sent without saying where to."""
    uuid = server.send(_archive("Routed", 0), by="uploader", project=None)
    _import(server)
    assert server.state(uuid) == "placed", server.row(uuid)
    received = server.receive(b"x", by="uploader", project=None)
    _hold_waiting(server, received)
    kind = Accessibility.PRIVATE
    return SampleProject(
        project="Unassigned", accessibility=kind, ended=uuid, received=received, waiting=_session(server, uuid)
    )


def _import(server: UploadServer) -> None:
    """Run what has been accepted, as a worker does, but in this process."""
    settings = load_settings().model_copy(update={"workers": 1})
    while (claimed := claim(server.catalog, this_owner(), SlotUsage(total=1))) is not None:
        order = AttemptRequest(
            data=str(server.data),
            upload=claimed.lease.uuid,
            token=claimed.lease.token,
            previous=claimed.previous,
            attempt=claimed.attempt,
            exhausted=claimed.exhausted,
            reason=claimed.reason,
        )
        run_attempt(order, settings)


def _hold_waiting(server: UploadServer, uuid: str) -> None:
    """Let an upload have been accepted, for no worker to take."""
    with server.catalog.write() as connection:
        number = server.id(uuid)
        connection.execute(update(upload).where(upload.c.id == number).values(state="received"))
        later = server.catalog.now() + LONGEST_RETRY_MS
        connection.execute(update(reception).where(reception.c.upload_id == number).values(accepted=1, retry_at=later))


def _session(server: UploadServer, uuid: str) -> str:
    with server.catalog.read() as connection:
        return str(
            connection.execute(
                select(session.c.uuid).join(tree, tree.c.id == session.c.tree_id)
                .where(tree.c.upload_id == server.id(uuid))
            ).scalar_one()
        )  # fmt: skip


def _archive(word: str, study: int) -> bytes:
    values: dict[str, Any] = {"case": word, "study": study, "patient_id": f"{word}_{study}".encode()}
    image = Image(**values, patient_name=f"{word}^{word}".encode())
    return zip_entries(
        {**uploader_layout(f"{word}S", "1", [image.file()]), f"{word}S/resources/NOTES/files/{word}.txt": b"note"}
    )
