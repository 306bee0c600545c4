"""The tables of a store, once for SQLite and PostgreSQL.

Decides the layout. Three classes of state: the *ledger* (head, series, entry, payload, tile,
subject_key, key_ring), append-only but for re-wrapped keys; *projections* (blind_index, rollup,
document), rebuildable from the ledger; *work* (work) and what makes appending idempotent
(idempotency). Integers are 64 bits; times are µs since the epoch.

`series` is one combination of the clear fields that searches name: an entry points to its series,
so that a search reads one short index per matching series and a rollup is a count per series.
"""

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
)

metadata = MetaData()
_int = BigInteger().with_variant(Integer, "sqlite")

head = Table(
    "head",
    metadata,
    Column("id", SmallInteger, primary_key=True, autoincrement=False),  # always 1
    Column("origin", Text, nullable=False),
    Column("size", _int, nullable=False),
    Column("root", LargeBinary, nullable=False),
    Column("logged_us", _int, nullable=False),
    Column("key_epoch", _int, nullable=False),  # counts rotations and erasures: empties key caches
)
series = Table(
    "series",
    metadata,
    Column("id", _int, primary_key=True, autoincrement=False),
    Column("type", Text, nullable=False),
    Column("integration", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("retention", Text, nullable=False),
    # Not unique by constraint: INSERT OR REPLACE deletes rows through one, past the triggers.
    Index("series_by_name", "type", "integration", "model", "version", "status", "retention"),
)
entry = Table(
    "entry",
    metadata,
    Column("idx", _int, primary_key=True, autoincrement=False),
    Column("leaf", LargeBinary, nullable=False),  # packed: audit.leaf
    Column("series", _int, nullable=False),
    Column("event_us", _int, nullable=False),
    Index("entry_by_series", "series", "event_us", "idx"),
    Index("entry_by_time", "event_us", "idx"),  # for searches that many series match
)
payload = Table(
    "payload",
    metadata,
    Column("idx", _int, primary_key=True, autoincrement=False),
    Column("sealed", LargeBinary, nullable=False),  # nonce ‖ ciphertext ‖ tag
    Column("handle", _int, nullable=False),
    Column("key_version", _int, nullable=False),
    Column("wrapped", LargeBinary, nullable=False),  # the record's secret under the subject key
    Index("payload_by_handle", "handle", "idx"),
)
tile = Table(
    "tile",
    metadata,
    Column("level", SmallInteger, primary_key=True, autoincrement=False),
    Column("n", _int, primary_key=True, autoincrement=False),
    Column("hashes", LargeBinary, nullable=False),  # 256 × 32 bytes
    Column("root", LargeBinary, nullable=False),  # of these 256: a hash of the level above
)
subject_key = Table(
    "subject_key",
    metadata,
    Column("handle", _int, primary_key=True, autoincrement=False),  # 0: the ledger's own
    Column("tag", LargeBinary),  # blind index of the subject; none where nobody is named
    Column("version", _int, nullable=False),
    Column("store_version", _int, nullable=False),
    Column("wrapped", LargeBinary, nullable=False),
    Index("subject_key_by_tag", "tag"),
)
key_ring = Table(
    "key_ring",
    metadata,
    Column("kind", Text, primary_key=True),  # store, index
    Column("version", _int, primary_key=True, autoincrement=False),
    Column("root_id", Text, nullable=False),
    Column("wrapped", LargeBinary, nullable=False),
)
idempotency = Table(
    "idempotency",
    metadata,
    Column("key", LargeBinary, primary_key=True),
    Column("content", LargeBinary),  # erased with the subject
    Column("idx", _int, nullable=False),
    sqlite_with_rowid=False,
)
blind_index = Table(
    "blind_index",
    metadata,
    Column("kver", SmallInteger, primary_key=True, autoincrement=False),
    Column("field", SmallInteger, primary_key=True, autoincrement=False),
    Column("tag", LargeBinary, primary_key=True),
    Column("idx", _int, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)
rollup = Table(
    "rollup",
    metadata,
    Column("series", _int, primary_key=True, autoincrement=False),
    Column("minute", _int, primary_key=True, autoincrement=False),  # minutes since the epoch
    Column("bucket", SmallInteger, primary_key=True, autoincrement=False),  # -1: latency unknown
    Column("count", _int, nullable=False),
    sqlite_with_rowid=False,
)
document = Table(
    "document",
    metadata,
    Column("kind", Text, primary_key=True),
    Column("key", Text(collation="C").with_variant(Text, "sqlite"), primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)
work = Table(
    "work",
    metadata,
    Column("kind", Text, primary_key=True),
    Column("key", Text(collation="C").with_variant(Text, "sqlite"), primary_key=True),
    Column("due_us", _int, nullable=False),
    Column("leased_us", _int, nullable=False),  # held until then; 0: free
    Column("holder", Text, nullable=False),
    Column("attempts", _int, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Index("work_by_due", "kind", "due_us"),
    sqlite_with_rowid=False,
)
