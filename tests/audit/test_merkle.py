"""Merkle hashing and proofs against the published vectors and the recursive definition."""

import hashlib
import itertools
import json
from base64 import b64decode
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit import merkle
from audit.errors import AuditError, Rejected, Tampered
from audit.merkle import EMPTY_ROOT

LARGEST = 64
LEAVES = [merkle.leaf_hash(bytes([each])) for each in range(LARGEST)]


@cache
def defined_root(begin: int, end: int) -> bytes:
    """MTH(D[begin:end]) word for word as RFC 6962 section 2.1 has it."""
    count = end - begin
    if count == 0:
        return hashlib.sha256(b"").digest()
    if count == 1:
        return hashlib.sha256(b"\x00" + bytes([begin])).digest()
    k = 1
    while k * 2 < count:
        k *= 2
    left, right = defined_root(begin, begin + k), defined_root(begin + k, end)
    return hashlib.sha256(b"\x01" + left + right).digest()


def read(level: int, index: int) -> bytes:
    return defined_root(index << level, (index + 1) << level)


def flips(proof: list[bytes]) -> Iterator[list[bytes]]:
    for at, each in enumerate(proof):
        yield [*proof[:at], bytes([each[0] ^ 1]) + each[1:], *proof[at + 1 :]]


# --- roots and edges


def test_known_answers_hold() -> None:
    """Of our own, for where the vectors are absent: three leaves `a`, `b`, `c`."""
    a, b, c = (merkle.leaf_hash(each) for each in (b"a", b"b", b"c"))
    assert a.hex() == "022a6979e6dab7aa5ae4c3e5e45f7e977112a7e63593820dbec1ec738a24f93c"
    assert merkle.EMPTY_ROOT.hex() == (
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    )
    root = merkle.root_of([a, b, c])
    assert root == merkle.node_hash(merkle.node_hash(a, b), c)
    assert root.hex() == "36642e73c2540ab121e3a6bf9545b0a24982cd830eb13d3cd19de3ce6c021ec1"


def test_roots_of_all_small_trees_are_as_defined() -> None:
    for size in range(LARGEST + 1):
        assert merkle.root_of(LEAVES[:size]) == defined_root(0, size)


# --- proofs, exhaustively


def test_every_inclusion_proof_of_small_trees_holds_and_no_altered_one_does() -> None:
    for size in range(1, LARGEST + 1):
        root = defined_root(0, size)
        for index in range(size):
            leaf = LEAVES[index]
            proof = merkle.inclusion_proof(index, size, read)
            merkle.verify_inclusion(leaf, index, size, proof, root)
            longer = [*proof, leaf]
            for bad in itertools.chain(flips(proof), [longer], [proof[:-1]] if proof else []):
                with pytest.raises(Tampered) as caught:
                    merkle.verify_inclusion(leaf, index, size, bad, root)
                assert caught.value.index == index
            for wrong in {index - 1, index + 1, size - 1} - {-1, size, index}:
                with pytest.raises(Tampered):
                    merkle.verify_inclusion(leaf, wrong, size, proof, root)


def test_every_consistency_proof_of_small_trees_holds_and_no_altered_one_does() -> None:
    for size2 in range(1, LARGEST + 1):
        root2 = defined_root(0, size2)
        for size1 in range(1, size2 + 1):
            root1 = defined_root(0, size1)
            proof = merkle.consistency_proof(size1, size2, read)
            merkle.verify_consistency(size1, size2, proof, root1, root2)
            longer = [*proof, root1]
            for bad in itertools.chain(flips(proof), [longer], [proof[:-1]] if proof else []):
                with pytest.raises(Tampered):
                    merkle.verify_consistency(size1, size2, bad, root1, root2)
            for bad1, bad2 in [(EMPTY_ROOT, root2), (root1, EMPTY_ROOT)]:
                with pytest.raises(Tampered):
                    merkle.verify_consistency(size1, size2, proof, bad1, bad2)


def test_proofs_of_a_huge_tree_read_few_hashes() -> None:
    reads: list[tuple[int, int]] = []

    def counted(level: int, index: int) -> bytes:
        reads.append((level, index))
        return EMPTY_ROOT

    merkle.inclusion_proof(123_456_789, 10**12 - 1, counted)
    merkle.consistency_proof(123_456_789, 10**12 - 1, counted)
    assert len(reads) <= 4 * 40


def test_questions_without_an_answer_are_rejected() -> None:
    root = LEAVES[0]
    for index, size in [(-1, 1), (1, 1), (0, 0), (0, -1)]:
        with pytest.raises(Rejected):
            merkle.inclusion_proof(index, size, read)
        with pytest.raises(Rejected):
            merkle.verify_inclusion(root, index, size, [], root)
    for size1, size2 in [(2, 1), (-1, 1)]:
        with pytest.raises(Rejected):
            merkle.consistency_proof(size1, size2, read)
        with pytest.raises(Rejected):
            merkle.verify_consistency(size1, size2, [], root, root)
    with pytest.raises(Rejected):
        merkle.verify_consistency(0, 1, [], EMPTY_ROOT, root)
    with pytest.raises(Rejected):
        merkle.verify_inclusion(root[:31], 0, 1, [], root[:31])
    assert merkle.consistency_proof(0, 5, read) == []


