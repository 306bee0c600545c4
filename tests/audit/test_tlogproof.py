"""The one-file proof: its bytes, and that it holds for its entry alone."""

import json
from base64 import b64decode
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit import checkpoint, merkle, tlogproof
from audit.checkpoint import Checkpoint
from audit.errors import AuditError, Rejected, Tampered, Unverifiable
from audit.note import Signer
from audit.tlogproof import TlogProof

SIGNER = Signer("log.example/one", bytes(range(32)))
LEAVES = [merkle.leaf_hash(bytes([each])) for each in range(5)]


def read(level: int, index: int) -> bytes:
    return merkle.root_of(LEAVES[index << level : (index + 1) << level])


HEAD = Checkpoint(SIGNER.name, 5, merkle.root_of(LEAVES))
PROOF = TlogProof(2, tuple(merkle.inclusion_proof(2, 5, read)), checkpoint.sign(HEAD, [SIGNER]))
HASH = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="


def test_a_proof_has_its_known_bytes() -> None:
    bare = TlogProof(7, (bytes(32),), b"log\n1\n\nsigned\n", b"more")
    message = f"c2sp.org/tlog-proof@v1\nextra bW9yZQ==\nindex 7\n{HASH}\n\nlog\n1\n\nsigned\n"
    assert tlogproof.marshal(bare) == message.encode()
    assert tlogproof.parse(message.encode()) == bare


def test_a_proof_holds_for_its_leaf_and_names_its_checkpoint() -> None:
    parsed = tlogproof.parse(tlogproof.marshal(PROOF))
    assert tlogproof.verify(parsed, LEAVES[2], SIGNER.verifier) == HEAD


def test_a_proof_holds_for_nothing_else() -> None:
    flipped = bytes([PROOF.hashes[0][0] ^ 1]) + PROOF.hashes[0][1:]
    for proof, leaf in [
        (PROOF, LEAVES[3]),
        (replace(PROOF, index=3), LEAVES[2]),
        (replace(PROOF, hashes=PROOF.hashes[1:]), LEAVES[2]),
        (replace(PROOF, hashes=(flipped, *PROOF.hashes[1:])), LEAVES[2]),
        (replace(PROOF, checkpoint=PROOF.checkpoint.replace(b"\n5\n", b"\n6\n")), LEAVES[2]),
    ]:
        with pytest.raises(Tampered):
            tlogproof.verify(proof, leaf, SIGNER.verifier)
    with pytest.raises(Rejected):
        tlogproof.verify(replace(PROOF, index=5), LEAVES[2], SIGNER.verifier)
    with pytest.raises(Unverifiable):
        tlogproof.verify(PROOF, LEAVES[2], Signer(SIGNER.name, bytes(32)).verifier)


@pytest.mark.parametrize(
    "message",
    [
        "",
        "c2sp.org/tlog-proof@v1\n",
        "c2sp.org/tlog-proof@v1\nindex 1\n",
        "c2sp.org/tlog-proof@v2\nindex 1\n\n",
        "c2sp.org/tlog-proof@v1\n\nindex 1\n\n",
        "c2sp.org/tlog-proof@v1\nindex 01\n\n",
        "c2sp.org/tlog-proof@v1\nindex  1\n\n",
        "c2sp.org/tlog-proof@v1\nindex 1 \n\n",
        f"c2sp.org/tlog-proof@v1\nindex {2**63 - 1}\n\n",
        f"c2sp.org/tlog-proof@v1\nindex {2**70}\n\n",
        "c2sp.org/tlog-proof@v1\nindex 1\nextra AAAA\n\n",
        "c2sp.org/tlog-proof@v1\nextra AAAA\nextra AAAA\nindex 1\n\n",
        "c2sp.org/tlog-proof@v1\nextra AAB=\nindex 1\n\n",
        "c2sp.org/tlog-proof@v1\nindex 1\nAAAA\n\n",
        f"c2sp.org/tlog-proof@v1\nindex 1\n{HASH[:-2]}B=\n\n",
        f"c2sp.org/tlog-proof@v1\r\nindex 1\r\n{HASH}\r\n\r\n",
        f"c2sp.org/tlog-proof@v1\nindex 1\n{HASH}\u00e9\n\n",
        "c2sp.org/tlog-proof@v1\nindex 1\n" + f"{HASH}\n" * 64 + "\n",
        "c2sp.org/tlog-proof@v1\nindex 1\n\n" + "a" * tlogproof.MAX_PROOF_BYTES,
    ],
)
def test_every_other_form_is_refused(message: str) -> None:
    with pytest.raises(Rejected):
        tlogproof.parse(message.encode())


@pytest.mark.parametrize(
    ("index", "hashes"), [(-1, ()), (2**63 - 1, ()), (1, (b"short",)), (1, (bytes(32),) * 64)]
)
def test_what_has_no_file_cannot_be_made(index: int, hashes: tuple[bytes, ...]) -> None:
    with pytest.raises(Rejected):
        TlogProof(index, hashes, b"")


proofs = st.builds(
    TlogProof,
    st.integers(0, 2**63 - 2),
    st.lists(st.binary(min_size=32, max_size=32), max_size=63).map(tuple),
    st.binary(max_size=100),
    st.none() | st.binary(max_size=100),
)


@given(proofs)
def test_any_proof_survives_its_bytes(proof: TlogProof) -> None:
    assert tlogproof.parse(tlogproof.marshal(proof)) == proof


@given(proofs, st.binary(max_size=60), st.integers(0, 200), st.integers(0, 3))
def test_what_parses_is_exactly_what_marshal_writes(
    proof: TlogProof, garbage: bytes, at: int, kept: int
) -> None:
    whole = tlogproof.marshal(proof)
    for message in (garbage, whole[:at] + garbage + whole[at + kept :]):
        try:
            parsed = tlogproof.parse(message)
        except Rejected:
            continue
        assert tlogproof.marshal(parsed) == message
        with pytest.raises(AuditError):
            tlogproof.verify(parsed, LEAVES[0], SIGNER.verifier)


def test_published_proofs(vectors: Path) -> None:
    cases = json.loads((vectors / "tlog-proof" / "tlog-proofs.json").read_text())
    assert cases["marshal"]
    assert cases["invalid"]
    for case in cases["marshal"]:
        proof = TlogProof(
            case["index"],
            tuple(b64decode(each) for each in case["hashes"]),
            case["checkpoint"].encode(),
            None if case["extra"] is None else case["extra"].encode(),
        )
        assert tlogproof.marshal(proof) == case["want"].encode()
        assert tlogproof.parse(case["want"].encode()) == proof
    for _, message in cases["invalid"]:
        with pytest.raises(Rejected):
            tlogproof.parse(message.encode())
