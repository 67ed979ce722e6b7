"""Every router of pages, in the order in which they are asked."""

from __future__ import annotations

from typing import Final

from scandock.web.pages import (
    account,
    activity,
    administration,
    assets,
    audit_log,
    browse,
    damage,
    import_filter,
    import_page,
    login,
    manifests,
    ohif,
    ohif_files,
    peers,
    prearchive,
    prearchive_actions,
    privacy,
    privacy_script,
    project_settings,
    receipt,
    receivers,
    routing_rules,
    session_actions,
    session_links,
    session_pages,
    upload,
)

PAGES: Final = (
    assets.router,
    login.router,
    browse.router,
    session_pages.router,
    session_actions.router,
    activity.router,
    import_page.router,
    receipt.router,
    prearchive.router,
    prearchive_actions.router,
    project_settings.router,
    import_filter.router,
    privacy.router,
    privacy_script.router,
    audit_log.router,
    damage.router,
    account.router,
    administration.router,
    routing_rules.router,
    receivers.router,
    peers.router,
    upload.router,
    ohif_files.router,
    ohif.router,
)

CLIENT_PAGES: Final = (session_links.router, manifests.router)
"""What leads people from XNAT's Desktop Client here, and to it: of no use where its dialect is not there."""
