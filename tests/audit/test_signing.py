"""Checkpoints never contradict each other, whoever of several signs, and forget nothing."""

import os
import threading
from pathlib import Path

import pytest

from audit import checkpoint, note
from audit.errors import Busy, RolledBack, Tampered
from audit.signing import Checkpoints

KEY = note.Signer("example/log", b"k" * 32)


def _root(size: int) -> bytes:
    return size.to_bytes(32)


class Stored:
    """A stored tree of this size whose root at every size is `_root` of it."""

    def __init__(self, size: int) -> None:
        self.size = size

    def committed(self) -> tuple[int, bytes]:
        return self.size, _root(self.size)

    def root_at(self, size: int) -> bytes:
        return _root(size)


def _signer(folder: Path) -> Checkpoints:
    return Checkpoints(KEY, folder / "checkpoints" / "last-signed", Stored(10**6))


def test_what_is_signed_is_verified_by_the_key(tmp_path: Path) -> None:
    signer = _signer(tmp_path)
    signed = signer.sign(5, _root(5))
    opened = checkpoint.open(signed, note.Verifier.parse(KEY.vkey))
    assert (opened.size, opened.root) == (5, _root(5))
    signer.close()


def test_nothing_behind_the_last_signed_is_signed(tmp_path: Path) -> None:
    signer = _signer(tmp_path)
    last = signer.sign(5, _root(5))
    assert signer.sign(3, _root(3)) == last
    assert signer.sign(5, _root(5)) == last
    with pytest.raises(Tampered, match="another root"):
        signer.sign(5, _root(6))
    signer.close()


def test_the_last_signed_outlives_the_process(tmp_path: Path) -> None:
    first = _signer(tmp_path)
    last = first.sign(5, _root(5))
    first.close()
    second = _signer(tmp_path)
    assert second.last == checkpoint.Checkpoint("example/log", 5, _root(5))
    assert second.sign(4, _root(4)) == last
    with pytest.raises(Tampered):
        second.sign(5, _root(7))
    second.close()


def test_two_signers_know_of_each_other(tmp_path: Path) -> None:
    one, two = _signer(tmp_path), _signer(tmp_path)
    later = one.sign(9, _root(9))
    assert two.sign(7, _root(7)) == later
    one.sign(10, _root(10))
    with pytest.raises(Tampered, match="another"):
        two.sign(10, _root(11))
    one.close()
    two.close()


def test_a_short_checkpoint_leaves_nothing_of_a_longer_one(tmp_path: Path) -> None:
    signer = _signer(tmp_path)
    for size in (9, 99_999_999, 100_000_000):
        signer.sign(size, _root(size))
    signer.close()
    again = _signer(tmp_path)
    assert again.last is not None
    assert again.last.size == 100_000_000
    again.close()


def test_what_another_process_signed_and_the_database_lost_is_a_rollback(tmp_path: Path) -> None:
    other = _signer(tmp_path)
    other.sign(200, _root(200))
    path = tmp_path / "checkpoints" / "last-signed"
    ours = Checkpoints(KEY, path, Stored(150))
    ours._last, ours._note = None, b""  # as it was before the other process signed
    with pytest.raises(RolledBack):
        ours.sign(150, _root(150))
    other.close()
    ours.close()


def test_a_damaged_or_foreign_record_is_refused(tmp_path: Path) -> None:
    signer = _signer(tmp_path)
    signer.sign(5, _root(5))
    signer.close()
    path = tmp_path / "checkpoints" / "last-signed"
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b"\n5\n", b"\n4\n"))
    with pytest.raises(Tampered, match="damaged"):
        _signer(tmp_path)
    path.write_bytes(whole)
    with pytest.raises(Tampered, match="damaged"):
        Checkpoints(note.Signer("example/log", b"x" * 32), path, Stored(0))


def test_many_threads_sign_without_ever_going_back(tmp_path: Path) -> None:
    signers = [_signer(tmp_path) for _ in range(4)]
    sizes: list[list[int]] = [[] for _ in signers]

    def work(number: int) -> None:
        for size in range(1, 60):
            signed = signers[number].sign(size, _root(size)).decode()
            sizes[number].append(checkpoint.parse(signed.partition("\n\n")[0] + "\n").size)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for signer, seen in zip(signers, sizes, strict=True):
        assert seen == sorted(seen)
        assert all(got >= asked for asked, got in enumerate(seen, 1))
        signer.close()


class Disk:
    """Counts what is flushed, with what the file held then; a clock beside it that a test moves."""

    def __init__(self) -> None:
        self.held: list[bytes] = []
        self.broken = False
        self.now = 0.0

    def __call__(self, file: int) -> None:
        if self.broken:
            raise OSError(5, "input/output error")
        self.held.append(os.pread(file, 4096, 0).rstrip(b"\n") + b"\n")

    def seconds(self) -> float:
        return self.now


def _flushed(folder: Path, disk: Disk) -> Checkpoints:
    path = folder / "checkpoints" / "last-signed"
    return Checkpoints(KEY, path, Stored(3), disk, disk.seconds)


def test_what_is_signed_is_on_disk_within_a_second_and_when_it_is_closed(tmp_path: Path) -> None:
    disk = Disk()
    signer = _flushed(tmp_path, disk)
    signer.sign(1, _root(1))
    disk.now = 0.9
    signer.sign(2, _root(2))
    assert disk.held == []
    disk.now = 1.0
    third = signer.sign(3, _root(3))
    assert disk.held == [third]
    for _ in range(3):  # nothing new: nothing to flush
        disk.now += 1
        signer.sign(3, _root(3))
        signer.newest()
    assert disk.held == [third]
    fourth = signer.sign(4, _root(4))
    signer.close()
    assert disk.held[-1] == fourth


def test_whoever_asks_has_what_was_signed_before_flushed(tmp_path: Path) -> None:
    disk = Disk()
    signer = _flushed(tmp_path, disk)
    third = signer.sign(3, _root(3))
    assert signer.newest() == third
    assert disk.held == []
    disk.now = 1.0
    assert signer.newest() == third
    assert disk.held == [third]
    signer.close()


def test_a_disk_that_takes_nothing_is_told_until_it_does(tmp_path: Path) -> None:
    disk = Disk()
    signer = _flushed(tmp_path, disk)
    disk.now, disk.broken = 1.0, True
    for _ in range(2):
        with pytest.raises(Busy, match="disk"):
            signer.sign(3, _root(3))
    disk.broken = False
    assert signer.sign(3, _root(3)) == disk.held[-1]
    signer.close()


def test_a_power_cut_between_two_sectors_leaves_a_whole_note(tmp_path: Path) -> None:
    """Disks write sectors of 512 bytes whole, in any order."""
    path = tmp_path / "checkpoints" / "last-signed"
    signer = _signer(tmp_path)
    signer.sign(9, _root(9))
    old = path.read_bytes()
    signer.sign(10_000_000, _root(10_000_000))
    new = path.read_bytes()
    signer.close()
    assert len(old) == len(new) == 4096
    for written in range(1 << 8):
        torn = b"".join(
            (new if written >> n & 1 else old)[512 * n : 512 * (n + 1)] for n in range(8)
        )
        path.write_bytes(torn)
        again = _signer(tmp_path)
        assert again.last is not None
        assert again.last.size == (10_000_000 if written & 1 else 9)
        again.close()
