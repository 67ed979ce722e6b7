"""All routes of the dialect, in the order in which they are asked."""

from __future__ import annotations

from typing import Final

from scandock.http.xnat import (
    about,
    archiving,
    deleting,
    desktop,
    files,
    importing,
    inside,
    login,
    making,
    making_parts,
    prearchive,
    tree,
    uploading_files,
)

ROUTERS: Final = tuple(
    one.routes
    for one in (
        login,
        about,
        desktop,
        prearchive,
        archiving,
        tree,
        inside,
        files,
        importing,
        making,
        making_parts,
        uploading_files,
        deleting,
    )
)
