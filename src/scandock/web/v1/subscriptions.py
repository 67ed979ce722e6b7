"""/api/v1/subscriptions: who is told of outcomes, and how the telling went."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from scandock.model.json_records import ListOf
from scandock.services.subscriptions import (
    Delivery,
    Subscription,
    list_deliveries,
    list_subscriptions,
    subscribe,
    unsubscribe,
)
from scandock.web import urls
from scandock.web.request_context import Maybe, SignedContext, answer, listed
from scandock.web.v1.describing import located

router = APIRouter(prefix="/api/v1/subscriptions", tags=["subscriptions"])

State = Literal["placed", "held", "partly", "refused", "failed", "cancelled", "damaged"]


class Subscribed(BaseModel):
    """What is to be told, and to whom."""

    model_config = ConfigDict(extra="forbid")

    kind: Literal["email", "webhook"]
    target: Annotated[str, Field(min_length=1, max_length=2000, description="An e-mail address, or a URL")]
    states: Annotated[list[State], Field(min_length=1, max_length=7)]
    project: Annotated[str, Field(min_length=1, max_length=74)] | None = None


@router.get("", summary="Your subscriptions, or a project's", response_model=ListOf[Subscription])
async def list_all(work: SignedContext, project: Maybe = None) -> Response:
    """With how many deliveries wait and have failed."""
    return listed(await work.read(lambda c: list_subscriptions(c, work.context, project)))


@router.post("", summary="Be told of outcomes", response_model=Subscription, **located())
async def create(work: SignedContext, wanted: Subscribed) -> Response:
    """Of your own imports, or of those of a project that you own; a webhook's secret is told here alone."""
    made = await work.do(
        lambda: subscribe(
            work.context,
            kind=wanted.kind,
            target=wanted.target,
            states=wanted.states,
            project_name=wanted.project,
        )
    )
    where = urls.root_of(work.request.scope) + urls.api_subscription(made.id)
    return answer(made, 201, {"Location": where})


@router.delete("/{subscription}", status_code=204, summary="Be told no more")
async def delete(work: SignedContext, subscription: str) -> Response:
    """What waits to be sent is not."""
    await work.do(lambda: unsubscribe(work.context, subscription))
    return Response(status_code=204)


@router.get("/{subscription}/deliveries", summary="What was sent, waits or failed", response_model=ListOf[Delivery])
async def deliveries(
    work: SignedContext, subscription: str, limit: Annotated[int, Query(ge=1, le=500)] = 50
) -> Response:
    """The newest first."""
    found = await work.read(lambda c: list_deliveries(c, work.context, subscription, limit))
    return listed(found)
