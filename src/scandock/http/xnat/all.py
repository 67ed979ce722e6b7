"""All routes of the dialect, in the order in which they are asked."""

from __future__ import annotations

from typing import Final

from scandock.http.xnat import about, files, importing, inside, login, tree

ROUTERS: Final = tuple(one.routes for one in (login, about, tree, inside, files, importing))
