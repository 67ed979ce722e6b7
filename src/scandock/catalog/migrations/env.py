"""How Alembic runs here: on the connection that the caller hands over, inside its transaction."""

from __future__ import annotations

from alembic import context

from scandock.catalog.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    compare_server_default=True,
    transactional_ddl=False,
)
context.run_migrations()
