"""The dialect of XNAT's clients is registered here, where its folder is there: no other module knows it by name."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scandock.web.dialect import Dialect


def find_dialect() -> Dialect | None:
    """The dialect of `web/xnat`; None of a copy without that folder, or where nothing but its caches is left."""
    spec = find_spec("scandock.web.xnat")
    if spec is None or spec.origin is None:
        return None
    from scandock.web.xnat.registration import DIALECT

    return DIALECT
