"""Every router of pages, in the order in which they are asked."""

from __future__ import annotations

from typing import Final

from scandock.web.pages import (
    account,
    activity,
    administration,
    assets,
    browse,
    changing,
    damage,
    deciding,
    entrance,
    looking,
    manifests,
    project_settings,
    receipt,
    session_links,
    trail,
    upload,
    waiting,
)

PAGES: Final = (
    assets.router,
    entrance.router,
    browse.router,
    looking.router,
    changing.router,
    activity.router,
    receipt.router,
    waiting.router,
    deciding.router,
    project_settings.router,
    trail.router,
    damage.router,
    account.router,
    administration.router,
    upload.router,
)

CLIENT_PAGES: Final = (session_links.router, manifests.router)
"""What leads people from XNAT's Desktop Client here, and to it: of no use where its dialect is not there."""
