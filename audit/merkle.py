"""RFC 6962 / RFC 9162 Merkle tree hashing, proofs and the growing edge of a tree.

Decides what the root of a list of leaves is and when a proof holds. Hides the shape of
the tree: callers know leaf indexes and sizes, never nodes. Nothing here does I/O:
stored hashes come in through `Read`.

    leaf = SHA-256(0x00 || entry)    node = SHA-256(0x01 || left || right)

A list of n > 1 leaves splits at the largest power of two below n; a node without a
sibling is promoted, never doubled.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import sha256

from audit.errors import Rejected, Tampered

HASH_SIZE = 32
EMPTY_ROOT = sha256(b"").digest()

Read = Callable[[int, int], bytes]
"""`read(level, index)` is the hash of complete subtree number `index` of 2**level leaves."""


def leaf_hash(entry: bytes) -> bytes:
    """Hash of one entry's stored bytes."""
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash of the node above two hashes."""
    return sha256(b"\x01" + left + right).digest()


def root_of(leaf_hashes: Iterable[bytes]) -> bytes:
    """Root of the tree over these leaf hashes, `EMPTY_ROOT` when there is none."""
    # Pairing level by level and promoting the odd last one gives the same tree as
    # splitting at the largest power of two, without recursion.
    row = list(leaf_hashes)
    if not row:
        return EMPTY_ROOT
    while len(row) > 1:
        odd = row[-1:] if len(row) & 1 else []
        row = _pairs(row) + odd
    return row[0]


def root_at(size: int, read: Read) -> bytes:
    """Root of the first `size` leaves of a stored tree."""
    return _range_hash(0, size, read) if size else EMPTY_ROOT


def inclusion_proof(index: int, size: int, read: Read) -> list[bytes]:
    """Hashes that lead from leaf `index` to the root of the first `size` leaves.

    Raises `Rejected` unless 0 <= index < size. Calls `read` at most about
    2 * log2(size) times.
    """
    _require_inside(index, size)
    proof: list[bytes] = []
    begin, end = 0, size
    while end - begin > 1:
        middle = begin + _split(end - begin)
        if index < middle:
            proof.append(_range_hash(middle, end, read))
            end = middle
        else:
            proof.append(_range_hash(begin, middle, read))
            begin = middle
    proof.reverse()
    return proof


def consistency_proof(size1: int, size2: int, read: Read) -> list[bytes]:
    """Hashes that show that the tree of `size1` leaves is a prefix of that of `size2`.

    For witnesses and monitors, who hold an older checkpoint of the log and compute this from its
    public tiles; nothing here asks for it. Empty when the sizes are equal or `size1` is 0 (what a
    witness expects for a log it has not seen). Raises `Rejected` unless 0 <= size1 <= size2.
    """
    if not 0 <= size1 <= size2:
        raise Rejected(f"no consistency proof leads from size {size1} to size {size2}")
    if size1 in (0, size2):
        return []
    proof: list[bytes] = []
    begin, end = 0, size2
    while end != size1:
        middle = begin + _split(end - begin)
        if size1 <= middle:
            proof.append(_range_hash(middle, end, read))
            end = middle
        else:
            proof.append(_range_hash(begin, middle, read))
            begin = middle
    # A whole left part is the old root itself, which the verifier already holds.
    if begin:
        proof.append(_range_hash(begin, end, read))
    proof.reverse()
    return proof


def verify_inclusion(
    leaf_hash: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes
) -> None:
    """Return when the proof puts the leaf at `index` of the tree with this size and root.

    Raises `Rejected` when the question itself is malformed and `Tampered(index)` when
    the proof does not hold.
    """
    _require_inside(index, size)
    _require_hashes(leaf_hash, *proof)
    found = leaf_hash
    for step, on_left in _sides(index, size - 1, proof, index=index):
        found = node_hash(step, found) if on_left else node_hash(found, step)
    if found != root:
        raise Tampered("the inclusion proof leads to another root", index=index)


def verify_consistency(
    size1: int, size2: int, proof: Sequence[bytes], root1: bytes, root2: bytes
) -> None:
    """Return when the proof shows that tree 2 only appended to tree 1.

    For whoever holds an older checkpoint, as `consistency_proof` is; `verify` and `fsck` need no
    proof, since they read every leaf. From size 0 nothing can be shown, which is `Rejected`, as
    are sizes that shrink; a proof that does not hold raises `Tampered`.
    """
    if not 0 <= size1 <= size2:
        raise Rejected(f"no consistency proof leads from size {size1} to size {size2}")
    _require_hashes(*proof)
    if size1 == size2:
        if proof:
            raise Tampered("a consistency proof between equal sizes must be empty")
        if root1 != root2:
            raise Tampered(f"two roots for one size, {size1}")
        if size1 == 0 and root1 != EMPTY_ROOT:
            raise Tampered("an empty tree has one root only, and this is another")
        return
    if size1 == 0:
        raise Rejected("an empty tree is a prefix of every tree: there is nothing to prove")
    path = [root1, *proof] if size1.bit_count() == 1 else list(proof)
    if not proof:
        raise Tampered("the consistency proof is empty")
    # The walk starts at the largest complete subtree that ends the old tree.
    height = (size1 & -size1).bit_length() - 1
    found1 = found2 = path[0]
    for step, on_left in _sides(size1 - 1 >> height, size2 - 1 >> height, path[1:]):
        if on_left:
            found1 = node_hash(step, found1)
            found2 = node_hash(step, found2)
        else:
            found2 = node_hash(found2, step)
    if found1 != root1:
        raise Tampered(f"the consistency proof leads to another root at size {size1}")
    if found2 != root2:
        raise Tampered(f"the consistency proof leads to another root at size {size2}")


def _sides(
    fn: int, sn: int, proof: Sequence[bytes], *, index: int | None = None
) -> Iterator[tuple[bytes, bool]]:
    """Each hash of a proof and whether it stands left, from node `fn` of a row up to `sn`.

    `fn` and `sn` are named as in RFC 9162 section 2.1.3.2. Raises `Tampered` when the
    proof is longer or shorter than the way to the root.
    """
    for step in proof:
        if sn == 0:
            raise Tampered("the proof has hashes to spare", index=index)
        on_left = bool(fn & 1) or fn == sn
        yield step, on_left
        while on_left and fn and not fn & 1:
            fn, sn = fn >> 1, sn >> 1
        fn, sn = fn >> 1, sn >> 1
    if sn:
        raise Tampered("the proof ends below the root", index=index)


def _pairs(row: Sequence[bytes]) -> list[bytes]:
    """Nodes above the hashes of a row, two by two; an odd last one is left out."""
    return [
        sha256(b"\x01" + left + right).digest()
        for left, right in zip(row[::2], row[1::2], strict=False)
    ]


def _split(count: int) -> int:
    """Largest power of two below `count`, which must be above 1."""
    return 1 << (count - 1).bit_length() - 1


def _range_hash(begin: int, end: int, read: Read) -> bytes:
    """Root over leaves begin..end, where `begin` is where the RFC's splits would put it."""
    count = end - begin
    if count.bit_count() == 1:
        level = count.bit_length() - 1
        return read(level, begin >> level)
    middle = begin + _split(count)
    return node_hash(_range_hash(begin, middle, read), _range_hash(middle, end, read))


def _require_inside(index: int, size: int) -> None:
    if not 0 <= index < size:
        raise Rejected(f"entry {index} is not in a tree of {size} entries")


def _require_hashes(*hashes: bytes) -> None:
    if any(len(each) != HASH_SIZE for each in hashes):
        raise Rejected(f"every hash of a proof must be {HASH_SIZE} bytes long")
