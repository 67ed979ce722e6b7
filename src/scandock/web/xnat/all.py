"""All routes of the dialect, in the order in which they are asked."""

from __future__ import annotations

from typing import Final

from scandock.web.xnat import (
    about,
    accounts,
    archiving,
    cache,
    deleting,
    desktop,
    files,
    headers,
    importing,
    inbox,
    inside,
    login,
    making,
    making_parts,
    manifests,
    people,
    prearchive,
    prearchive_actions,
    searching,
    tracking,
    tree,
    uploading_files,
    xml_upload,
)

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
        inside,
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
