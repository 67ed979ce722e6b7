"""Bringing an older catalog up to date (Alembic, imported only when there is something to do).

There are two chains of scripts: `versions` from the baseline on, and `before_baseline`, which ends in it and is read
for catalogs alone that are older (docs/design/0007-tables.md).
"""

from __future__ import annotations

import os
from typing import Literal

from alembic.command import upgrade as alembic_upgrade
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from scandock.catalog.errors import CatalogNewer
from scandock.catalog.migrations import FOLDER

Chain = Literal["versions", "before_baseline"]


def configuration(chain: Chain = "versions") -> Config:
    """Alembic's configuration for one of the chains."""
    config = Config()
    config.set_main_option("script_location", FOLDER.replace("%", "%%"))
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", os.path.join(FOLDER, chain).replace("%", "%%"))
    return config


def check_known(version: str | None) -> None:
    """Raise `Fault` (`catalog_newer`) where a catalog was written by a newer Scandock."""
    if version is not None and not (_has(version, "versions") or _has(version, "before_baseline")):
        raise CatalogNewer(version)


def upgrade(connection: Connection, version: str | None) -> None:
    """Run the migrations from `version` to the newest, within the caller's transaction.

    Raises `Fault` (`catalog_newer`), as `check_same_folder`.
    """
    check_known(version)
    if version is not None and not _has(version, "versions"):
        _run(connection, "before_baseline")
    _run(connection, "versions")


def _has(version: str, chain: Chain) -> bool:
    scripts = ScriptDirectory.from_config(configuration(chain)).walk_revisions()
    return any(script.revision == version for script in scripts)


def _run(connection: Connection, chain: Chain) -> None:
    config = configuration(chain)
    config.attributes["connection"] = connection
    alembic_upgrade(config, "head")
