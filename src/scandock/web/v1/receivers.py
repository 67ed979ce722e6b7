"""/api/v1/receivers: what DICOM senders associate with, for administrators; owners read those of their projects."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, cast

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from scandock.model.import_types import Destination
from scandock.model.receivers import MAX_PORT
from scandock.model.reception import ReceptionSettings, StudyWish
from scandock.services.pagination import LIMIT, MAX_LIMIT, Sorting
from scandock.services.received_status import (
    Association,
    OpenStudy,
    ReceiverState,
    ask_for_study,
    list_associations,
    list_open_studies,
    list_states,
)
from scandock.services.receiver_records import Certificates, ClosingRule, Receiver, ReceiverChanges
from scandock.services.receivers import (
    MAX_ALLOW_ENTRIES,
    MAX_ALLOW_ENTRY,
    MAX_LABEL,
    MAX_RULES,
    add_receiver,
    find_receiver,
    list_receivers,
    remove_receiver,
    set_receiver,
)
from scandock.web import urls
from scandock.web.json_lists import ListOf, PageOf
from scandock.web.request_context import Maybe, RequestContext, SignedContext, list_response, record_response
from scandock.web.v1.openapi_keywords import etag_keywords, location_keywords

router = APIRouter(prefix="/api/v1/receivers", tags=["receivers"])

AeTitle = Annotated[str, Field(min_length=1, max_length=64, description="1 to 16 characters, no backslash")]
Port = Annotated[int, Field(ge=1, le=MAX_PORT)]
_Entry = Annotated[str, Field(max_length=MAX_ALLOW_ENTRY, description="AE, CIDR or AE@CIDR")]
_Rules = Annotated[str, Field(max_length=MAX_RULES)]

_NULLABLE: Final = frozenset({"project", "destination", "idle_seconds", "max_associations", "max_object_bytes"})
"""Fields in which null says something: no project, or the setting of the server."""


class ReceiverFields(BaseModel):
    """What is set of a receiver; what is not named stays, or has its default."""

    model_config = ConfigDict(extra="forbid")

    host: Annotated[str, Field(max_length=255)] | None = None
    bind: Annotated[str, Field(max_length=64)] | None = None
    enabled: bool | None = None
    label: Annotated[str, Field(max_length=MAX_LABEL)] | None = None
    tls: bool | None = None
    client_certificates: Certificates | None = None
    allow_list: Annotated[list[_Entry], Field(max_length=MAX_ALLOW_ENTRIES)] | None = None
    allow_list_enabled: bool | None = None
    project: Annotated[str, Field(min_length=1, max_length=74)] | None = None
    destination: Destination | None = None
    account: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    closing: ClosingRule | None = None
    idle_seconds: int | None = None
    max_associations: int | None = None
    max_object_bytes: int | None = None
    anonymize: bool | None = None
    rules_enabled: bool | None = None
    project_rules: _Rules | None = None
    subject_rules: _Rules | None = None
    session_rules: _Rules | None = None

    def changes(self) -> ReceiverChanges:
        """What was named; a null is as not named where it says nothing."""
        named: dict[str, Any] = self.model_dump(exclude_unset=True)
        kept = {name: value for name, value in named.items() if value is not None or name in _NULLABLE}
        return cast("ReceiverChanges", kept)


class NewReceiver(ReceiverFields):
    """A receiver to be made; it acts for your account unless another one is named."""

    ae_title: AeTitle
    port: Port


class ChangedReceiver(ReceiverFields):
    """What is changed of a receiver."""

    ae_title: AeTitle | None = None
    port: Port | None = None


@router.get("", summary="DICOM receivers", response_model=ListOf[Receiver])
async def list_all(context: SignedContext, project: Maybe = None) -> Response:
    """By port and AE title: all to administrators, to others those of the projects that they own."""
    receivers = await context.read(lambda c: list_receivers(c, context.service_context.principal, project))
    return list_response([Receiver.of(one, _reception(context)) for one in receivers])


@router.post("", summary="Make a DICOM receiver", response_model=Receiver, **location_keywords())
async def create(context: SignedContext, body: NewReceiver) -> Response:
    """It listens within two seconds. 409 `receiver_exists`, `receiver_port_shared`; 400 `receiver_invalid`."""
    receiver = await context.run(lambda: add_receiver(context.service_context, body.changes()))
    location = urls.root_of(context.request.scope) + urls.api_receiver(receiver.uuid)
    return record_response(Receiver.of(receiver, _reception(context)), 201, {"Location": location})


@router.get("/states", summary="Whether receivers listen", response_model=ListOf[ReceiverState])
async def states(context: SignedContext, project: Maybe = None) -> Response:
    """Of the receivers that you may read, in the same order."""
    principal = context.service_context.principal
    return list_response(await context.read(lambda c: list_states(c, principal, project)))


@router.get("/studies", summary="Studies that are being received", response_model=ListOf[OpenStudy])
async def studies(context: SignedContext, project: Maybe = None) -> Response:
    """The newest first, 500 at most. Each has the id of the import that it will be."""
    principal = context.service_context.principal
    return list_response(await context.read(lambda c: list_open_studies(c, principal, project)))


@router.post(
    "/studies/{id}/{wish}", status_code=202, summary="Import a study now, or discard it", response_class=Response
)
async def ask(context: SignedContext, id: str, wish: Literal["close", "discard"]) -> Response:  # noqa: A002
    """Its receiver does it within a few seconds; by who may cancel the import. One that waits for its import, or whose
    import runs, can be discarded, too.

    409 `study_not_receiving`, `study_host_silent`, `import_placing`, `import_ended`.
    """
    await context.run(lambda: ask_for_study(context.service_context, id, StudyWish(wish)))
    return Response(status_code=202)


@router.get("/associations", summary="The last associations and refusals", response_model=PageOf[Association])
async def associations(
    context: SignedContext,
    project: Maybe = None,
    *,
    refused: Annotated[bool, Query(description="Those alone of which something was refused")] = False,
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = LIMIT,
    cursor: Annotated[str | None, Query(max_length=2000)] = None,
) -> Response:
    """The newest first; the last 2,000 are kept. Whom nobody knows, administrators alone see."""
    principal = context.service_context.principal
    sorting = Sorting(sort="-begun", limit=limit, cursor=cursor)
    return await context.page_response(
        lambda c: list_associations(c, principal, sorting, project_name=project, refused=refused)
    )


@router.get("/{receiver}", summary="One receiver", response_model=Receiver, **etag_keywords())
async def read(context: SignedContext, receiver: str) -> Response:
    """For administrators, and the owners of its project."""
    return await context.item_response(
        lambda c: Receiver.of(find_receiver(c, context.service_context.principal, receiver), _reception(context))
    )


@router.patch(
    "/{receiver}", summary="Change a receiver", response_model=Receiver, **etag_keywords(reads=False, matches=True)
)
async def change(context: SignedContext, receiver: str, body: ChangedReceiver) -> Response:
    """In force within two seconds, also for associations that are open."""
    changed = await context.run(
        lambda: set_receiver(context.service_context, receiver, body.changes(), if_match=context.if_match)
    )
    return context.tagged_response(Receiver.of(changed, _reception(context)))


@router.delete("/{receiver}", status_code=204, summary="Remove a receiver")
async def delete(context: SignedContext, receiver: str) -> Response:
    """What it has received is imported."""
    await context.run(lambda: remove_receiver(context.service_context, receiver))
    return Response(status_code=204)


def _reception(context: RequestContext) -> ReceptionSettings:
    return context.service_context.settings.reception
