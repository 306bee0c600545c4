"""A store: one database, one key ring, one ledger, in one region.

Decides how a store comes to be (its origin name, its first keys, its first entry) and what is
checked before it is used: schema version and fingerprint, the last signed checkpoint against the
stored tree. Hides the wiring: callers get the ledger, the reader, the documents and the work.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec
from sqlalchemy import insert, inspect, select

from audit import checkpoint, note, tables
from audit.append import Appender
from audit.clock import Clock
from audit.counts import Counts
from audit.database import Database, open_database
from audit.documents import Documents, Projection, SchemaHistory
from audit.errors import RolledBack, Tampered
from audit.events import SYSTEM, event_of, rfc3339
from audit.keys import LEDGER_HANDLE, Keys, create_ring
from audit.ledger import Ledger
from audit.merkle import EMPTY_ROOT
from audit.migrate import fingerprint, migrate, require_newest, revision
from audit.prepare import Preparer
from audit.reader import Reader
from audit.rootkey import Random, RootKey, from_environment, from_file, secret_file
from audit.sequencer import Sequencer
from audit.settings import AuditSettings
from audit.signing import Checkpoints
from audit.tree import StoredTree
from audit.work import Work


@dataclass(frozen=True, slots=True)
class Store:
    """What a process needs of a store, each part safe for use by several threads."""

    settings: AuditSettings
    database: Database
    root: RootKey
    ledger: Ledger
    reader: Reader
    counts: Counts
    documents: Documents
    work: Work
    projections: tuple[Projection, ...]
    checkpoints: Checkpoints
    random: Random

    def keys(self) -> Keys:
        """Return a key ring of one's own: one serves one thread."""
        return Keys(self.root, self.ledger.origin, self.random)

    def close(self) -> None:
        """Commit what waits and let go of the database."""
        self.ledger.close()
        self.checkpoints.close()
        self.database.engine.dispose()


def open_store(
    settings: AuditSettings,
    projections: Sequence[Projection] = (),
    *,
    clock: Clock,
    random: Random,
    app_role: str | None = None,
    may_migrate: bool | None = None,
    repairing: bool = False,
    apart: Callable[[Checkpoints], Ledger] | None = None,
    bounded_reads: bool = False,
) -> Store:
    """Open the store that `settings` name; makes it where it is embedded or told to migrate.

    Raises `NotMigrated`, `NoRootKey`, `RolledBack`, and `Tampered` where the stored tree does not
    continue the last signed checkpoint or the schema was changed outside of `migrate`. Whoever is
    `repairing` projections gets the store although the one that holds the schema may be damaged.
    `apart` makes the ledger where it is not to be held by this process. `bounded_reads` are for
    who answers many: none but those that stream a window takes longer than the settings say.
    """
    settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    database = open_database(settings.url, settings.read_seconds if bounded_reads else None)
    owner = settings.embedded if may_migrate is None else may_migrate
    try:
        _require_not_lost(settings, database)
        if owner:
            migrate(database, app_role)
        else:
            require_newest(database)
        store, checkpoints = _composed(settings, database, projections, clock, random, apart)
    except BaseException:
        database.engine.dispose()
        raise
    try:
        _check_continues(store, checkpoints)
        if not repairing:
            _check_schema(store, clock, owner=owner)
    except BaseException:
        store.close()
        raise
    return store


def _require_not_lost(settings: AuditSettings, database: Database) -> None:
    """Raise `RolledBack` where checkpoints were signed and the database knows of no ledger.

    Without this an emptied database would be made anew in the old one's place.
    """
    last = settings.data / "checkpoints" / "last-signed"
    signed = last.read_bytes().strip() if last.exists() else b""
    if not signed:
        return
    with database.reading() as connection:
        there = inspect(connection).has_table("head")
    if not there or _stored_origin(database) is None:
        raise RolledBack(0, checkpoint.unverified(signed + b"\n").size)


