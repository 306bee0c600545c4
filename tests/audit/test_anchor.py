"""Anchors are durable, never written over, and tell a rolled-back database."""

import shutil
import threading
from pathlib import Path

import pytest

import modelwitness
from audit import anchor, checkpoint, export, note, verify
from audit.errors import RolledBack, Tampered
from audit.fsck import OK, TAMPERED
from tests.audit.stores import checked, opened, prediction


def test_an_anchor_is_the_signed_checkpoint(tmp_path: Path, database: str) -> None:
    store = opened(tmp_path, database)
    store.ledger.append([prediction(number) for number in range(9)])
    path = anchor.write(store, tmp_path / "elsewhere")
    assert path.name == "10.checkpoint"
    kept = checkpoint.open(path.read_bytes(), note.Verifier.parse(store.ledger.vkey))
    assert (kept.size, kept.root) == (10, store.reader.root_at(10))
    assert anchor.write(store, tmp_path / "elsewhere") == path
    assert sorted((tmp_path / "elsewhere").iterdir()) == [path]
    store.close()


def test_an_anchor_is_never_written_over(tmp_path: Path) -> None:
    for name in ("one", "two"):
        store = opened(tmp_path / name)
        if name == "one":
            first = anchor.write(store, tmp_path / "anchors").read_bytes()
        else:
            with pytest.raises(Tampered, match="another checkpoint"):
                anchor.write(store, tmp_path / "anchors")
        store.close()
    assert [each.read_bytes() for each in (tmp_path / "anchors").iterdir()] == [first]


def test_an_anchor_may_carry_further_signatures(tmp_path: Path) -> None:
    store = opened(tmp_path)
    path = anchor.write(store, tmp_path / "anchors")
    cosigned = path.read_bytes() + "— witness.example AAAAAA==\n".encode()
    path.write_bytes(cosigned)
    assert anchor.write(store, tmp_path / "anchors").read_bytes() == cosigned
    store.close()


def test_anchors_are_kept_until_told_to_stop(tmp_path: Path) -> None:
    store = opened(tmp_path)
    stop, told = threading.Event(), []

    def report(line: str) -> None:
        told.append(line)
        if len(told) == 3:
            stop.set()
        else:
            store.ledger.append([prediction(len(told))])

    anchor.keep(store, tmp_path / "anchors", 0.001, report=report, stop=stop)
    store.close()
    assert [Path(line).name for line in told] == ["1.checkpoint", "2.checkpoint", "3.checkpoint"]


def test_a_directory_that_is_away_is_tried_again(tmp_path: Path) -> None:
    store = opened(tmp_path)
    (tmp_path / "anchors").write_text("not a directory")
    stop, told = threading.Event(), []

    def report(line: str) -> None:
        told.append(line)
        if len(told) == 1:
            (tmp_path / "anchors").unlink()
        else:
            stop.set()

    anchor.keep(store, tmp_path / "anchors", 0.001, report=report, stop=stop)
    store.close()
    assert told[0].startswith("not anchored: ")
    assert told[1].endswith("1.checkpoint")


def test_a_restored_backup_is_found_by_everyone(tmp_path: Path) -> None:
    """Even where the restorer also put back the store's own record of what was signed."""
    live, backup = tmp_path / "live", tmp_path / "backup"
    store = opened(live)
    store.ledger.append([prediction(number) for number in range(300)])
    store.close()
    shutil.copytree(live, backup)
    store = opened(live)
    store.ledger.append([prediction(300)])
    later = anchor.write(store, tmp_path / "anchors")
    vkey = store.ledger.vkey
    store.close()

    shutil.copy(backup / "ledger.db", live / "ledger.db")
    with pytest.raises(RolledBack), modelwitness.opened(live):
        pytest.fail("a rolled-back store was served")
    assert checked(store.settings, deep=False)[0] == TAMPERED

    shutil.rmtree(live)
    shutil.copytree(backup, live)
    assert checked(store.settings)[0] == OK  # nothing here can tell
    assert checked(store.settings, deep=False, earlier=[later])[0] == TAMPERED
    store = opened(live)
    export.write(store, tmp_path / "export")
    store.close()
    told = ["--vkey", vkey]
    assert verify.main([str(tmp_path / "export"), *told]) == OK
    assert verify.main([str(tmp_path / "export"), *told, "--earlier", str(later)]) == TAMPERED


def test_a_fork_after_a_restored_backup_is_found(tmp_path: Path) -> None:
    live, backup = tmp_path / "live", tmp_path / "backup"
    opened(live).close()
    shutil.copytree(live, backup)
    store = opened(live)
    store.ledger.append([prediction(1)])
    kept = anchor.write(store, tmp_path / "anchors")
    store.close()
    shutil.rmtree(live)
    shutil.copytree(backup, live)
    store = opened(live)
    store.ledger.append([prediction(2), prediction(3)])
    store.close()
    assert checked(store.settings)[0] == OK
    found, said = checked(store.settings, deep=False, earlier=[kept])
    assert (found, "not the one that was signed" in said) == (TAMPERED, True)


def test_an_anchor_of_another_log_is_no_evidence(tmp_path: Path) -> None:
    store = opened(tmp_path / "other")
    foreign = anchor.write(store, tmp_path / "anchors")
    store.close()
    store = opened(tmp_path / "own")
    store.close()
    found, said = checked(store.settings, earlier=[foreign])
    assert (found, "no checkpoint of this log" in said) == (2, True)
