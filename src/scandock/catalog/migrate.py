"""Bringing an older catalog up to date (Alembic, imported only when there is something to do)."""

from __future__ import annotations

from pathlib import Path

from alembic.command import upgrade as alembic_upgrade
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from scandock.catalog.errors import CatalogNewer


def configuration() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config


def check_known(version: str | None) -> None:
    """Raise `Fault` (`catalog_newer`) where a catalog was written by a newer Scandock."""
    known = {script.revision for script in ScriptDirectory.from_config(configuration()).walk_revisions()}
    if version is not None and version not in known:
        raise CatalogNewer(version)


def upgrade(connection: Connection, version: str | None) -> None:
    """Run the migrations from `version` to the newest, within the caller's transaction.

    Raises `Fault` (`catalog_newer`), as `check_known`.
    """
    check_known(version)
    config = configuration()
    config.attributes["connection"] = connection
    alembic_upgrade(config, "head")
