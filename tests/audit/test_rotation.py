"""Keys are replaced by re-wrapping: while others append, through crashes, and nothing is lost."""

import os
import subprocess
import sys
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import select

from audit import rotation
from audit.checkpoint import parse
from audit.clock import system_clock
from audit.errors import Tampered
from audit.fsck import OK
from audit.rootkey import NoRootKey
from audit.settings import AuditSettings
from audit.store import Store, open_store
from audit.tables import head, key_ring, payload, subject_key
from tests.audit.stores import PROJECTIONS, checked, opened, outcome, prediction, varied

ROOT = Path(__file__).parents[2]
WRITER = """
import sys, threading
from pathlib import Path
from tests.audit.stores import opened, prediction
store = opened(Path(sys.argv[1]), sys.argv[2], may_migrate=False)
stop = threading.Event()
threading.Thread(target=lambda: (sys.stdin.readline(), stop.set()), daemon=True).start()
number = 0
while not stop.is_set() or number < 100:
    numbers = range(number, number + 10)
    answers = store.ledger.append([prediction(n, integration="writer") for n in numbers])
    opened_again = store.reader.open([answers[0].index])
    assert opened_again[0].body
    number += 10
    print(number, flush=True)
store.close()
"""
Rotation = Callable[..., None]
ALL = [rotation.rotate_root, rotation.rotate_store_key, rotation.rotate_subject_keys]


@pytest.mark.parametrize("rotate", ALL)
def test_everything_opens_after_a_rotation(tmp_path: Path, database: str, rotate: Rotation) -> None:
    store = opened(tmp_path, database)
    store.ledger.append(varied(200))
    store.work.put("quarantine", "1", b"kept")
    before = _bodies(store)
    rotate(store, clock=system_clock)
    assert _bodies(store)[: len(before)] == before
    item = store.work.get("quarantine", "1")
    assert item is not None
    assert item.body == b"kept"
    assert store.documents.list("token") != []
    store.ledger.append([prediction(number) for number in range(190, 220)])
    store.close()
    assert checked(store.settings)[0] == OK
    store = opened(tmp_path, database)
    assert _bodies(store)[: len(before)] == before
    store.close()


@pytest.mark.parametrize("rotate", ALL)
def test_a_rotation_is_logged_once_and_makes_caches_old(tmp_path: Path, rotate: Rotation) -> None:
    store = opened(tmp_path)
    epoch = _column(store, head.c.key_epoch)
    size = store.reader.size()
    rotate(store, clock=system_clock)
    assert _column(store, head.c.key_epoch) > epoch
    assert store.reader.leaf(size).type == "KeyRotated"
    assert store.reader.size() == size + 1
    store.close()


def test_a_rotation_changes_every_wrapping_and_no_leaf(tmp_path: Path, database: str) -> None:
    store = opened(tmp_path, database)
    store.ledger.append(varied(100))
    note, size = store.ledger.checkpoint().decode(), store.reader.size()
    ring, subjects = _column(store, key_ring.c.wrapped), _column(store, subject_key.c.wrapped)
    secrets, sealed = _column(store, payload.c.wrapped), _column(store, payload.c.sealed)
    rotation.rotate_root(store, clock=system_clock)
    assert not set(ring) & set(_column(store, key_ring.c.wrapped))
    rotation.rotate_store_key(store, clock=system_clock)
    assert not set(subjects) & set(_column(store, subject_key.c.wrapped))
    assert set(_column(store, subject_key.c.store_version)) == {2}
    rotation.rotate_subject_keys(store, clock=system_clock)
    assert not set(secrets) & set(_column(store, payload.c.wrapped))
    assert sealed == _column(store, payload.c.sealed)[:size]
    assert store.reader.root_at(size) == parse(note.partition("\n\n")[0] + "\n").root
    store.close()
    assert checked(store.settings)[0] == OK


@pytest.mark.parametrize("rotate", ALL)
def test_another_open_store_never_writes_under_an_old_key(
    tmp_path: Path, database: str, rotate: Rotation
) -> None:
    """The other one has every key in its caches, and is not told."""
    store, other = opened(tmp_path, database), opened(tmp_path, database)
    other.ledger.append([prediction(number) for number in range(20)])
    other.reader.open(range(other.reader.size()))
    rotate(store, clock=system_clock)
    other.ledger.append([prediction(20), outcome(1, of="p-3"), prediction(21, subject=NEW)])
    assert all(each.body for each in other.reader.open(range(other.reader.size())))
    other.close()
    store.close()
    assert checked(store.settings)[0] == OK
    versions = {int(version) for version in _column_of(tmp_path, database, payload.c.key_version)}
    assert (2 in versions) == (rotate is rotation.rotate_subject_keys)