@given(
    st.integers(-2, 2**70),
    st.integers(-2, 2**70),
    st.lists(st.one_of(st.binary(max_size=40), st.binary(min_size=32, max_size=32)), max_size=80),
)
def test_verifiers_raise_only_our_errors(first: int, second: int, proof: list[bytes]) -> None:
    leaf, root = LEAVES[:2]
    if (first, second) != (0, 1):
        with pytest.raises(AuditError):
            merkle.verify_inclusion(leaf, first, second, proof, root)
    with pytest.raises(AuditError):
        merkle.verify_consistency(first, second, proof, leaf, root)


# --- published vectors


def field(case: dict[str, Any], name: str) -> bytes:
    return b64decode(case[name] or "")


def proof_of(case: dict[str, Any]) -> list[bytes]:
    return [b64decode(each) for each in case["proof"] or []]


def cases(folder: Path) -> list[dict[str, Any]]:
    found = [json.loads(each.read_text()) for each in sorted(folder.rglob("*.json"))]
    assert found
    return found


def holds(case: dict[str, Any], verify: Any, *arguments: Any) -> None:
    if case["wantErr"]:
        with pytest.raises(AuditError):
            verify(*arguments)
    else:
        verify(*arguments)


def test_published_inclusion_cases(vectors: Path) -> None:
    found = cases(vectors / "rfc6962-merkle" / "inclusion")
    assert len(found) == 98
    for case in found:
        holds(
            case,
            merkle.verify_inclusion,
            field(case, "leafHash"),
            case["leafIdx"],
            case["treeSize"],
            proof_of(case),
            field(case, "root"),
        )


def test_published_consistency_cases(vectors: Path) -> None:
    found = cases(vectors / "rfc6962-merkle" / "consistency")
    assert len(found) == 98
    for case in found:
        holds(
            case,
            merkle.verify_consistency,
            case["size1"],
            case["size2"],
            proof_of(case),
            field(case, "root1"),
            field(case, "root2"),
        )


def verify_subtree_inclusion(case: dict[str, Any]) -> None:
    start, end, index = case["start"], case["end"], case["leafIdx"]
    width = 1 << max(end - start - 1, 0).bit_length()
    if not start <= index < end or start % width:
        raise Rejected("not a subtree")
    leaf, root = field(case, "leafHash"), field(case, "root")
    merkle.verify_inclusion(leaf, index - start, end - start, proof_of(case), root)


def test_published_subtree_inclusion_cases(vectors: Path) -> None:
    found = cases(vectors / "rfc6962-merkle" / "subtreeinclusion")
    for case in found:
        if "start" in case:
            holds(case, verify_subtree_inclusion, case)
    assert sum("start" in case for case in found) >= 100


def test_published_trees(vectors: Path) -> None:
    known = json.loads((vectors / "rfc6962-merkle" / "tree-vectors.json").read_text())
    leaves = [merkle.leaf_hash(bytes.fromhex(each)) for each in known["leaf_inputs_hex"]]
    levels = known["node_hashes_hex_by_level"]
    for size, root in enumerate(known["root_hash_hex_by_tree_size"]):
        assert merkle.root_of(leaves[:size]).hex() == root
        for index in range(size):
            proof = merkle.inclusion_proof(
                index, size, lambda level, i: bytes.fromhex(levels[level][i])
            )
            merkle.verify_inclusion(leaves[index], index, size, proof, bytes.fromhex(root))
    for answer in known["hasher_kat"]:
        text = {name: value.encode() for name, value in answer.items() if name.endswith("ascii")}
        if answer["desc"] == "leaf":
            found = merkle.leaf_hash(text["input_ascii"])
        elif answer["desc"] == "node":
            found = merkle.node_hash(text["left_ascii"], text["right_ascii"])
        else:
            found = EMPTY_ROOT
        assert found.hex() == answer["hash"]


def test_published_hash_over_all_inclusion_proofs_of_subtrees(vectors: Path) -> None:
    """All aligned subtrees of a tree of 130 leaves, folded into one known hash each."""
    known = json.loads((vectors / "rfc6962-merkle" / "tree-vectors.json").read_text())
    known = known["accumulated_subtree"]
    roots, proofs = hashlib.sha256(), hashlib.sha256()
    for end in range(131):
        for start in range(end + 1):
            width = 1 << max(end - start - 1, 0).bit_length()
            if start and start != end and start % width:
                continue
            roots.update(f"[{start}, {end}) {defined_root(start, end).hex()}\n".encode())
            for index in range(start, end):
                proof = merkle.inclusion_proof(
                    index - start,
                    end - start,
                    lambda level, i, first=start: defined_root(  # type: ignore[misc] # mypy cannot infer a lambda's default
                        first + (i << level), first + ((i + 1) << level)
                    ),
                )
                hashes = "".join(f" {each.hex()}" for each in proof)
                proofs.update(f"{index} [{start}, {end}){hashes}\n".encode())
    assert roots.hexdigest() == known["subtree_hash"]
    assert proofs.hexdigest() == known["subtree_inclusion"]
