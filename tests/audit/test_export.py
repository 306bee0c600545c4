"""An exported log is verified by the independent verifier, and is always the same bytes."""

from pathlib import Path

import pytest

from audit import export, tiles, verify
from tests.audit.stores import opened, prediction


@pytest.mark.parametrize("count", [0, 1, 254, 255, 256, 600])
def test_an_export_verifies(tmp_path: Path, count: int) -> None:
    store = opened(tmp_path / "store")
    store.ledger.append([prediction(number) for number in range(count)])
    export.write(store, tmp_path / "log")
    vkey = store.ledger.vkey
    store.close()
    assert verify.main([str(tmp_path / "log"), "--vkey", vkey]) == 0


def test_an_export_from_either_database_verifies(tmp_path: Path, database: str) -> None:
    store = opened(tmp_path / "store", database)
    store.ledger.append([prediction(number) for number in range(300)])
    export.write(store, tmp_path / "log")
    vkey = store.ledger.vkey
    store.close()
    assert verify.main([str(tmp_path / "log"), "--vkey", vkey]) == 0


def test_an_export_holds_the_files_of_the_log_and_no_others(tmp_path: Path) -> None:
    store = opened(tmp_path / "store")
    store.ledger.append([prediction(number) for number in range(300)])
    export.write(store, tmp_path / "log")
    store.close()
    bundles = ["tile/entries/000", "tile/entries/001.p/45"]
    assert set(_files(tmp_path / "log")) == {
        "checkpoint",
        *bundles,
        *(tile.path for tile in tiles.tiles_of(301)),
    }


def test_one_checkpoint_gives_the_same_bytes(tmp_path: Path) -> None:
    store = opened(tmp_path / "store")
    store.ledger.append([prediction(number) for number in range(300)])
    export.write(store, tmp_path / "first")
    export.write(store, tmp_path / "second")
    export.write(store, tmp_path / "first")
    store.close()
    assert _files(tmp_path / "first") == _files(tmp_path / "second")


def test_an_export_into_an_older_one_verifies_and_a_flipped_byte_does_not(tmp_path: Path) -> None:
    store = opened(tmp_path / "store")
    store.ledger.append([prediction(number) for number in range(300)])
    export.write(store, tmp_path / "log")
    store.ledger.append([prediction(number) for number in range(300, 520)])
    export.write(store, tmp_path / "log")
    told = [str(tmp_path / "log"), "--vkey", store.ledger.vkey]
    store.close()
    assert verify.main(told) == 0
    bundle = tmp_path / "log" / "tile/entries/001"
    raw = bytearray(bundle.read_bytes())
    raw[1000] ^= 1
    bundle.write_bytes(bytes(raw))
    assert verify.main(told) == 1


def test_an_export_holds_nothing_personal(tmp_path: Path) -> None:
    store = opened(tmp_path / "store")
    store.ledger.append([prediction(number) for number in range(300)])
    export.write(store, tmp_path / "log")
    store.close()
    assert not any(b"marker-of" in content for content in _files(tmp_path / "log").values())


def _files(root: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }
