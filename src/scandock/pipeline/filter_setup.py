"""Which import filters an import has to pass, told without what reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scandock.pipeline.entry_filter import FilterSetup
    from scandock.rules.import_request import ImportRequest


def make_filter_setup(
    request: ImportRequest, filters: Mapping[str, str], *, has_mapping: bool = False
) -> FilterSetup | None:
    """The filters that an import may have to pass: of one project where all goes there, else those of all.

    `filters`: those that are switched on, by project; that of the site by "".
    """
    is_decided = request.project is not None and request.mapping_path is None and not has_mapping
    projects = {
        name: text
        for name, text in filters.items()
        if name and (not is_decided or name.casefold() == str(request.project).casefold())
    }
    if not projects and "" not in filters:
        return None
    return {"site": filters.get(""), "projects": projects, "is_decided": is_decided}
