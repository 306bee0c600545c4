"""The offline verifier: what is good passes, what is changed is named, what is gone is said."""

import ast
import gzip
import json
import os
import random
import shutil
import subprocess
import sys
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit import checkpoint, merkle, note, tiles, verify
from audit.checkpoint import Checkpoint
from audit.note import Signer
from audit.tiles import Tile
from audit.verify import CANNOT_TELL, OK, TAMPERED, Folder, Report

SIGNER = Signer("log.example/one", bytes(range(32)))
OTHER = Signer("log.example/two", bytes(range(1, 33)))
STRANGER = Signer(SIGNER.name, bytes(range(2, 34)))
HUGE = 66_000  # reaches a second tile of level 1 and a partial one of level 2


def entries_of(count: int) -> list[bytes]:
    return [b"entry %d " % each * (each % 5) for each in range(count)]


def head_of(entries: Sequence[bytes], signer: Signer = SIGNER) -> bytes:
    root = merkle.root_of(map(merkle.leaf_hash, entries))
    return checkpoint.sign(Checkpoint(signer.name, len(entries), root), [signer])


def put(folder: Path, path: str, content: bytes) -> None:
    place = folder / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content)


def write_log(folder: Path, entries: Sequence[bytes], head: bytes | None = None) -> Path:
    """A log as the writing side makes it: the verifier shares no code with this."""
    row, level = [merkle.leaf_hash(each) for each in entries], 0
    while row:
        for at in range(0, len(row), tiles.WIDTH):
            width = min(tiles.WIDTH, len(row) - at)
            number = at // tiles.WIDTH
            put(folder, Tile(level, number, width).path, b"".join(row[at : at + width]))
            if level == 0:
                bundle = tiles.encode_bundle(entries[at : at + width])
                put(folder, Tile(None, number, width).path, bundle)
        full = len(row) // tiles.WIDTH * tiles.WIDTH
        row = [merkle.root_of(row[at : at + tiles.WIDTH]) for at in range(0, full, tiles.WIDTH)]
        level += 1
    put(folder, "checkpoint", head or head_of(entries))
    return folder


def check(
    folder: Path, earlier: Sequence[bytes | None] = (), vkeys: Sequence[str] = (SIGNER.vkey,)
) -> Report:
    named = [(f"number {at}", each) for at, each in enumerate(earlier)]
    return verify.verify(Folder(folder), vkeys, named)


def files_of(folder: Path) -> list[Path]:
    return sorted(each for each in folder.rglob("*") if each.is_file())


