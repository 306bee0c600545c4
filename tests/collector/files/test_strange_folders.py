"""Whatever lies in a folder: nothing stops the watcher, leads it out or makes it tell a path."""

import gzip
import os
import random
import shutil
import socket
import threading
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest

from collector.files.folder import DEEPEST, Folder
from collector.files.place import Away, Found, Missing
from tests.collector.files.consumed import line, watching
from tests.collector.files.watched import Place
from tests.collector.streams.counted import Ledger

NAMES = [
    b"secret\nname", b"secret\x1b[31m", b"secret\xff\xfe", b"-secret", b"secret " * 20,
    "secret-ü\u202e".encode(), b"secret%b{}", b"secret\\udcff", b"secret'\"", b"SECRET~",
]  # fmt: skip
ENDINGS = [b".jsonl", b".csv", b".parquet", b".json.gz", b".csv.gz", b".bin", b"", b".parquet.gz"]


def listed(folder: Path) -> list[Found]:
    return Folder(str(folder)).list().found


def contents(chance: random.Random, row: bytes) -> bytes:
    """Bytes of which some look like something."""
    noise = chance.randbytes(chance.randrange(0, 300))
    return chance.choice(
        [noise, gzip.compress(noise), b"PAR1" + noise + b"PAR1", row + noise, b"{" * 5_000,
         b"a,b\n1\n", b'{"id": 1e999}\n[1]\nnull\n', b"\n" * 50, b"",
         gzip.compress(row)[: chance.randrange(60)]]
    )  # fmt: skip


def strange_tree(folder: Path, outside: Path, chance: random.Random, count: int) -> None:
    """Files, folders, links, pipes and sockets with names from strangers."""
    folders = [os.fsencode(folder)]
    for number in range(count):
        name = b"%d-%s" % (number, chance.choice(NAMES))
        at = chance.choice(folders) + b"/" + name
        kind = chance.randrange(10)
        if kind < 5:
            with open(at + chance.choice(ENDINGS), "wb") as file:  # noqa: PTH123 - no Unicode
                file.write(contents(chance, line("noise")))
        elif kind < 7:
            os.mkdir(at)  # noqa: PTH102 - no Unicode
            folders.append(at)
        elif kind == 7:
            os.mkfifo(at + b".jsonl")
        elif kind == 8:
            target = chance.choice([outside, outside / "outside.jsonl", folder, Path("nowhere")])
            os.symlink(target, at + chance.choice([b"", b".jsonl"]))  # noqa: PTH211 - no Unicode
        else:
            with socket.socket(socket.AF_UNIX) as end, suppress(OSError):
                end.bind(at[:90] + b".csv")


@pytest.mark.parametrize("seed", range(6))
def test_nothing_in_a_folder_stops_the_watcher(place: Place, tmp_path: Path, seed: int) -> None:
    chance, outside = random.Random(seed), tmp_path / "outside"
    outside.mkdir()
    (outside / "outside.jsonl").write_bytes(line("outside"))
    strange_tree(place.folder, outside, chance, 60)
    (place.folder / "zz.jsonl").write_bytes(line("good-1"))
    stop = threading.Event()

    def change() -> None:
        """Make folders come, go and turn into links while they are read."""
        while not stop.wait(0.001):
            comes = place.folder / f"secret-comes-{chance.randrange(4)}"
            with suppress(OSError):
                if comes.is_symlink():
                    comes.unlink()
                elif comes.is_dir():
                    shutil.rmtree(comes)
                elif chance.random() < 0.5:
                    comes.symlink_to(outside)
                else:
                    comes.mkdir()
                    (comes / "outside.jsonl").write_bytes(line(f"comes-{chance.randrange(99)}"))

    changing = threading.Thread(target=change, name="changing")
    changing.start()
    try:
        watcher = place.watcher(final_after="1s", every="1s", now=place.later(10))
        watcher.look(5)
        (place.folder / "zzz.jsonl").write_bytes(line("good-2"))
        watcher.look(2)
    finally:
        stop.set()
        changing.join()
    times = Counter(place.ids())
    assert (times["good-1"], times["good-2"], times["outside"]) == (1, 1, 0)
    assert max(times.values()) == 1
    assert "secret" not in "".join(place.told).lower()
    assert not watcher.counts.away


def test_no_link_leads_out_even_if_it_came_after_the_listing(tmp_path: Path) -> None:
    inside, outside = tmp_path / "in", tmp_path / "out"
    for folder in (inside / "a", outside):
        folder.mkdir(parents=True)
        (folder / "x.jsonl").write_bytes(line("x"))
    [found] = listed(inside)
    shutil.rmtree(inside / "a")
    (inside / "a").symlink_to(outside)
    place = Folder(str(inside))
    with pytest.raises(Away):
        place.open(found.at)
    (inside / "b.jsonl").symlink_to(outside / "x.jsonl")
    for at in ("b.jsonl", "../out/x.jsonl", "a/../../out/x.jsonl", "", "a"):
        with pytest.raises(Away):
            place.open(f"{inside}/{at}")
    assert listed(inside) == []
    with pytest.raises(Missing):
        place.open(f"{inside}/none")


def test_a_folder_that_is_itself_a_link_is_watched(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "x.jsonl").write_bytes(b"x")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    [found] = listed(tmp_path / "link")
    with Folder(str(tmp_path / "link")).open(found.at) as file:
        assert file.read() == b"x"


def test_folders_deep_inside_each_other_are_not_looked_into(tmp_path: Path) -> None:
    deep = tmp_path
    for level in range(DEEPEST + 40):
        (deep / "x.jsonl").write_bytes(b"%d" % level)
        deep = deep / "d"
        deep.mkdir()
    assert len(listed(tmp_path)) == DEEPEST


def test_what_this_account_may_not_read_is_told_once_and_the_rest_is_logged(
    tmp_path: Path,
) -> None:
    ledger, files = Ledger(tmp_path / "data"), tmp_path / "files"
    before: tuple[str, ...] = ()
    if os.geteuid() == 0:  # who may read everything, but for this
        if shutil.which("setpriv") is None:
            pytest.skip("this account may read everything")
        before = ("setpriv", "--bounding-set=-dac_override,-dac_read_search")
    (files / "secret-folder").mkdir(parents=True)
    (files / "secret-folder" / "a.jsonl").write_bytes(line("a"))
    (files / "secret.jsonl").write_bytes(line("b"))
    (files / "z.jsonl").write_bytes(line("z"))
    (files / "secret.jsonl").chmod(0)
    (files / "secret-folder").chmod(0)
    try:
        with (
            ledger.watched() as until,
            watching(tmp_path, ledger.data, location=str(files), before=before) as process,
        ):
            until(1, process)
            process.await_told("1 folders cannot be looked into")
            process.await_told("a file cannot be opened: PermissionError")
            (files / "secret.jsonl").chmod(0o600)
            until(2, process)
            assert process.stop() == 0
            assert process.told().count("PermissionError") == 1
            assert "secret" not in process.told()
    finally:
        (files / "secret-folder").chmod(0o700)
    assert {body["id"] for body in ledger.bodies()} == {"b", "z"}
