"""What somebody with the database file, or a socket, tried: each is refused or found."""

import socket
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import select, text

from audit import leaves, rebuild
from audit.errors import RolledBack, Tampered
from audit.fsck import OK, TAMPERED
from audit.merkle import leaf_hash, root_of
from audit.search import Query
from audit.store import Store
from tests.audit.guards import without_guards
from tests.audit.stores import checked, opened, prediction, settings_of
from tests.served import serving

FOREVER = 2**52


def filled(folder: Path, count: int = 8) -> Store:
    store = opened(folder)
    store.ledger.append([prediction(number) for number in range(count)])
    return store


def rewritten(path: Path) -> None:
    """Change an old leaf and the stored root with it, as one who may write the file could."""
    with without_guards(f"sqlite:///{path}") as database:
        database.execute(text("UPDATE entry SET event_us = event_us + 1 WHERE idx = 3"))
        rows = database.execute(select(*leaves.COLUMNS).select_from(leaves.STORED))
        root = root_of(leaf_hash(leaves.text(row)) for row in sorted(rows))
        database.execute(text("UPDATE head SET root = :root"), {"root": root})


def test_a_history_written_anew_under_a_running_ledger_is_never_signed(tmp_path: Path) -> None:
    store = filled(tmp_path)
    rewritten(tmp_path / "ledger.db")
    for number in (100, 101):  # neither the first append nor any after it
        with pytest.raises(Tampered):
            store.ledger.append([prediction(number)])
    with pytest.raises(Tampered):
        store.ledger.checkpoint()
    store.close()
    with pytest.raises(Tampered):
        opened(tmp_path)


def test_a_database_that_was_emptied_is_not_made_anew(tmp_path: Path) -> None:
    filled(tmp_path).close()
    for path in tmp_path.glob("ledger.db*"):
        path.unlink()
    with pytest.raises(RolledBack):
        opened(tmp_path)


def test_a_ledger_without_its_last_checkpoint_is_not_opened(tmp_path: Path) -> None:
    filled(tmp_path).close()
    (tmp_path / "checkpoints" / "last-signed").unlink()
    with pytest.raises(Tampered, match="no checkpoint was kept"):
        opened(tmp_path)


def test_a_database_file_replaced_while_open_takes_nothing(tmp_path: Path) -> None:
    store = filled(tmp_path)
    source = sqlite3.connect(tmp_path / "ledger.db")
    target = sqlite3.connect(tmp_path / "copy.db")
    source.backup(target)
    source.close()
    target.close()
    (tmp_path / "copy.db").replace(tmp_path / "ledger.db")
    with pytest.raises(Tampered, match="replaced"):
        store.ledger.append([prediction(100)])
    store.close()


def test_an_index_that_hides_an_entry_is_found_and_mended(tmp_path: Path) -> None:
    filled(tmp_path).close()
    database = sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)
    honest = database.execute(
        "SELECT sql FROM sqlite_master WHERE name = 'entry_by_series'"
    ).fetchone()[0]
    _write_schema(database, f"{honest} WHERE idx <> 5")
    database.close()
    database = sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)
    database.execute("REINDEX entry_by_series")
    _write_schema(database, honest)
    database.close()
    settings = settings_of(tmp_path)
    assert checked(settings, deep=True)[0] == TAMPERED
    store = opened(tmp_path)
    everything = Query(0, FOREVER, type="PredictionLogged", limit=200)
    assert 5 not in {leaf.index for leaf in store.reader.search(everything).leaves}
    rebuild.run(store)
    assert 5 in {leaf.index for leaf in store.reader.search(everything).leaves}
    store.close()
    assert checked(settings, deep=True)[0] == OK


def _write_schema(database: sqlite3.Connection, definition: str) -> None:
    database.execute("PRAGMA writable_schema = ON")
    database.execute(
        "UPDATE sqlite_master SET sql = ? WHERE name = 'entry_by_series'", (definition,)
    )
    version = database.execute("PRAGMA schema_version").fetchone()[0]
    database.execute(f"PRAGMA schema_version = {version + 1}")
    database.execute("PRAGMA writable_schema = OFF")


def test_a_request_whose_head_has_no_end_is_hung_up_on(
    tmp_path: Path, free_port: Callable[[], int]
) -> None:
    port = free_port()
    with serving(["serve", "--data", "data", "--port", str(port)], port, tmp_path):
        with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
            endless = b"GET /healthz HTTP/1.1\r\n" + b"X-Long: a\r\n" * 1_000_000
            with pytest.raises((BrokenPipeError, ConnectionResetError)):
                client.sendall(endless)
        with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
            client.sendall(b"GET /healthz HTTP/1.1\r\nHost: here\r\n\r\n")
            assert client.recv(100).startswith(b"HTTP/1.1 200")
