"""The growing edge: the same tree however leaves are grouped, and just the tiles that are full."""

from hypothesis import given, settings
from hypothesis import strategies as st

from audit import merkle
from audit.edge import WIDTH, Edge, TileRow


def leaves(count: int) -> list[bytes]:
    return [merkle.leaf_hash(each.to_bytes(4)) for each in range(count)]


def test_an_empty_edge_has_the_root_of_nothing() -> None:
    assert Edge(0).root() == merkle.EMPTY_ROOT


def test_every_size_around_tiles_has_the_root_of_its_leaves() -> None:
    every = leaves(3 * WIDTH + 2)
    for size in [*range(40), *range(WIDTH - 2, WIDTH + 3), *range(2 * WIDTH - 1, 3 * WIDTH + 3)]:
        edge, _ = Edge(0).append(every[:size])
        assert (edge.size, edge.root()) == (size, merkle.root_of(every[:size]))


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(0, 700), max_size=6))
def test_an_edge_does_not_depend_on_how_leaves_are_grouped(groups: list[int]) -> None:
    every = leaves(sum(groups))
    edge, at = Edge(0), 0
    tiles: list[TileRow] = []
    for count in groups:
        edge, completed = edge.append(every[at : at + count])
        tiles += completed
        at += count
    assert edge.root() == merkle.root_of(every)
    _, all_at_once = Edge(0).append(every)
    assert sorted(tiles) == sorted(all_at_once)


def test_a_full_tile_holds_its_hashes_and_their_root() -> None:
    every = leaves(WIDTH)
    edge, tiles = Edge(0).append(every)
    assert tiles == [(0, 0, b"".join(every), merkle.root_of(every))]
    assert edge.unfinished[0] == ()


def test_tiles_of_the_second_level_come_with_the_last_of_the_first() -> None:
    every = leaves(WIDTH * WIDTH)
    edge, tiles = Edge(0).append(every[:-1])
    assert [level for level, *_ in tiles] == [0] * (WIDTH - 1)
    edge, tiles = edge.append(every[-1:])
    assert [(level, n) for level, n, *_ in tiles] == [(0, WIDTH - 1), (1, 0)]
    assert edge.root() == tiles[-1][3] == merkle.root_of(every)