NEW = {"scheme": "customer", "id": "marker-of-somebody-new"}


def test_keys_rotate_while_another_process_appends(tmp_path: Path, database: str) -> None:
    store = opened(tmp_path, database)
    store.ledger.append(varied(200))
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path), database],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as writer:
        assert writer.stdout is not None
        assert writer.stdin is not None
        for rotate in (*ALL, *ALL):
            assert writer.stdout.readline()  # it goes on between rotations
            rotate(store, clock=system_clock)
        _, errors = writer.communicate(b"\n", timeout=120)
    assert writer.returncode == 0, errors.decode()
    assert all(_bodies(store))
    store.close()
    assert checked(store.settings)[0] == OK


@pytest.mark.parametrize("rotate", ALL)
@pytest.mark.parametrize("moment", range(5))
def test_a_rotation_that_was_cut_short_is_completed(
    tmp_path: Path, rotate: Rotation, moment: int
) -> None:
    """Cut where it asks for the nth random bytes or the clock: between any two of its steps."""
    store = opened(tmp_path)
    store.ledger.append(varied(50))
    before = _bodies(store)
    store.close()
    store = _cut_short(store.settings, moment)
    with pytest.raises(_Cut):
        rotate(store, clock=_cut_clock)
    store.close()
    assert checked(store.settings)[0] == OK
    store = opened(tmp_path)
    assert _bodies(store)[: len(before)] == before
    rotate(store, clock=system_clock)
    store.ledger.append([prediction(70)])
    assert _bodies(store)[: len(before)] == before
    store.close()
    assert checked(store.settings)[0] == OK
    assert [path.name for path in sorted((tmp_path / "keys").iterdir())] == ["log.key", "root.key"]


def test_a_new_root_key_file_replaces_the_old_one(tmp_path: Path) -> None:
    store = opened(tmp_path)
    path = tmp_path / "keys" / "root.key"
    old = path.read_bytes()
    rotation.rotate_root(store, clock=system_clock)
    store.close()
    assert path.read_bytes() != old
    assert path.stat().st_mode & 0o777 == 0o600
    opened(tmp_path).close()
    path.write_bytes(old)
    with pytest.raises(Tampered, match="root key"):
        opened(tmp_path)


def test_a_root_key_in_the_environment_is_replaced(tmp_path: Path) -> None:
    old, new = (SecretStr(b64encode(os.urandom(32)).decode()) for _ in range(2))
    store = _with_keys(tmp_path, old)
    with pytest.raises(NoRootKey, match="MODELWITNESS_NEW_ROOT_KEY"):
        rotation.rotate_root(store, clock=system_clock)
    store.close()
    store = _with_keys(tmp_path, old, new)
    store.ledger.append([prediction(1)])
    rotation.rotate_root(store, clock=system_clock)
    store.ledger.append([prediction(2)])
    store.close()
    for keys in ((old, new), (new, None)):
        store = _with_keys(tmp_path, *keys)
        assert all(_bodies(store))
        store.close()
    with pytest.raises(Tampered, match="root key"):
        _with_keys(tmp_path, old)
    assert list((tmp_path / "keys").iterdir()) == [tmp_path / "keys" / "log.key"]


class _Cut(Exception):
    pass


def _cut_clock() -> int:
    raise _Cut


def _cut_short(settings: AuditSettings, moment: int) -> Store:
    """A store whose randomness ends after `moment` more draws, once it is open."""
    left: list[int] = []

    def random(count: int) -> bytes:
        if left:
            left[0] -= 1
            if left[0] < 0:
                raise _Cut
        return os.urandom(count)

    store = open_store(settings, PROJECTIONS, clock=system_clock, random=random)
    left.append(moment)
    return store


def _with_keys(folder: Path, root: SecretStr, new: SecretStr | None = None) -> Store:
    settings = AuditSettings(data=folder, root_key=root, new_root_key=new)
    return open_store(settings, PROJECTIONS, clock=system_clock, random=os.urandom)


def _bodies(store: Store) -> list[bytes]:
    return [each.body for each in store.reader.open(range(store.reader.size()))]


def _column(store: Store, column: Any) -> Any:
    with store.database.reading() as connection:
        query = select(column).order_by(*column.table.primary_key)
        found = list(connection.execute(query).scalars())
    return found if column.table is not head else found[0]


def _column_of(folder: Path, database: str, column: Any) -> Any:
    store = opened(folder, database)
    found = _column(store, column)
    store.close()
    return found
