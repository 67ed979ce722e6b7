"""The dialect as the application registers it: its routes, in the order in which they are asked, and what is beside."""

from __future__ import annotations

from typing import Final

from scandock.web import urls
from scandock.web.dialect import Dialect
from scandock.web.xnat import (
    accounts,
    anonymization,
    assessors,
    cache,
    creation,
    deletion,
    desktop,
    dicom_receivers,
    dicomdump,
    file_uploads,
    files,
    import_filters,
    import_service,
    inbox,
    login,
    manifests,
    part_creation,
    prearchive,
    prearchive_actions,
    prearchive_services,
    project_users,
    searches,
    server_info,
    session_parts,
    site_preferences,
    tracking,
    tree,
    xml_upload,
)
from scandock.web.xnat.address_middleware import CanonicalAddresses
from scandock.web.xnat.login import add_login_cookies
from scandock.web.xnat.routing import JSESSION, error_response, no_route_response
from scandock.web.xnat.services.cleaning import DIALECT_CLEANERS

ROUTERS: Final = tuple(
    one.routes
    for one in (
        login,
        server_info,
        project_users,
        accounts,
        searches,
        import_filters,
        anonymization,
        site_preferences,
        desktop,
        dicom_receivers,
        prearchive,
        prearchive_actions,
        prearchive_services,
        tree,
        assessors,
        session_parts,
        files,
        dicomdump,
        manifests,
        import_service,
        cache,
        tracking,
        inbox,
        creation,
        part_creation,
        file_uploads,
        xml_upload,
        deletion,
    )
)


DIALECT: Final = Dialect(
    routers=ROUTERS,
    middleware=CanonicalAddresses,
    is_own=urls.is_xnat,
    no_route=no_route_response,
    problem=error_response,
    cookie=JSESSION,
    with_login=add_login_cookies,
    cleaners=DIALECT_CLEANERS,
)
