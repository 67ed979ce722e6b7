"""What a dialect adds to the application: addresses that answer as another server's do, on the same services."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request
from starlette.responses import Response
from starlette.types import ASGIApp

from scandock.model.dataclass import dataclass
from scandock.model.errors import ScandockError

if TYPE_CHECKING:
    from scandock.services.cleaning.cleaner import Cleaner, HasServerState


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """A dialect as it is registered (`web.registration`): all that the application knows of it."""

    routers: Sequence[APIRouter]
    """In the order in which they are asked."""
    middleware: Callable[[ASGIApp], ASGIApp]
    is_own: Callable[[str], bool]
    """Whether an address below the server's root is the dialect's, whether or not a route answers there."""
    no_route: Callable[[Request, Exception], Awaitable[Response]]
    """Answers at its addresses where no route does."""
    problem: Callable[[ScandockError], Response]
    """Tells an error of what no route of its own answered."""
    cookie: str
    """The name under which its clients keep a login's secret."""
    with_login: Callable[[Request, Response, str], Response]
    """Adds to an answer what its clients keep of a login, from its secret."""
    cleaners: Sequence[Cleaner[HasServerState]]
    """What it has taken away in the background, behind the server's own (`services/cleaning`)."""


def get_dialect(request: Request) -> Dialect | None:
    """The dialect of the application that a request is for; None where there is none."""
    found: Dialect | None = request.app.state.dialect
    return found
