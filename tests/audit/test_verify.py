"""The offline verifier: what is good passes, what is changed is named, what is gone is said."""

import random
import shutil
from base64 import b64encode
from hashlib import sha256
from pathlib import Path

import pytest

from audit import checkpoint, merkle, note, tiles
from audit.checkpoint import Checkpoint
from audit.tiles import Tile
from audit.verify import CANNOT_TELL, OK, TAMPERED
from tests.audit.logs import (
    OTHER,
    SIGNER,
    STRANGER,
    absent,
    changed,
    check,
    entries_of,
    files_of,
    flip,
    head_of,
    put,
    write_log,
)

HUGE = 66_000  # reaches a second tile of level 1 and a partial one of level 2


@pytest.fixture(scope="module")
def huge(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_log(tmp_path_factory.mktemp("huge"), entries_of(HUGE))


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
