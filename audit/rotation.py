"""Rotation: new keys for old by re-wrapping, while others append and read.

Decides what is re-wrapped in which transaction. Root key: the whole ring, at once. Store key: a new
version from one transaction on, then subject keys in batches; bodies of documents and work name
the version that sealed them and stay as they are. Subject keys: each with all secrets under it, in
one transaction. Every change raises `key_epoch`, which an append compares under the writer's lock,
so nothing is ever written under a key that is no longer there. No leaf and no ciphertext changes.

The signing key is not rotated here: old and new checkpoints need both keys side by side.
"""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, Row, bindparam, func, select, update

from audit import leaf, leaves
from audit.clock import Clock
from audit.errors import NotFound
from audit.events import SYSTEM, event_of, rfc3339
from audit.keys import Keys, add_ring_key, ring_data
from audit.rootkey import NoRootKey, RootKey, adopt_replacement, from_environment, replacement
from audit.seal import SubjectKey, rewrap
from audit.store import Store
from audit.tables import entry, head, key_ring, payload, subject_key

BATCH = 2_048
"""Rows that one transaction re-wraps, about: appends wait that long."""


def rotate_root(store: Store, *, clock: Clock) -> None:
    """Wrap the ring under a new root key; a file is replaced, the environment's must be given.

    Whenever it is killed, the store opens, and the next call completes it. Raises `NoRootKey`
    where the root key is in the environment and its replacement is not.
    """
    path = store.settings.key_directory / "root.key"
    with store.database.writing() as connection:
        new = _new_root(store)
        for row in connection.execute(select(key_ring)).all():
            if row.root_id == new.id:
                continue
            data = ring_data(store.ledger.origin, row.kind, row.version)
            secret = store.root.unwrap(row.wrapped, data)
            connection.execute(
                update(key_ring)
                .where(key_ring.c.kind == row.kind, key_ring.c.version == row.version)
                .values(root_id=new.id, wrapped=new.wrap(secret, data))
            )
        _raise_epoch(connection)
    _log(store, clock, "root", new.id)
    if store.settings.root_key is None:
        adopt_replacement(path)


def rotate_store_key(store: Store, *, clock: Clock) -> None:
    """Make a new store key and wrap every subject key under it; completes an older rotation."""
    with store.database.writing() as connection:
        keys = _keys(store, connection)
        version = keys.store_version + 1
        add_ring_key(
            connection, store.root, store.ledger.origin, "store", version, store.random(32)
        )
        _raise_epoch(connection)
    old = select(subject_key).where(subject_key.c.store_version < version)
    after = -1
    while True:
        with store.database.writing() as connection:
            keys = _keys(store, connection)
            rows = connection.execute(
                old.where(subject_key.c.handle > after).order_by(subject_key.c.handle).limit(BATCH)
            ).all()
            changed = [
                {
                    "_handle": row.handle,
                    "store_version": keys.store_version,
                    "wrapped": keys.wrap_subject(_secret(keys, row), row.handle, row.version),
                }
                for row in rows
            ]
            if changed:
                connection.execute(_update_subject, changed)
        if not rows:
            break
        after = rows[-1].handle
    _log(store, clock, "store", str(version))


def rotate_subject_keys(store: Store, *, clock: Clock) -> None:
    """Give every subject a new key and wrap the secrets of its records under it."""
    with store.database.reading() as connection:
        last = connection.execute(select(func.max(subject_key.c.handle))).scalar()
        epoch = connection.execute(select(head.c.key_epoch)).scalar_one()
    if last is None:
        raise NotFound("the store has no subject keys")
    handle = 0
    while handle <= last:
        with store.database.writing() as connection:
            keys = _keys(store, connection)
            done = 0
            while handle <= last and done < BATCH:
                done += 1 + _rotate_subject(store, connection, keys, handle)
                handle += 1
            _raise_epoch(connection)
    _log(store, clock, "subjects", f"{epoch}:{last}")


def _rotate_subject(store: Store, connection: Connection, keys: Keys, handle: int) -> int:
    """Rotate one subject's key if it is still there; return how many secrets it wraps."""
    row = connection.execute(
        select(subject_key).where(subject_key.c.handle == handle)
    ).one_or_none()
    if row is None:
        return 0
    old = SubjectKey(handle, row.version, _secret(keys, row))
    secret = store.random(32)
    new = SubjectKey(handle, row.version + 1, secret)
    count = 0
    for page in _payloads(connection, handle):
        changed = [
            {
                "_idx": each.idx,
                "key_version": new.version,
                "wrapped": rewrap(
                    each.wrapped, leaf.parse(leaves.text(each[2:])), old, new, store.random(12)
                ),
            }
            for each in page
        ]
        connection.execute(_update_payload, changed)
        count += len(changed)
    connection.execute(
        update(subject_key)
        .where(subject_key.c.handle == handle)
        .values(
            version=new.version,
            store_version=keys.store_version,
            wrapped=keys.wrap_subject(secret, handle, new.version),
        )
    )
    return count


_update_subject = update(subject_key).where(subject_key.c.handle == bindparam("_handle"))
_update_payload = update(payload).where(payload.c.idx == bindparam("_idx"))


def _payloads(connection: Connection, handle: int) -> Iterator[list[Row[Any]]]:
    after = -1
    query = (
        select(payload.c.idx, payload.c.wrapped, *leaves.COLUMNS)
        .select_from(leaves.STORED)
        .join(payload, payload.c.idx == entry.c.idx)
        .where(payload.c.handle == handle)
        .order_by(payload.c.idx)
        .limit(BATCH)
    )
    while page := list(connection.execute(query.where(payload.c.idx > after)).all()):
        yield page
        after = page[-1].idx


def _new_root(store: Store) -> RootKey:
    settings = store.settings
    if settings.root_key is None:
        return replacement(settings.key_directory / "root.key", store.random)
    if settings.new_root_key is None:
        raise NoRootKey(
            "the root key is in the environment: give its replacement as"
            " MODELWITNESS_NEW_ROOT_KEY to every process, then rotate"
        )
    return from_environment([settings.new_root_key.get_secret_value()], store.random)


def _keys(store: Store, connection: Connection) -> Keys:
    keys = store.keys()
    keys.refresh(connection, connection.execute(select(head.c.key_epoch)).scalar_one())
    return keys


def _secret(keys: Keys, row: Row[Any]) -> bytes:
    return keys.unwrap_subject(row.handle, row.version, row.store_version, row.wrapped)


def _raise_epoch(connection: Connection) -> None:
    connection.execute(update(head).values(key_epoch=head.c.key_epoch + 1))


def _log(store: Store, clock: Clock, kind: str, version: str) -> None:
    """Append KeyRotated, unless a rotation that was killed had come as far."""
    id = f"{kind}:{version}"
    if store.reader.find(SYSTEM, "KeyRotated", id) is None:
        body = {"id": id, "time": rfc3339(clock()), "key": kind, "version": version}
        store.ledger.append([event_of("KeyRotated", SYSTEM, body)])