def _composed(
    settings: AuditSettings,
    database: Database,
    projections: Sequence[Projection],
    clock: Clock,
    random: Random,
    apart: Callable[[Checkpoints], Ledger] | None,
) -> tuple[Store, Checkpoints]:
    # Keys belong to a ledger: where there is one, missing keys are a fault and never made anew.
    fresh = _stored_origin(database) is None
    root = root_key(settings, random, create=fresh)
    seed = secret_file(settings.key_directory / "log.key", random, create=fresh)
    origin = _origin(database, root, random)
    checkpoints = Checkpoints(
        note.Signer(origin, seed),
        settings.data / "checkpoints" / "last-signed",
        StoredTree(database),
    )
    everything = (SchemaHistory(), *projections)
    if apart is not None:
        ledger = apart(checkpoints)
    else:
        preparer = Preparer(database, Keys(root, origin, random), origin, clock, random)
        appender = Appender(database, Keys(root, origin, random), everything)
        ledger = Sequencer(database, preparer, appender, checkpoints)
    reader = Reader(database, Keys(root, origin, random), ledger)
    documents = Documents(database, Keys(root, origin, random))
    work = Work(database, Keys(root, origin, random), clock)
    store = Store(
        settings,
        database,
        root,
        ledger,
        reader,
        Counts(database),
        documents,
        work,
        everything,
        checkpoints,
        random,
    )
    return store, checkpoints


def root_key(settings: AuditSettings, random: Random, *, create: bool = False) -> RootKey:
    """Return the root key that the settings name, from the environment or a file.

    Raises `NoRootKey`; where told so, makes the file if it is missing.
    """
    if settings.root_key is not None:
        given = [key for key in (settings.root_key, settings.new_root_key) if key is not None]
        return from_environment([key.get_secret_value() for key in given], random)
    return from_file(settings.key_directory / "root.key", random, create=create)


def _origin(database: Database, root: RootKey, random: Random) -> str:
    """Return the log's name; gives a new store its name and first keys."""
    stored = _stored_origin(database)
    if stored is not None:
        return stored
    with database.writing() as connection:
        origin = connection.execute(select(tables.head.c.origin)).scalar()
        if origin is None:
            origin = f"modelwitness.local/{random(4).hex()}"
            connection.execute(
                insert(tables.head).values(
                    id=1, origin=origin, size=0, root=EMPTY_ROOT, logged_us=0, key_epoch=1
                )
            )
            create_ring(connection, root, origin, random)
            keys = Keys(root, origin, random)
            keys.refresh(connection, 1)
            _, row = keys.create(LEDGER_HANDLE, None)  # handle 0: the ledger's own key
            database.insert(connection, tables.subject_key, [row])
    return str(origin)


def _stored_origin(database: Database) -> str | None:
    with database.reading() as connection:
        origin = connection.execute(select(tables.head.c.origin)).scalar()
    return None if origin is None else str(origin)


def _check_continues(store: Store, checkpoints: Checkpoints) -> None:
    last = checkpoints.last
    if last is not None:
        checkpoints.require_continued()
        checkpoints.newest()
        return
    size = store.reader.size()
    if store.settings.embedded and size > 1:
        # The first entry may be there alone: a crash came between its commit and its signature.
        raise Tampered(
            f"the database holds {size} entries, but no checkpoint was kept beside it: put"
            " DIR/checkpoints/last-signed back, or copy the newest anchor there"
        )


def require_schema(store: Store) -> None:
    """Raise `Tampered` unless the schema is the one in the newest SchemaMigrated."""
    with store.database.reading() as connection:
        found = fingerprint(connection)
    recorded = store.documents.get("schema", "newest")
    if recorded is None or msgspec.json.decode(recorded)["fingerprint"] != found:
        raise Tampered(
            "the schema is not the one that was migrated: a guard or an index was changed"
        )


def _check_schema(store: Store, clock: Clock, *, owner: bool) -> None:
    with store.database.reading() as connection:
        found, version = fingerprint(connection), revision(connection)
        empty = connection.execute(select(tables.head.c.size)).scalar_one() == 0
    recorded = store.documents.get("schema", "newest")
    if recorded is None and not empty:
        raise Tampered("the recorded schema is gone: run rebuild")
    known = {} if recorded is None else msgspec.json.decode(recorded)
    if known.get("fingerprint") == found:
        return
    if not empty and (known["revision"] == version or not owner):
        require_schema(store)
    store.ledger.append(
        [
            event_of(
                "SchemaMigrated",
                SYSTEM,
                {
                    "id": f"{version}:{found}",
                    "time": rfc3339(clock()),
                    "revision": version,
                    "fingerprint": found,
                },
            )
        ]
    )
