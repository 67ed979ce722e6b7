"""/api/v1/peers: DICOM application entities that Scandock calls, for administrators."""

from __future__ import annotations

from typing import Annotated, cast

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from scandock.services.peers import MAX_LABEL, add_peer, echo_peer, find_peer, list_peers, remove_peer, set_peer
from scandock.services.receiver_records import Peer, PeerChanges, PeerEcho
from scandock.web import urls
from scandock.web.json_lists import ListOf
from scandock.web.request_context import SignedContext, list_response, record_response
from scandock.web.v1.openapi_keywords import etag_keywords, location_keywords
from scandock.web.v1.receivers import AeTitle, Port

router = APIRouter(prefix="/api/v1/peers", tags=["receivers"])

_Host = Annotated[str, Field(min_length=1, max_length=255, description="Its name or address")]
_Label = Annotated[str, Field(max_length=MAX_LABEL)]


class NewPeer(BaseModel):
    """A peer to be made."""

    model_config = ConfigDict(extra="forbid")

    ae_title: AeTitle
    host: _Host
    port: Port
    tls: bool = False
    label: _Label = ""


class ChangedPeer(BaseModel):
    """What is changed of a peer; what is not named stays."""

    model_config = ConfigDict(extra="forbid")

    ae_title: AeTitle | None = None
    host: _Host | None = None
    port: Port | None = None
    tls: bool | None = None
    label: _Label | None = None


@router.get("", summary="DICOM peers", response_model=ListOf[Peer])
async def list_all(context: SignedContext) -> Response:
    """By AE title."""
    peers = await context.read(lambda c: list_peers(c, context.service_context.principal))
    return list_response([Peer.of(one) for one in peers])


@router.post("", summary="Make a DICOM peer", response_model=Peer, **location_keywords())
async def create(context: SignedContext, body: NewPeer) -> Response:
    """409 `peer_exists`; 400 `peer_invalid`."""
    changes = cast("PeerChanges", body.model_dump())
    peer = await context.run(lambda: add_peer(context.service_context, changes))
    location = urls.root_of(context.request.scope) + urls.api_peer(peer.uuid)
    return record_response(Peer.of(peer), 201, {"Location": location})


@router.get("/{peer}", summary="One peer", response_model=Peer, **etag_keywords())
async def read(context: SignedContext, peer: str) -> Response:
    """404 where there is none."""
    return await context.item_response(lambda c: Peer.of(find_peer(c, context.service_context.principal, peer)))


@router.patch("/{peer}", summary="Change a peer", response_model=Peer, **etag_keywords(reads=False, matches=True))
async def change(context: SignedContext, peer: str, body: ChangedPeer) -> Response:
    """With If-Match only what you have read."""
    changes = cast("PeerChanges", body.model_dump(exclude_none=True))
    changed = await context.run(lambda: set_peer(context.service_context, peer, changes, if_match=context.if_match))
    return context.tagged_response(Peer.of(changed))


@router.post("/{peer}/echo", summary="Call a peer by C-ECHO", response_model=PeerEcho)
async def echo(context: SignedContext, peer: str) -> Response:
    """502 `dicom_peer_failed` where it can't be reached, rejects us or does not answer; the sentence says why."""
    return record_response(await context.run(lambda: echo_peer(context.service_context, peer)))


@router.delete("/{peer}", status_code=204, summary="Remove a peer")
async def delete(context: SignedContext, peer: str) -> Response:
    """Reports of storage commitment have nowhere to go then."""
    await context.run(lambda: remove_peer(context.service_context, peer))
    return Response(status_code=204)
