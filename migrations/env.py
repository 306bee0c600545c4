"""Runs the schema versions of a store.

`audit.migrate` hands in its connection, which holds the write lock; `alembic` on the command line
takes the database that the settings name.
"""

from alembic import context
from sqlalchemy import Connection

from audit.database import open_database
from audit.settings import AuditSettings
from audit.tables import metadata


def run(connection: Connection) -> None:
    """Run what `alembic` was asked for over `connection`."""
    context.configure(connection=connection, target_metadata=metadata)
    context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:
    with open_database(AuditSettings().url).writing() as own:
        run(own)
