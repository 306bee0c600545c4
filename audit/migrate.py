"""Schema versions of a store: running them, and knowing the schema again.

Decides when migrations run (an embedded database by whoever opens it; a served one by
`modelwitness migrate`, as its owner) and what a schema's fingerprint is: SHA-256 over every table,
index and trigger as the database itself describes them. The last SchemaMigrated event holds it,
so that a guard dropped behind our back is seen.
"""

from hashlib import sha256
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from audit.database import Database
from audit.errors import AuditError

_SQLITE = "SELECT type, name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%' ORDER BY 1, 2"
_POSTGRESQL = """
WITH ours AS (SELECT oid, relname FROM pg_class
              WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r')
SELECT 'trigger' AS kind, relname || '.' || tgname AS name,
       tgenabled::text || pg_get_triggerdef(t.oid) AS text
  FROM pg_trigger t JOIN ours ON ours.oid = tgrelid WHERE NOT tgisinternal
UNION ALL
SELECT 'column', relname || '.' || attname, atttypid::regtype::text || attnotnull::text
  FROM pg_attribute JOIN ours ON ours.oid = attrelid WHERE attnum > 0 AND NOT attisdropped
UNION ALL
SELECT 'index', relname || '.' || indexrelid::regclass::text, pg_get_indexdef(indexrelid)
  FROM pg_index JOIN ours ON ours.oid = indrelid
UNION ALL
SELECT 'function', proname, prosrc FROM pg_proc WHERE pronamespace = current_schema()::regnamespace
ORDER BY 1, 2
"""


class NotMigrated(AuditError):
    """The database is at another schema version than this program."""


def migrate(database: Database, app_role: str | None = None) -> None:
    """Bring the database to this program's schema version, in one transaction."""
    config = _config()
    with database.writing() as connection:
        if MigrationContext.configure(connection).get_current_revision() == _newest(config):
            return
        config.attributes["connection"] = connection
        config.attributes["app_role"] = app_role
        command.upgrade(config, "head")


def require_newest(database: Database) -> None:
    """Raise `NotMigrated` unless the database is at this program's schema version."""
    with database.reading() as connection:
        found = MigrationContext.configure(connection).get_current_revision()
    wanted = _newest(_config())
    if found != wanted:
        raise NotMigrated(
            f"the database is at schema version {found}, this program needs {wanted}:"
            " run modelwitness migrate as the owner of the database"
        )


def fingerprint(connection: Connection) -> str:
    """Return the hex SHA-256 of the schema, guards included, as it is now."""
    query = _SQLITE if connection.dialect.name == "sqlite" else _POSTGRESQL
    digest = sha256()
    for row in connection.execute(text(query)):
        digest.update("\x1f".join(str(value) for value in row).encode() + b"\x1e")
    return digest.hexdigest()


def revision(connection: Connection) -> str:
    """Return the schema version that the database says it has; "" for none."""
    return MigrationContext.configure(connection).get_current_revision() or ""


def _config() -> Config:
    here = Path(__file__).resolve().parent
    installed = here / "_migrations"  # where the wheel puts them
    config = Config()
    config.set_main_option(
        "script_location", str(installed if installed.is_dir() else here.parent / "migrations")
    )
    return config


def _newest(config: Config) -> str | None:
    return ScriptDirectory.from_config(config).get_current_head()
