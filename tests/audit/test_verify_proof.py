"""The offline verifier over one `.tlog-proof`: what it accepts and finds, when it cannot tell."""

import json
from base64 import b64encode
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from audit import merkle, tlogproof, verify
from audit.note import Signer
from audit.tlogproof import TlogProof
from audit.verify import CANNOT_TELL, OK, TAMPERED, Report
from tests.audit.logs import OTHER, SIGNER, STRANGER, entries_of, head_of


def proof_of(size: int, index: int, *, carried: bool = True) -> TlogProof:
    entries = entries_of(size)
    leaves = [merkle.leaf_hash(each) for each in entries]
    hashes = tuple(path_of(leaves, index))
    return TlogProof(index, hashes, head_of(entries), entries[index] if carried else None)


def path_of(leaves: list[bytes], index: int) -> list[bytes]:
    """The proof by the recursive definition of RFC 6962 section 2.1.1."""
    if len(leaves) == 1:
        return []
    split = 1 << (len(leaves) - 1).bit_length() - 1
    if index < split:
        return [*path_of(leaves[:split], index), merkle.root_of(leaves[split:])]
    return [*path_of(leaves[split:], index - split), merkle.root_of(leaves[:split])]


def checked(proof: TlogProof, **how: Any) -> Report:
    return verify.verify_proof(tlogproof.marshal(proof), [SIGNER.vkey], **how)


def test_every_entry_of_every_small_log_is_proved_and_no_other_place_of_it() -> None:
    for size in range(1, 36):
        for index in range(size):
            proof = proof_of(size, index)
            assert checked(proof).exit_code == OK, (size, index)
            for other in {0, index ^ 1, index + 1, size - 1, size} - {index}:
                assert checked(replace(proof, index=other)).exit_code == TAMPERED, (size, other)


def test_what_the_proved_entry_says_is_told() -> None:
    report = checked(proof_of(9, 5))
    assert report.entry == entries_of(9)[5].decode()
    assert (report.size, report.checked, report.first_bad) == (9, 1, None)


def test_a_flipped_byte_anywhere_is_never_ok() -> None:
    whole = tlogproof.marshal(proof_of(21, 13))
    for place in range(len(whole)):
        bad = whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]
        report = verify.verify_proof(bad, [SIGNER.vkey])
        assert report.exit_code != OK, place
        assert report.entry is None


def test_every_proof_that_is_cut_short_is_never_ok() -> None:
    whole = tlogproof.marshal(proof_of(21, 13))
    for end in range(len(whole)):
        assert verify.verify_proof(whole[:end], [SIGNER.vkey]).exit_code != OK, end


def test_a_hash_too_many_or_too_few_is_tampering() -> None:
    proof = proof_of(21, 13)
    for hashes in (proof.hashes[:-1], (*proof.hashes, bytes(32)), ()):
        report = checked(replace(proof, hashes=hashes))
        assert (report.exit_code, report.first_bad) == (TAMPERED, 13)


def test_a_receipt_names_the_entry_where_the_proof_does_not_carry_it() -> None:
    proof = proof_of(9, 5, carried=False)
    assert checked(proof).exit_code == CANNOT_TELL
    assert "--leaf-hash" in checked(proof).reason
    entries = entries_of(9)
    assert checked(proof, leaf_hash=merkle.leaf_hash(entries[5])).exit_code == OK
    assert checked(proof, leaf_hash=merkle.leaf_hash(entries[4])).exit_code == TAMPERED


def test_the_receipt_decides_and_not_what_the_proof_carries() -> None:
    """Extra data of a proof is covered by no signature."""
    proof = proof_of(9, 5)
    other = merkle.leaf_hash(entries_of(9)[4])
    assert checked(proof, leaf_hash=other).exit_code == TAMPERED
    lying = replace(proof, extra=b'{"model":"another"}')
    assert checked(lying).exit_code == TAMPERED
    report = checked(lying, leaf_hash=merkle.leaf_hash(entries_of(9)[5]))
    assert (report.exit_code, report.entry) == (OK, None)


@pytest.mark.parametrize("signer", [OTHER, STRANGER])
def test_a_checkpoint_that_no_pinned_key_signed_cannot_tell(signer: Signer) -> None:
    proof = replace(proof_of(9, 5), checkpoint=head_of(entries_of(9), signer))
    assert checked(proof).exit_code == CANNOT_TELL


def test_an_earlier_checkpoint_of_the_same_size_is_compared_and_another_needs_the_tiles() -> None:
    proof = proof_of(9, 5)
    same = [("mine", proof.checkpoint)]
    assert checked(proof, earlier=same).earlier == 1
    forked = [("mine", head_of([*entries_of(8), b"other"]))]
    assert checked(proof, earlier=forked).exit_code == TAMPERED
    older = [("mine", head_of(entries_of(4)))]
    report = checked(proof, earlier=older)
    assert report.exit_code == CANNOT_TELL
    assert "needs the tiles" in report.reason


def test_the_command_takes_a_proof_from_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "entry-5.tlog-proof"
    place.write_bytes(tlogproof.marshal(proof_of(9, 5)))
    assert verify.main([str(place), "--vkey", SIGNER.vkey]) == OK
    assert "entry 5 is in the log that was signed" in capsys.readouterr().out
    wrong = b64encode(bytes(32)).decode()
    words = [str(place), "--vkey", SIGNER.vkey, "--leaf-hash", wrong, "--json"]
    assert verify.main(words) == TAMPERED
    told = json.loads(capsys.readouterr().out)
    assert (told["verdict"], told["first_bad"]) == ("tampered", 5)


@pytest.mark.parametrize("given", ["", "AAAA", "not base64", "A" * 43])
def test_a_leaf_hash_that_is_none_cannot_tell(
    given: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "entry-5.tlog-proof"
    place.write_bytes(tlogproof.marshal(proof_of(9, 5)))
    words = [str(place), "--vkey", SIGNER.vkey, f"--leaf-hash={given}"]
    assert verify.main(words) == CANNOT_TELL
    assert "--leaf-hash" in capsys.readouterr().out


def test_another_file_is_no_proof_and_a_directory_takes_no_leaf_hash(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "notes.txt"
    place.write_text("anything")
    assert verify.main([str(place), "--vkey", SIGNER.vkey]) == CANNOT_TELL
    assert "no .tlog-proof" in capsys.readouterr().out
    leaf_hash = b64encode(bytes(32)).decode()
    words = [str(tmp_path), "--vkey", SIGNER.vkey, "--leaf-hash", leaf_hash]
    assert verify.main(words) == CANNOT_TELL
    assert "goes with a .tlog-proof" in capsys.readouterr().out
