"""Every router of pages, in the order in which they are asked."""

from __future__ import annotations

from typing import Final

from scandock.http.pages import activity, assets, browse, entrance, waiting

PAGES: Final = (assets.router, entrance.router, browse.router, activity.router, waiting.router)
