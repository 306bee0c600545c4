"""The tables of the first release, and the guards that make them append-only.

The guards are defence in depth: whoever owns the database can remove them, which the fingerprint
in the last SchemaMigrated event shows, and the Merkle tree shows what was changed.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_int = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_key = sa.Text(collation="C").with_variant(sa.Text(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "blind_index",
        sa.Column("kver", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("field", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("tag", sa.LargeBinary(), nullable=False),
        sa.Column("idx", _int, autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("kver", "field", "tag", "idx"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "document",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("key", _key, nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "key"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "entry",
        sa.Column("idx", _int, autoincrement=False, nullable=False),
        sa.Column("leaf", sa.LargeBinary(), nullable=False),
        sa.Column("series", _int, nullable=False),
        sa.Column("event_us", _int, nullable=False),
        sa.PrimaryKeyConstraint("idx"),
    )
    op.create_index("entry_by_series", "entry", ["series", "event_us", "idx"], unique=False)
    op.create_index("entry_by_time", "entry", ["event_us", "idx"], unique=False)
    op.create_table(
        "head",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("size", _int, nullable=False),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.Column("logged_us", _int, nullable=False),
        sa.Column("key_epoch", _int, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "idempotency",
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=True),
        sa.Column("idx", _int, nullable=False),
        sa.PrimaryKeyConstraint("key"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "key_ring",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("version", _int, autoincrement=False, nullable=False),
        sa.Column("root_id", sa.Text(), nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "version"),
    )
    op.create_table(
        "payload",
        sa.Column("idx", _int, autoincrement=False, nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("handle", _int, nullable=False),
        sa.Column("key_version", _int, nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("idx"),
    )
    op.create_index("payload_by_handle", "payload", ["handle", "idx"], unique=False)
    op.create_table(
        "rollup",
        sa.Column("series", _int, autoincrement=False, nullable=False),
        sa.Column("minute", _int, autoincrement=False, nullable=False),
        sa.Column("bucket", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("count", _int, nullable=False),
        sa.PrimaryKeyConstraint("series", "minute", "bucket"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "series",
        sa.Column("id", _int, autoincrement=False, nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("integration", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("retention", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "series_by_name",
        "series",
        ["type", "integration", "model", "version", "status", "retention"],
        unique=False,
    )
    op.create_table(
        "subject_key",
        sa.Column("handle", _int, autoincrement=False, nullable=False),
        sa.Column("tag", sa.LargeBinary(), nullable=True),
        sa.Column("version", _int, nullable=False),
        sa.Column("store_version", _int, nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("handle"),
    )
    op.create_index("subject_key_by_tag", "subject_key", ["tag"], unique=False)
    op.create_table(
        "tile",
        sa.Column("level", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("n", _int, autoincrement=False, nullable=False),
        sa.Column("hashes", sa.LargeBinary(), nullable=False),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("level", "n"),
    )
    op.create_table(
        "work",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("key", _key, nullable=False),
        sa.Column("due_us", _int, nullable=False),
        sa.Column("leased_us", _int, nullable=False),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("attempts", _int, nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "key"),
        sqlite_with_rowid=False,
    )
    op.create_index("work_by_due", "work", ["kind", "due_us"], unique=False)
    if op.get_bind().dialect.name == "sqlite":
        _guard_sqlite()
    else:
        _guard_postgresql()


_KEPT = ("head", "series", "entry", "payload", "tile", "subject_key", "key_ring", "idempotency")
_FROZEN = ("series", "entry", "tile")
_MAY_CHANGE = {
    "head": ("id", "origin"),
    "payload": ("idx", "sealed", "handle"),
    "subject_key": ("handle", "tag"),
    "key_ring": ("kind", "version"),
    "idempotency": ("key", "content", "idx"),
}
"""Tables that may be updated, and the columns of theirs that may not."""


def _guard_sqlite() -> None:
    refuse = "BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END"
    for table in _KEPT:
        op.execute(f"CREATE TRIGGER {table}_keep BEFORE DELETE ON {table} {refuse}")
    for table in _FROZEN:
        op.execute(f"CREATE TRIGGER {table}_freeze BEFORE UPDATE ON {table} {refuse}")
    for table, columns in _MAY_CHANGE.items():
        changed = " OR ".join(f"NEW.{name} IS NOT OLD.{name}" for name in columns)
        op.execute(
            f"CREATE TRIGGER {table}_freeze BEFORE UPDATE ON {table} WHEN {changed} {refuse}"
        )
    op.execute(f"CREATE TRIGGER head_grow BEFORE UPDATE ON head WHEN NEW.size < OLD.size {refuse}")
    # INSERT OR REPLACE deletes without asking the DELETE trigger unless recursive_triggers is on.
    for table, key in (("entry", "idx"), ("series", "id")):
        first = 0 if table == "entry" else 1
        op.execute(
            f"CREATE TRIGGER {table}_next BEFORE INSERT ON {table} WHEN NEW.{key} IS NOT"  # noqa: S608 - names are ours
            f" (SELECT coalesce(max({key}) + 1, {first}) FROM {table}) {refuse}"
        )
    for table, match in (
        ("payload", "idx = NEW.idx"),
        ("tile", "level = NEW.level AND n = NEW.n"),
        ("subject_key", "handle = NEW.handle"),
        ("key_ring", "kind = NEW.kind AND version = NEW.version"),
        ("idempotency", "key = NEW.key"),
        ("head", "id = NEW.id"),
    ):
        op.execute(
            f"CREATE TRIGGER {table}_next BEFORE INSERT ON {table}"  # noqa: S608 - names are ours
            f" WHEN EXISTS (SELECT 1 FROM {table} WHERE {match}) {refuse}"
        )


def _guard_postgresql() -> None:
    op.execute(
        "CREATE FUNCTION modelwitness_refuse() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION 'the ledger is append-only' USING ERRCODE = '42501'; END $$"
    )
    refuse = "EXECUTE FUNCTION modelwitness_refuse()"

    def guard(table: str, name: str, when: str) -> None:
        op.execute(f"CREATE TRIGGER {table}_{name} {when} {refuse}")
        # ALWAYS: a plain trigger does not fire where session_replication_role is replica.
        op.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_{name}")

    for table in _KEPT:
        guard(table, "keep", f"BEFORE DELETE ON {table} FOR EACH ROW")
        guard(table, "whole", f"BEFORE TRUNCATE ON {table} FOR EACH STATEMENT")
    for table in _FROZEN:
        guard(table, "freeze", f"BEFORE UPDATE ON {table} FOR EACH ROW")
    for table, columns in _MAY_CHANGE.items():
        changed = " OR ".join(f"NEW.{name} IS DISTINCT FROM OLD.{name}" for name in columns)
        guard(table, "freeze", f"BEFORE UPDATE ON {table} FOR EACH ROW WHEN ({changed})")
    guard("head", "grow", "BEFORE UPDATE ON head FOR EACH ROW WHEN (NEW.size < OLD.size)")
    _grant()


def _grant() -> None:
    """Give the app role what it needs and no more, where such a role exists."""
    config = op.get_context().config
    role = None if config is None else config.attributes.get("app_role")
    if role is None:
        return
    quoted = op.get_bind().dialect.identifier_preparer.quote(role)
    for table in _KEPT:
        op.execute(f"GRANT SELECT, INSERT ON {table} TO {quoted}")
    for table, columns in (
        ("head", "size, root, logged_us, key_epoch"),
        ("payload", "key_version, wrapped"),
        ("subject_key", "version, store_version, wrapped"),
        ("key_ring", "root_id, wrapped"),
    ):
        op.execute(f"GRANT UPDATE ({columns}) ON {table} TO {quoted}")
    for table in ("blind_index", "rollup", "document", "work"):
        op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO {quoted}")
    op.execute(f"GRANT SELECT ON alembic_version TO {quoted}")