@pytest.fixture(scope="module")
def huge(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_log(tmp_path_factory.mktemp("huge"), entries_of(HUGE))


@contextmanager
def changed(place: Path, change: Callable[[bytes], bytes]) -> Iterator[None]:
    """The file with other content for a while."""
    content = place.read_bytes()
    place.write_bytes(change(content))
    try:
        yield
    finally:
        place.write_bytes(content)


@contextmanager
def absent(place: Path) -> Iterator[None]:
    content = place.read_bytes()
    place.unlink()
    try:
        yield
    finally:
        place.write_bytes(content)


def flip(at: int, bit: int = 1) -> Callable[[bytes], bytes]:
    return lambda content: content[:at] + bytes([content[at] ^ bit]) + content[at + 1 :]


# --- what is good


@pytest.mark.parametrize("size", [0, 1, 2, 3, 255, 256, 257, 511, 512, 600])
def test_an_untouched_log_is_ok_against_every_earlier_checkpoint(tmp_path: Path, size: int) -> None:
    entries = entries_of(size)
    report = check(write_log(tmp_path, entries), [head_of(entries[:at]) for at in range(size + 1)])
    assert report.exit_code == OK, report
    assert report.checked == size
    assert report.earlier == size + 1


def test_a_log_of_three_levels_is_ok(huge: Path) -> None:
    earlier = [head_of(entries_of(size)) for size in (1, 65_535, 65_536, 65_537, 65_900)]
    report = check(huge, earlier)
    assert report.exit_code == OK, report
    assert (report.checked, report.earlier) == (HUGE, 5)


def test_full_tiles_stand_in_for_partial_ones_that_a_grown_log_dropped(tmp_path: Path) -> None:
    entries = entries_of(1024)
    write_log(tmp_path, entries, head_of(entries[:700]))
    kept = (tmp_path / "tile/1/000.p/4").read_bytes()[:64]
    put(tmp_path, "tile/1/000.p/2", kept)  # nothing full has taken its place yet
    assert check(tmp_path).exit_code == OK
    with changed(tmp_path / "tile/entries/002", flip(-1)):
        assert check(tmp_path).exit_code == OK  # beyond what the checkpoint speaks of
    with changed(tmp_path / "tile/entries/002", flip(2)):
        assert check(tmp_path).first_bad == 512


def test_after_rotation_either_key_or_both_can_be_pinned(tmp_path: Path) -> None:
    entries = entries_of(3)
    head = Checkpoint(SIGNER.name, 3, merkle.root_of(map(merkle.leaf_hash, entries)))
    write_log(tmp_path, entries, checkpoint.sign(head, [SIGNER, STRANGER]))
    for vkeys in ([SIGNER.vkey], [STRANGER.vkey], [SIGNER.vkey, STRANGER.vkey]):
        assert check(tmp_path, vkeys=vkeys).exit_code == OK


# --- what was changed


def test_every_flipped_byte_of_a_small_log_is_found_at_its_entry(tmp_path: Path) -> None:
    entries = [b"a", b"", b"bcd", b"ef", b"g" * 20]
    write_log(tmp_path, entries)
    starts = [sum(len(each) + 2 for each in entries[:at]) for at in range(len(entries))]
    bundle, tile = tmp_path / "tile/entries/000.p/5", tmp_path / "tile/0/000.p/5"
    for place in (bundle, tile):
        for at in range(len(place.read_bytes())):
            for bit in (1, 128):
                with changed(place, flip(at, bit)):
                    report = check(tmp_path)
                assert report.exit_code == TAMPERED
                if place == tile:
                    assert report.first_bad == at // 32
                else:
                    assert report.first_bad == max(
                        i for i, start in enumerate(starts) if start <= at
                    )


def test_no_flipped_byte_of_a_checkpoint_passes(tmp_path: Path) -> None:
    place = write_log(tmp_path, entries_of(5)) / "checkpoint"
    for at in range(len(place.read_bytes())):
        for bit in (1, 128):
            with changed(place, flip(at, bit)):
                assert check(tmp_path).exit_code in (TAMPERED, CANNOT_TELL)


def test_a_flipped_byte_in_any_tile_is_found_where_it_lies(huge: Path) -> None:
    dice = random.Random(7)  # repeatable
    picked = dice.sample(files_of(huge / "tile"), 25) + files_of(huge / "tile/1")
    for place in [*picked, *files_of(huge / "tile/2")]:
        tile = Tile.parse(str(place.relative_to(huge)))
        at = dice.randrange(len(place.read_bytes()))
        with changed(place, flip(at)):
            report = check(huge)
        assert report.exit_code == TAMPERED
        assert report.span is not None
        assert report.first_bad == report.span[0]
        if tile.level is None:
            assert tile.index * 256 <= report.span[0] == report.span[1] < (tile.index + 1) * 256
        else:
            below = 256**tile.level
            first = (tile.index * 256 + at // 32) * below
            assert report.span == (first, first + below - 1)


def test_the_first_of_several_bad_entries_is_named(huge: Path) -> None:
    with (
        changed(huge / "tile/entries/200", flip(50)),
        changed(huge / "tile/0/100", flip(32 * 9)),
        changed(huge / "tile/0/150", flip(0)),
    ):
        assert check(huge).first_bad == 100 * 256 + 9


def test_a_cut_tile_or_bundle_is_named_at_the_cut(tmp_path: Path) -> None:
    write_log(tmp_path, [b"abc"] * 300)
    for path, keep, index in [
        ("tile/entries/000", 5 * 7 + 3, 7),
        ("tile/entries/000", 0, 0),
        ("tile/entries/001.p/44", 5 * 43 + 1, 256 + 43),
        ("tile/0/000", 32 * 9, 9),
        ("tile/0/000", 32 * 9 + 31, 9),
        ("tile/0/001.p/44", 0, 256),
        ("tile/1/000.p/1", 31, 0),
    ]:
        with changed(tmp_path / path, lambda content, keep=keep: content[:keep]):  # type: ignore[misc] # mypy cannot infer a lambda's default
            report = check(tmp_path)
        assert (report.exit_code, report.first_bad) == (TAMPERED, index), path


def test_bytes_after_the_end_are_tampering(tmp_path: Path) -> None:
    write_log(tmp_path, entries_of(300))
    for place in files_of(tmp_path / "tile"):
        for extra in (b"\0", b"\0" * 32, b"\0" * 20_000_000):
            with changed(place, lambda content, extra=extra: content + extra):  # type: ignore[misc] # as above
                report = check(tmp_path)
            assert report.exit_code == TAMPERED, place
            assert report.first_bad is not None


def test_reordered_entries_are_found_at_the_first(tmp_path: Path) -> None:
    entries = entries_of(300)
    write_log(tmp_path, entries)
    swapped = [*entries]
    swapped[3], swapped[7] = swapped[7], swapped[3]
    put(tmp_path, "tile/entries/000", tiles.encode_bundle(swapped[:256]))
    report = check(tmp_path)
    assert (report.exit_code, report.first_bad) == (TAMPERED, 3)


def test_a_recomputed_chain_without_the_key_fails_at_the_checkpoint(tmp_path: Path) -> None:
    entries = entries_of(600)
    forged = [*entries]
    forged[500] = b"forged"
    write_log(tmp_path, forged, head_of(entries))
    report = check(tmp_path)
    assert (report.exit_code, report.first_bad, report.span) == (TAMPERED, None, (0, 599))
    report = check(tmp_path, [head_of(entries[:size]) for size in (100, 450)])
    assert (report.exit_code, report.first_bad, report.span) == (TAMPERED, None, (450, 599))


def test_a_recomputed_and_signed_chain_fails_between_two_earlier_checkpoints(
    tmp_path: Path,
) -> None:
    """What a thief of the signing key, or the operator, can do at most."""
    entries = entries_of(600)
    forged = [*entries]
    forged[500] = b"forged"
    write_log(tmp_path, forged)
    assert check(tmp_path).exit_code == OK  # nobody could tell from this alone
    report = check(tmp_path, [head_of(entries[:size]) for size in (550, 100, 450, 600)])
    assert (report.exit_code, report.first_bad, report.span) == (TAMPERED, None, (450, 549))


def test_entries_inserted_or_removed_before_an_earlier_checkpoint_are_found(tmp_path: Path) -> None:
    entries = entries_of(300)
    for forged in (entries[:100] + entries[101:], [*entries[:100], b"new", *entries[100:]]):
        folder = tmp_path / str(len(forged))
        write_log(folder, forged)
        report = check(folder, [head_of(entries[:90]), head_of(entries[:200])])
        assert (report.exit_code, report.span) == (TAMPERED, (90, 199))


def test_a_dropped_tail_is_found_against_an_earlier_checkpoint(tmp_path: Path) -> None:
    entries = entries_of(300)
    write_log(tmp_path, entries[:280])
    assert check(tmp_path).exit_code == OK
    report = check(tmp_path, [head_of(entries)])
    assert (report.exit_code, report.span) == (TAMPERED, (280, 299))


def test_two_roots_for_one_size_need_no_tiles_to_be_tampering(tmp_path: Path) -> None:
    put(tmp_path, "checkpoint", head_of(entries_of(5)))
    report = check(tmp_path, [head_of([b"other"] * 5)])
    assert report.exit_code == TAMPERED


def test_an_empty_log_has_one_root_only(tmp_path: Path) -> None:
    put(tmp_path, "checkpoint", checkpoint.sign(Checkpoint(SIGNER.name, 0, bytes(32)), [SIGNER]))
    assert check(tmp_path).exit_code == TAMPERED


def test_a_signature_that_does_not_match_is_tampering(tmp_path: Path) -> None:
    text = head_of(entries_of(5)).replace(b"\n5\n", b"\n6\n")
    assert check(write_log(tmp_path, entries_of(6), text)).exit_code == TAMPERED


# --- what is missing or no use


def test_any_missing_file_leaves_the_verdict_open(huge: Path) -> None:
    dice = random.Random(8)  # repeatable
    some = dice.sample(files_of(huge / "tile"), 12)
    for place in [*some, *files_of(huge / "tile/1"), *files_of(huge / "tile/2")]:
        with absent(place):
            report = check(huge)
        assert report.exit_code == CANNOT_TELL
        assert str(place.relative_to(huge)) in report.missing
    with absent(huge / "checkpoint"):
        assert check(huge).exit_code == CANNOT_TELL


def test_a_missing_tail_leaves_the_verdict_open(tmp_path: Path) -> None:
    write_log(tmp_path, entries_of(600))
    for place in (tmp_path / "tile/entries/002.p/88", tmp_path / "tile/0/002.p/88"):
        place.unlink()
    assert check(tmp_path).exit_code == CANNOT_TELL


def test_many_missing_files_are_counted_and_a_few_named(huge: Path, tmp_path: Path) -> None:
    shutil.copytree(huge, tmp_path / "log")
    shutil.rmtree(tmp_path / "log/tile/entries")
    report = check(tmp_path / "log")
    assert report.exit_code == CANNOT_TELL
    assert report.missing_count == 258
    assert len(report.missing) == 10
    assert report.checked == 0


def test_tampering_is_told_although_other_files_are_missing(huge: Path) -> None:
    with absent(huge / "tile/entries/010"), changed(huge / "tile/0/020", flip(64)):
        report = check(huge)
    assert (report.exit_code, report.first_bad) == (TAMPERED, 20 * 256 + 2)


def test_a_checkpoint_by_another_key_or_of_another_log_proves_nothing(tmp_path: Path) -> None:
    write_log(tmp_path, entries_of(5))
    assert check(tmp_path, vkeys=[STRANGER.vkey]).exit_code == CANNOT_TELL
    assert check(tmp_path, vkeys=[OTHER.vkey]).exit_code == CANNOT_TELL
    text = head_of(entries_of(5)).decode().rpartition("\n\n")[0] + "\n"
    put(tmp_path, "checkpoint", note.sign(text, [OTHER]))
    assert check(tmp_path, vkeys=[OTHER.vkey]).exit_code == CANNOT_TELL


def test_an_earlier_checkpoint_that_is_no_use_leaves_the_verdict_open(tmp_path: Path) -> None:
    entries = entries_of(5)
    write_log(tmp_path, entries)
    foreign = checkpoint.sign(Checkpoint(OTHER.name, 5, bytes(32)), [OTHER])
    broken = head_of(entries).replace(b"\n5\n", b"\n4\n")
    line = f"\N{EM DASH} stranger {b64encode(bytes(900_000)).decode()}\n".encode()
    endless = head_of(entries) + line
    for earlier in (None, b"", b"\xff\xfe", foreign, broken, endless, head_of(entries)[:-10]):
        report = check(tmp_path, [head_of(entries[:3]), earlier])
        assert report.exit_code == CANNOT_TELL
        assert "number 1" in report.reason
        assert report.earlier == 1


@pytest.mark.parametrize(
    "vkey",
    [
        "",
        "nonsense",
        "a+b+c",
        SIGNER.vkey[:-1],
        SIGNER.vkey + "A",
        SIGNER.vkey.replace("+be", "+BE"),
        "\u00e9+\u00e9+\u00e9",
    ],
)
def test_a_key_that_proves_nothing_is_not_used(tmp_path: Path, vkey: str) -> None:
    report = check(write_log(tmp_path, entries_of(5)), vkeys=[vkey])
    assert report.exit_code == CANNOT_TELL
    assert "key" in report.reason


def test_keys_of_low_order_are_refused(tmp_path: Path) -> None:
    """Under the identity this one signature would fit every checkpoint."""
    forged = (1).to_bytes(32, "little") + bytes(32)
    text = head_of(entries_of(5)).decode().rpartition("\n\n")[0] + "\n"
    log = write_log(tmp_path, entries_of(5))
    for y in (0, 1, 2**255 - 20, 2**255 - 19, 2**255 - 18):
        for sign in (0, 1 << 255):
            raw = b"\x01" + (y | sign).to_bytes(32, "little")
            key_id = sha256(SIGNER.name.encode() + b"\n" + raw).digest()[:4]
            line = f"\N{EM DASH} {SIGNER.name} {b64encode(key_id + forged).decode()}\n"
            put(log, "checkpoint", f"{text}\n{line}".encode())
            report = check(log, vkeys=[f"{SIGNER.name}+{key_id.hex()}+{b64encode(raw).decode()}"])
            assert report.exit_code == CANNOT_TELL
            assert "not a usable" in report.reason


def test_no_key_and_keys_of_two_logs_are_refused(tmp_path: Path) -> None:
    write_log(tmp_path, entries_of(5))
    assert check(tmp_path, vkeys=[]).exit_code == CANNOT_TELL
    assert check(tmp_path, vkeys=[SIGNER.vkey, OTHER.vkey]).exit_code == CANNOT_TELL


# --- garbage


GARBAGE = [b"", b"\0", b"\n", b"\xff" * 100, b"\n\n", b"\xe2\x80\x94 a b\n", bytes(9000)]


def test_garbage_in_any_file_is_tampering_and_never_a_crash(tmp_path: Path) -> None:
    write_log(tmp_path, entries_of(300))
    for place in files_of(tmp_path):
        for garbage in GARBAGE:
            with changed(place, lambda _, garbage=garbage: garbage):  # type: ignore[misc] # as above
                assert check(tmp_path).exit_code == TAMPERED, (place, garbage[:10])


def test_a_root_in_a_second_spelling_is_malformed_even_when_signed(tmp_path: Path) -> None:
    text = head_of(entries_of(3)).decode().rpartition("\n\n")[0] + "\n"
    place = write_log(tmp_path, entries_of(3)) / "checkpoint"
    last = text[-3]
    spelled = text[:-3] + chr(ord(last) + 1) + text[-2:]
    place.write_bytes(note.sign(spelled, [SIGNER]))
    report = check(tmp_path)
    assert (report.exit_code, report.reason) == (TAMPERED, "the checkpoint is malformed")


def test_an_oversized_checkpoint_is_tampering(tmp_path: Path) -> None:
    place = write_log(tmp_path, entries_of(3)) / "checkpoint"
    place.write_bytes(place.read_bytes() + b"a" * 2_000_000)
    assert check(tmp_path).exit_code == TAMPERED


def test_a_folder_or_a_pipe_in_place_of_a_file_counts_as_missing(tmp_path: Path) -> None:
    place = write_log(tmp_path, entries_of(3)) / "tile/0/000.p/3"
    place.unlink()
    os.mkfifo(place)
    assert check(tmp_path).exit_code == CANNOT_TELL
    place.unlink()
    place.mkdir()
    assert check(tmp_path).exit_code == CANNOT_TELL


class Shelf:
    """A log in memory, for trying many."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files

    def read(self, path: str, limit: int) -> bytes | None:
        content = self.files.get(path)
        return None if content is None else content[: limit + 1]


SMALL = {
    "checkpoint": head_of([b"ab", b"c"]),
    "tile/0/000.p/2": merkle.leaf_hash(b"ab") + merkle.leaf_hash(b"c"),
    "tile/entries/000.p/2": tiles.encode_bundle([b"ab", b"c"]),
}


@given(
    st.sampled_from(sorted(SMALL)), st.binary(max_size=200), st.integers(0, 250), st.integers(0, 3)
)
def test_no_altered_file_verifies(name: str, garbage: bytes, at: int, kept: int) -> None:
    for content in (garbage, SMALL[name][:at] + garbage + SMALL[name][at + kept :]):
        if content == SMALL[name]:
            continue
        report = verify.verify(Shelf(SMALL | {name: content}), [SIGNER.vkey])
        assert report.exit_code == TAMPERED or name == "checkpoint"
        assert report.exit_code != OK or head_survives(content)


def head_survives(content: bytes) -> bool:
    """A note may gain lines of strangers and stay good; ours is the other opinion."""
    return checkpoint.open(content, SIGNER.verifier).size == 2


@given(st.text(max_size=100))
def test_garbage_keys_never_crash(vkey: str) -> None:
    report = verify.verify(Shelf(SMALL), [vkey])
    assert report.exit_code == CANNOT_TELL


# --- over HTTP


@contextmanager
def served(
    folder: Path, *, zipped: bool = False, version: str = "HTTP/1.1", rude: bool = False
) -> Iterator[str]:
    """A server; a rude one hangs up after each answer without having said so."""

    class Answer(BaseHTTPRequestHandler):
        protocol_version = version
        wbufsize = 65_536  # one packet an answer, or each waits for the kernel's timers

        def do_GET(self) -> None:
            place = folder / self.path.removeprefix("/log/main/")
            if self.path == "/log/main/broken":
                self.send_error(500)
            elif not place.is_file():
                self.send_error(404)
            else:
                content = place.read_bytes()
                self.send_response(200)
                if zipped:
                    content = gzip.compress(content)
                    self.send_header("Content-Encoding", "gzip")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)
                self.close_connection = self.close_connection or rude

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/log/main"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("zipped", "version"), [(False, "HTTP/1.1"), (True, "HTTP/1.1"), (False, "HTTP/1.0")]
)
def test_a_log_is_verified_over_http(
    tmp_path: Path, zipped: bool, version: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_log(tmp_path, entries_of(600))
    with served(tmp_path, zipped=zipped, version=version) as url:
        assert verify.main([url, "--vkey", SIGNER.vkey]) == OK
        assert verify.main([url + "/", "--vkey", SIGNER.vkey]) == OK
        with changed(tmp_path / "tile/0/001", flip(40)):
            assert verify.main([url, "--vkey", SIGNER.vkey]) == TAMPERED
        assert "first bad index: 257" in capsys.readouterr().out
        with changed(tmp_path / "tile/0/001", lambda content: content * 3000):
            assert verify.main([url, "--vkey", SIGNER.vkey]) == TAMPERED
        with absent(tmp_path / "tile/0/001"):
            assert verify.main([url, "--vkey", SIGNER.vkey]) == CANNOT_TELL
    assert verify.main([url, "--vkey", SIGNER.vkey]) == CANNOT_TELL  # nobody answers any more


def test_a_server_that_hangs_up_between_requests_is_asked_again(tmp_path: Path) -> None:
    write_log(tmp_path, entries_of(600))
    with served(tmp_path, rude=True) as url:
        assert verify.main([url, "--vkey", SIGNER.vkey]) == OK


def test_a_server_that_fails_leaves_the_verdict_open(tmp_path: Path) -> None:
    with served(tmp_path) as url:
        address = verify.Address(url)
        with pytest.raises(verify._Unknown, match="500"):
            address.read("broken", 100)
        assert address.read("absent", 100) is None
        address.close()


@pytest.mark.parametrize("url", ["http://", "http://[", "https://host:port/", "http://h/?q=1"])
def test_an_address_that_is_none_leaves_the_verdict_open(url: str) -> None:
    assert verify.main([url, "--vkey", SIGNER.vkey]) == CANNOT_TELL


# --- the command


def test_the_command_tells_ok_tampered_and_cannot_tell_apart(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    entries = entries_of(600)
    log = write_log(tmp_path / "log", entries)
    put(tmp_path, "good", head_of(entries[:100]))
    put(tmp_path, "bad", head_of([b"other"] * 200))
    command = [str(log), "--vkey", SIGNER.vkey]
    good, bad = str(tmp_path / "good"), str(tmp_path / "bad")
    assert verify.main(command) == OK
    assert verify.main([*command, "--earlier", good]) == OK
    assert capsys.readouterr().out.startswith("OK: ")
    assert verify.main([*command, "--earlier", bad, good]) == TAMPERED
    assert "between entries 100 and 199" in capsys.readouterr().out
    assert verify.main([*command, "--earlier", good, "--earlier", bad]) == TAMPERED
    assert capsys.readouterr().out.startswith("TAMPERED: ")
    assert verify.main([*command, "--earlier", str(tmp_path / "none")]) == CANNOT_TELL
    assert verify.main([str(tmp_path / "none"), "--vkey", SIGNER.vkey]) == CANNOT_TELL
    assert capsys.readouterr().out.startswith("CANNOT TELL: ")
    with pytest.raises(SystemExit) as caught:
        verify.main([str(log)])
    assert caught.value.code == CANNOT_TELL


def test_the_command_prints_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = write_log(tmp_path, entries_of(600))
    with changed(log / "tile/entries/001", flip(2)):
        assert verify.main([str(log), "--vkey", SIGNER.vkey, "--json"]) == TAMPERED
    told = json.loads(capsys.readouterr().out)
    assert told["verdict"] == "tampered"
    assert told["exit_code"] == TAMPERED
    assert told["first_bad"] == 256
    assert told["span"] == [256, 256]
    assert (told["origin"], told["size"]) == (SIGNER.name, 600)


def test_the_file_works_alone_without_our_packages(tmp_path: Path) -> None:
    log = write_log(tmp_path / "log", entries_of(300))
    alone = shutil.copy(verify.__file__, tmp_path / "verifier.py")
    command = [sys.executable, "-I", str(alone), str(log), "--vkey", SIGNER.vkey]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert (done.returncode, done.stderr) == (OK, "")
    (log / "tile/entries/000").write_bytes(b"\xff")
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert (done.returncode, done.stderr) == (TAMPERED, "")


def test_the_file_imports_nothing_but_the_standard_library_and_cryptography() -> None:
    imported: set[str] = set()
    for node in ast.walk(ast.parse(Path(verify.__file__).read_text())):
        if isinstance(node, ast.Import):
            imported.update(each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            imported.add(node.module or "")
    rooms = {each.split(".")[0] for each in imported}
    assert rooms - set(sys.stdlib_module_names) == {"cryptography"}
