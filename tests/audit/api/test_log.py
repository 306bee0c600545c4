"""The log over HTTP as tlog-tiles: enough for a stranger to verify all of it."""

import pytest

from audit import checkpoint, merkle, note
from audit.tiles import Tile, decode_hashes, tiles_of
from tests.audit.reading import Site, entries_of, prediction


def test_a_stranger_rebuilds_the_root_from_tiles_without_a_token(site: Site) -> None:
    site.log(*(prediction(n) for n in range(300)))
    verifier = note.Verifier.parse(site.ledger.vkey)
    client = site.client
    signed = checkpoint.open(client.get("/log/main/checkpoint").content, verifier)
    leaves: list[bytes] = []
    for tile in [Tile(None, 0), Tile(None, 1, signed.size - 256)]:
        content = client.get(f"/log/main/{tile.path}").content
        leaves += [merkle.leaf_hash(entry) for entry in entries_of(content)]
    assert merkle.root_of(leaves) == signed.root
    hashes: list[bytes] = []
    for tile in tiles_of(signed.size):
        if tile.level == 0:
            hashes += decode_hashes(client.get(f"/log/main/{tile.path}").content, tile)
    assert hashes == leaves


def test_full_tiles_may_be_kept_and_partial_ones_not(site: Site) -> None:
    site.log(*(prediction(n) for n in range(300)))
    full = site.client.get("/log/main/tile/0/000")
    part = site.client.get("/log/main/tile/0/001.p/5")
    assert "immutable" in full.headers["cache-control"]
    assert part.headers["cache-control"] == "no-cache"
    assert full.headers["content-type"] == "application/octet-stream"


@pytest.mark.parametrize(
    "path",
    [
        "main/tile/0/001",
        "main/tile/0/000.p/256",
        "main/tile/0/0000",
        "main/tile/64/000",
        "main/tile/entries/x001",
        "main/tile/../../secret",
        "other/checkpoint",
        "other/tile/0/000",
    ],
)
def test_what_is_not_there_is_not_found(site: Site, path: str) -> None:
    assert site.client.get(f"/log/{path}").status_code == 404


def test_no_tile_holds_personal_data(site: Site) -> None:
    site.log(prediction())
    size = site.store.reader.size()
    content = site.client.get(f"/log/main/tile/entries/000.p/{size}").content
    assert b"credit" in content
    assert b"secret" not in content.lower()


def test_the_log_names_its_key_and_size(site: Site) -> None:
    found = site.get("/v1/log", "reviewer").json()
    assert found["vkey"] == site.ledger.vkey
    assert found["checkpoint"].startswith(f"{found['origin']}\n{found['size']}\n")
    assert found["store"] == "main"
