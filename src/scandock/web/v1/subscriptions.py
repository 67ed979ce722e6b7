"""/api/v1/subscriptions: who is told of outcomes, and how the telling went."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from scandock.services.subscriptions import (
    Delivery,
    Subscription,
    list_deliveries,
    list_subscriptions,
    subscribe,
    unsubscribe,
)
from scandock.web import urls
from scandock.web.json_lists import ListOf
from scandock.web.request_context import Maybe, SignedContext, list_response, record_response
from scandock.web.v1.openapi_keywords import location_keywords

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
async def list_all(context: SignedContext, project: Maybe = None) -> Response:
    """With how many deliveries wait and have failed."""
    return list_response(await context.read(lambda c: list_subscriptions(c, context.service_context, project)))


@router.post("", summary="Be told of outcomes", response_model=Subscription, **location_keywords())
async def create(context: SignedContext, body: Subscribed) -> Response:
    """Of your own imports, or of those of a project that you own; a webhook's secret is told here alone."""
    subscription = await context.run(
        lambda: subscribe(
            context.service_context,
            kind=body.kind,
            target=body.target,
            states=body.states,
            project_name=body.project,
        )
    )
    location = urls.root_of(context.request.scope) + urls.api_subscription(subscription.id)
    return record_response(subscription, 201, {"Location": location})


@router.delete("/{subscription}", status_code=204, summary="Be told no more")
async def delete(context: SignedContext, subscription: str) -> Response:
    """What waits to be sent is not."""
    await context.run(lambda: unsubscribe(context.service_context, subscription))
    return Response(status_code=204)


@router.get("/{subscription}/deliveries", summary="What was sent, waits or failed", response_model=ListOf[Delivery])
async def deliveries(
    context: SignedContext, subscription: str, limit: Annotated[int, Query(ge=1, le=500)] = 50
) -> Response:
    """The newest first."""
    delivery_records = await context.read(lambda c: list_deliveries(c, context.service_context, subscription, limit))
    return list_response(delivery_records)
