"""Getting past the guards as only the database's owner can, and leaving the schema as it was."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, create_engine, text
from sqlalchemy.pool import NullPool


@contextmanager
def without_guards(url: str) -> Iterator[Connection]:
    """A connection on which no trigger fires; afterwards all are back, character by character."""
    engine = create_engine(url, poolclass=NullPool)
    with engine.begin() as connection:
        lift, restore = _SQLITE if engine.dialect.name == "sqlite" else _POSTGRESQL
        names = [(row[0], row[1]) for row in connection.execute(text(lift))]
        for name, definition in names:
            if restore:
                connection.execute(text(f"ALTER TABLE {definition} DISABLE TRIGGER {name}"))
            else:
                connection.execute(text(f"DROP TRIGGER {name}"))
        yield connection
        for name, definition in names:
            if restore:
                connection.execute(text(f"ALTER TABLE {definition} ENABLE ALWAYS TRIGGER {name}"))
            else:
                connection.exec_driver_sql(definition)


_SQLITE = ("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'", False)
_POSTGRESQL = (
    "SELECT tgname, tgrelid::regclass::text FROM pg_trigger WHERE NOT tgisinternal",
    True,
)
