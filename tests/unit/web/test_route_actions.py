"""Every route of browsing and changing says what it asks the permission matrix, and no other does."""

from __future__ import annotations

from fastapi.routing import APIRoute

from scandock.web.v1.routers import ACTIONS, ROUTERS


def test_every_route_has_its_action():
    routes = [route for router in ROUTERS for route in router.routes if isinstance(route, APIRoute)]
    found = {(method, route.path) for route in routes for method in route.methods or ()}
    assert found == set(ACTIONS)
