"""The dialect as the application registers it: its routes, in the order in which they are asked, and what is beside."""

from __future__ import annotations

from typing import Final

from scandock.web import urls
from scandock.web.dialect import Dialect
from scandock.web.xnat import (
    about,
    accounts,
    archiving,
    assessors,
    cache,
    deleting,
    desktop,
    files,
    headers,
    importing,
    inbox,
    login,
    making,
    making_parts,
    manifests,
    people,
    prearchive,
    prearchive_actions,
    searching,
    session_parts,
    tracking,
    tree,
    uploading_files,
    xml_upload,
)
from scandock.web.xnat.login import with_login
from scandock.web.xnat.one_tree import OneTree
from scandock.web.xnat.routing import JSESSION, no_route, told
from scandock.web.xnat.services.cleaning import OF_DIALECT

ROUTERS: Final = tuple(
    one.routes
    for one in (
        login,
        about,
        people,
        accounts,
        searching,
        desktop,
        prearchive,
        prearchive_actions,
        archiving,
        tree,
        assessors,
        session_parts,
        files,
        headers,
        manifests,
        importing,
        cache,
        tracking,
        inbox,
        making,
        making_parts,
        uploading_files,
        xml_upload,
        deleting,
    )
)


DIALECT: Final = Dialect(
    routers=ROUTERS,
    middleware=OneTree,
    is_own=urls.is_xnat,
    no_route=no_route,
    problem=told,
    cookie=JSESSION,
    with_login=with_login,
    cleaners=OF_DIALECT,
)
