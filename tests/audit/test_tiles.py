"""Names, widths and contents of tiles, and proofs read through them."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit import merkle, tiles
from audit.errors import Rejected, Tampered
from audit.tiles import Tile
from tests.audit.reading import entries_of


def test_paths_are_as_known() -> None:
    assert Tile(0, 1_234_067).path == "tile/0/x001/x234/067"
    assert Tile(15, 123_456_789, 41).path == "tile/15/x123/x456/789.p/41"
    assert Tile(None, 0).path == "tile/entries/000"
    assert Tile(None, 1000, 1).path == "tile/entries/x001/000.p/1"


@pytest.mark.parametrize(
    "path",
    [
        "",
        "tile/0/000/",
        "/tile/0/000",
        "tile/0/000\n",
        "tile/00/000",
        "tile/64/000",
        "tile/0/0",
        "tile/0/0000",
        "tile/0/001/000",
        "tile/0/x000/001",
        "tile/0/x000/x001/001",
        "tile/0/000.p/0",
        "tile/0/000.p/01",
        "tile/0/000.p/256",
        "tile/0/000.p/999",
        "tile/0/000.p/",
        "tile/entry/000",
        "tile/entries/../000",
        "tile/0/\u0660\u0660\u0660",
    ],
)
def test_every_other_form_of_a_path_is_refused(path: str) -> None:
    with pytest.raises(Rejected):
        Tile.parse(path)


@given(
    st.none() | st.integers(0, 63),
    st.integers(0, 10**18 - 1) | st.integers(0, 2000),
    st.integers(1, 256),
)
def test_any_tile_survives_its_path(level: int | None, index: int, width: int) -> None:
    tile = Tile(level, index, width)
    assert Tile.parse(tile.path) == tile


@given(
    st.from_regex(r"tile/(entries|[0-9]{1,3})/(x?[0-9]{1,4}/?){1,7}(\.p/[0-9]{0,4})?") | st.text()
)
def test_what_parses_is_exactly_what_path_writes(path: str) -> None:
    try:
        tile = Tile.parse(path)
    except Rejected:
        return
    assert tile.path == path


@pytest.mark.parametrize(
    ("level", "index", "width"),
    [(-1, 0, 1), (64, 0, 1), (0, -1, 1), (0, 10**18, 1), (0, 0, 0), (0, 0, 257)],
)
def test_what_has_no_path_cannot_be_made(level: int, index: int, width: int) -> None:
    with pytest.raises(Rejected):
        Tile(level, index, width)


def test_the_tiles_of_a_log_are_as_the_specification_counts_them() -> None:
    found = list(tiles.tiles_of(70_000))
    assert [each.index for each in found[:273]] == list(range(273))
    assert found[273:] == [Tile(0, 273, 112), Tile(1, 0), Tile(1, 1, 17), Tile(2, 0, 1)]
    assert list(tiles.tiles_of(256)) == [Tile(0, 0), Tile(1, 0, 1)]
    assert list(tiles.tiles_of(0)) == []
    assert tiles.partial_width(0, 70_000) == 112
    assert tiles.partial_width(2, 70_000) == 1
    assert tiles.partial_width(0, 256) == 0


@given(st.integers(0, 200_000))
def test_widths_agree_with_the_list_of_tiles(size: int) -> None:
    for tile in tiles.tiles_of(size):
        assert tile.level is not None
        assert tiles.width_at(tile.level, tile.index, size) == tile.width
        beyond = tile.index + 1
        if tile.width < tiles.WIDTH:
            assert tiles.width_at(tile.level, beyond, size) == 0


@given(st.lists(st.integers(0, 70_000), max_size=5))
def test_growing_completes_each_full_tile_once(steps: list[int]) -> None:
    size = 0
    seen: list[Tile] = []
    for step in steps:
        seen.extend(tiles.completed(size, size + step))
        size += step
    whole = [each for each in tiles.tiles_of(size) if each.width == tiles.WIDTH]
    assert len(seen) == len(set(seen))
    assert set(seen) == set(whole)


def test_a_subtree_lies_in_one_tile() -> None:
    assert tiles.tile_coordinates(0, 300) == (0, 1, 44, 1)
    assert tiles.tile_coordinates(7, 3) == (0, 1, 128, 128)
    assert tiles.tile_coordinates(8, 300) == (1, 1, 44, 1)
    assert tiles.tile_coordinates(17, 5) == (2, 0, 10, 2)


def test_the_bundle_of_an_entry_is_known() -> None:
    assert tiles.entries_tile(3, 257) == Tile(None, 0)
    assert tiles.entries_tile(256, 257) == Tile(None, 1, 1)
    for index, size in [(-1, 1), (1, 1)]:
        with pytest.raises(Rejected):
            tiles.entries_tile(index, size)


# --- proofs through tiles

SIZE = 66_000
LEAVES = [merkle.leaf_hash(each.to_bytes(4)) for each in range(SIZE)]


def build(size: int) -> dict[str, bytes]:
    stored: dict[str, bytes] = {}
    row, level = LEAVES[:size], 0
    while row:
        for tile in tiles.tiles_of(size):
            if tile.level == level:
                at = tile.index * tiles.WIDTH
                stored[tile.path] = b"".join(row[at : at + tile.width])
        row = [merkle.root_of(row[at : at + 256]) for at in range(0, len(row) // 256 * 256, 256)]
        level += 1
    return stored


def test_proofs_read_through_tiles_hold() -> None:
    for size in (1, 255, 256, 257, SIZE):
        stored = build(size)
        read = tiles.subtree_reader(size, lambda tile, stored=stored: stored[tile.path])  # type: ignore[misc] # mypy cannot infer a lambda's default
        root = merkle.root_of(LEAVES[:size])
        for index in sorted({0, size // 3, size // 2, size - 1}):
            proof = merkle.inclusion_proof(index, size, read)
            merkle.verify_inclusion(LEAVES[index], index, size, proof, root)
            earlier = merkle.root_of(LEAVES[: index + 1])
            proof = merkle.consistency_proof(index + 1, size, read)
            merkle.verify_consistency(index + 1, size, proof, earlier, root)


def test_a_short_tile_is_tampering_and_a_grown_one_is_not() -> None:
    content = b"".join(LEAVES[:256])
    assert tiles.subtree_reader(3, lambda _: content)(1, 0) == merkle.root_of(LEAVES[:2])
    with pytest.raises(Tampered):
        tiles.subtree_reader(3, lambda _: content[:95])(1, 0)
    with pytest.raises(Rejected):
        tiles.subtree_reader(3, lambda _: content)(1, 1)


# --- entry bundles


def test_a_bundle_has_its_known_bytes() -> None:
    assert tiles.encode_bundle([b"ab", b"", b"c"]) == b"\0\x02ab\0\0\0\x01c"


@given(st.lists(st.binary(max_size=300), max_size=256))
def test_any_bundle_survives_its_bytes(entries: list[bytes]) -> None:
    assert entries_of(tiles.encode_bundle(entries)) == entries


def test_bundles_and_entries_have_limits() -> None:
    largest = b"a" * 65_535
    assert entries_of(tiles.encode_bundle([largest])) == [largest]
    for entries in ([b""] * 257, [largest + b"a"]):
        with pytest.raises(Rejected):
            tiles.encode_bundle(entries)


# --- published vectors


def test_published_paths(vectors: Path) -> None:
    cases = json.loads((vectors / "tlog-tiles" / "paths.json").read_text())
    for level, index, width, path in cases["tile_path"]:
        tile = Tile(level, index, width or tiles.WIDTH)
        assert tile.path == path
        assert Tile.parse(path) == tile
    for index, size, path in cases["entries_path_for_index"]:
        assert tiles.entries_tile(index, size).path == path
    for level, path, number, index, width in cases["parse_ok"]:
        assert Tile.parse(f"tile/{level}/{path}") == Tile(number, index, width or tiles.WIDTH)
    for level, path in cases["parse_bad"]:
        with pytest.raises(Rejected):
            Tile.parse(f"tile/{level}/{path}")
