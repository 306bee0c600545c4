"""The offline verifier: tiles, entry bundles and a checkpoint against a pinned key.

Decides whether a log is what its signed checkpoints say, from public files alone: no
database, no secret, nothing of the code that wrote them. It is one file, needs Python's
standard library and Ed25519 from `cryptography`, and imports nothing of ours. Hashing,
notes and paths are written here a second time on purpose: two implementations that must
agree find what one would hide, and an auditor can read this file alone.

Formats: RFC 6962 section 2.1, C2SP tlog-tiles, tlog-checkpoint, signed-note.

A single `.tlog-proof` (C2SP tlog-proof) is checked too: its entry is the one that the proof
carries or that is given by its hash, and must lead to the root that a pinned key signed.

Steps: signature of the checkpoint; each entry's bytes against level 0; every level of
tiles, recomputed, against the stored one; the root at the size of every earlier
checkpoint and of the present one. Memory does not grow with the log.

Verdicts and exit codes: 0 ok; 1 tampered: bytes contradict each other or a signature;
2 cannot tell: something needed is missing, unreadable or not signed by a pinned key.
What the payloads say, and whether they match their entries, is for `fsck`.
"""

import argparse
import http.client
import json
import re
import sys
import zlib
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

OK, TAMPERED, CANNOT_TELL = 0, 1, 2

_WIDTH = 256
_HASH = 32
_NOTE_LIMIT = 1_000_000
_PROOF_LIMIT = 2 * _NOTE_LIMIT
_PROOF_HEADER = b"c2sp.org/tlog-proof@v1\n"
_MOST_HASHES = 63
_BUNDLE_LIMIT = _WIDTH * (2 + 65_535)
_NAMED_MISSING = 10
_PRIME = 2**255 - 19
_LOW_ORDER_Y = {
    0,
    1,
    _PRIME - 1,
    2707385501144840649318225287225658788936804267575313519463743609750303402022,
    55188659117513257062467267217118295137698188065244968500265048394206261417927,
}
_HEAD = re.compile(r"([^\n]+)\n(0|[1-9][0-9]{0,18})\n([A-Za-z0-9+/]{43}=)\n")


class _Contradiction(Exception):
    """Tampering. Entries `first` to `end` - 1 contain the first bad one; `named` is True
    when bytes about them disagree, False when only two checkpoints bound it.
    """

    def __init__(
        self, what: str, first: int | None = None, end: int | None = None, *, named: bool = True
    ) -> None:
        super().__init__(what)
        self.first = first
        self.end = end
        self.named = named


class _Unknown(Exception):
    """No verdict can be had; the message says what is missing or unreadable."""


@dataclass(frozen=True, slots=True)
class Report:
    """What was found. `first_bad` is the index of the first entry whose bytes or hashes
    disagree, None when no bytes do; `span` the entries (first, last) that the
    disagreeing hash covers or that lie between the two checkpoints.
    """

    exit_code: int
    reason: str
    origin: str | None = None
    size: int | None = None
    root: str | None = None
    checked: int = 0
    earlier: int = 0
    first_bad: int | None = None
    span: tuple[int, int] | None = None
    missing: tuple[str, ...] = ()
    missing_count: int = 0
    entry: str | None = None
    """What the proved entry says, where its bytes came with the proof."""

    @property
    def verdict(self) -> str:
        """One of ok, tampered, cannot tell."""
        return ("ok", "tampered", "cannot tell")[self.exit_code]

    def as_json(self) -> str:
        """One JSON object on one line."""
        return json.dumps({"verdict": self.verdict} | asdict(self))

    def as_text(self) -> str:
        """A few lines for people."""
        lines = [f"{self.verdict.upper()}: {self.reason}"]
        if self.origin is not None:
            lines.append(f"log: {self.origin}, {self.size} entries, root {self.root}")
        if self.entry is not None:
            lines.append(f"entry: {self.entry}")
        if self.first_bad is not None:
            lines.append(f"first bad index: {self.first_bad}")
        if self.span is not None and self.span != (self.first_bad, self.first_bad):
            lines.append(f"it lies between entries {self.span[0]} and {self.span[1]}")
        lines.extend(f"missing: {each}" for each in self.missing)
        if self.missing_count > len(self.missing):
            lines.append(f"missing: and {self.missing_count - len(self.missing)} more files")
        lines.append(f"entries checked: {self.checked}; earlier checkpoints met: {self.earlier}")
        return "\n".join(lines)


class Source(Protocol):
    """Where the files of a log are read from."""

    def read(self, path: str, limit: int) -> bytes | None:
        """Content of a file, cut off after `limit` + 1 bytes; None when there is none."""


class Folder:
    """A directory that holds `checkpoint` and `tile/`."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def read(self, path: str, limit: int) -> bytes | None:
        """As `Source.read`."""
        place = self._root / path
        try:
            if not place.is_file():  # also keeps pipes and devices from blocking the reader
                return None
            with place.open("rb") as file:
                return file.read(limit + 1)
        except OSError as error:
            raise _Unknown(f"{path} cannot be read: {error.strerror}") from error


class Address:
    """An http(s) address below which the same files are served, over one connection."""

    def __init__(self, url: str, *, timeout_seconds: float = 30) -> None:
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError as error:
            raise _Unknown("the address of the log is not a URL") from error
        if parts.scheme not in ("http", "https") or not host or parts.query or parts.fragment:
            raise _Unknown("the address of the log is not a plain http or https URL")
        kind = http.client.HTTPSConnection
        self._connection: http.client.HTTPConnection = (
            kind(host, port, timeout=timeout_seconds)
            if parts.scheme == "https"
            else http.client.HTTPConnection(host, port, timeout=timeout_seconds)
        )
        self._base = parts.path.rstrip("/")

    def read(self, path: str, limit: int) -> bytes | None:
        """As `Source.read`."""
        for last_try in (False, True):
            try:
                return self._get(path, limit)
            except (http.client.HTTPException, OSError, ValueError, zlib.error) as error:
                # A server may close a kept connection at any time: once is no failure.
                self._connection.close()
                if last_try:
                    raise _Unknown(f"{path} cannot be fetched: {type(error).__name__}") from error
        return None

    def close(self) -> None:
        """Hang up."""
        self._connection.close()

    def _get(self, path: str, limit: int) -> bytes | None:
        headers = {"Accept-Encoding": "gzip, identity", "User-Agent": "modelwitness-verify"}
        self._connection.request("GET", f"{self._base}/{path}", headers=headers)
        answer = self._connection.getresponse()
        content = answer.read(limit + limit // 100 + 1024)  # room for what gzip may add
        if not answer.isclosed():
            self._connection.close()  # more is to come than we want to hear
        if answer.status in (404, 410):
            return None
        if answer.status != http.client.OK:
            raise _Unknown(f"{path} cannot be fetched: the server answers {answer.status}")
        if answer.headers.get("Content-Encoding", "identity").lower() == "gzip":
            content = zlib.decompressobj(wbits=31).decompress(content, limit + 1)
        return content[: limit + 1]


@dataclass(frozen=True, slots=True)
class _Head:
    """A signed statement: the log had this root at this size. `label` names where from."""

    label: str
    origin: str
    size: int
    root: bytes


@dataclass(slots=True)
class _Progress:
    """What the walk has done, kept outside it so that a stop does not lose it."""

    checked: int = 0
    met: list[_Head] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    missing_count: int = 0

    def miss(self, path: str) -> None:
        self.missing_count += 1
        if len(self.missing) < _NAMED_MISSING:
            self.missing.append(path)


def verify(
    source: Source, vkeys: Sequence[str], earlier: Iterable[tuple[str, bytes | None]] = ()
) -> Report:
    """Check a whole log; never raises for what the files hold.

    `vkeys` are the pinned verifier keys, one or more of the same log; `earlier` are
    checkpoints seen before, as (label, signed note), None for one that cannot be read.
    """
    try:
        keys = [_parse_vkey(each) for each in vkeys]
        if len({name for name, _, _ in keys}) != 1:
            raise _Unknown("pin one verifier key, or several that bear the same name")
        note = source.read("checkpoint", _NOTE_LIMIT)
        if note is None:
            raise _Unknown("the log has no checkpoint there")
        head = _open_head("the checkpoint", note, keys)
    except _Unknown as error:
        return Report(CANNOT_TELL, str(error))
    except _Contradiction as error:
        return Report(TAMPERED, str(error))
    heads, unknown = _earlier_heads(earlier, keys)
    progress = _Progress()
    bad = None
    try:
        _Walk(source, head, heads, progress).run()
    except _Contradiction as error:
        bad = error
    except _Unknown as error:
        unknown.append(str(error))
    bad = bad or _conflict([head, *heads])
    if progress.missing_count and not unknown:
        unknown.append("files of the log are missing")
    return _report(head, progress, bad, unknown)


def verify_proof(
    proof: bytes,
    vkeys: Sequence[str],
    leaf_hash: bytes | None = None,
    earlier: Iterable[tuple[str, bytes | None]] = (),
) -> Report:
    """Check that one entry is in the log; never raises for what the proof holds.

    The entry is the one with `leaf_hash`, as a receipt names it; without that, the one whose
    bytes the proof carries. `vkeys` and `earlier` as for `verify`; an earlier checkpoint of
    another size needs the tiles, so that a proof alone cannot tell about it.
    """
    head = None
    index: int | None = None
    try:
        keys = [_parse_vkey(each) for each in vkeys]
        if len({name for name, _, _ in keys}) != 1:
            raise _Unknown("pin one verifier key, or several that bear the same name")
        carried, index, hashes, note = _parse_proof(proof)
        head = _open_head("the checkpoint", note, keys)
        carries = None if carried is None else sha256(b"\x00" + carried).digest()
        start = carries if leaf_hash is None else leaf_hash
        if start is None:
            raise _Unknown(
                "the proof does not carry its entry: give the leaf_hash of its receipt"
                " with --leaf-hash"
            )
        if _climb(start, index, head.size, hashes) != head.root:
            what = f"entry {index} does not lead to the root that was signed"
            raise _Contradiction(what, index, index + 1)
        heads, unknown = _earlier_heads(earlier, keys)
        for each in heads:
            if each.size != head.size:
                unknown.append(f"whether {each.label} continues to this one needs the tiles")
            elif each.root != head.root:
                raise _Contradiction(f"{head.label} and {each.label} differ in root at one size")
    except _Unknown as error:
        return _proof_report(CANNOT_TELL, str(error), head)
    except _Contradiction as error:
        named = index if error.first is not None else None
        return _proof_report(TAMPERED, str(error), head, bad=named)
    text = (carried or b"").decode("ascii", "backslashreplace") if carries == start else None
    if unknown:
        return _proof_report(CANNOT_TELL, "; ".join(unknown), head, earlier=len(heads), entry=text)
    reason = f"entry {index} is in the log that was signed"
    return _proof_report(OK, reason, head, earlier=len(heads), entry=text)


def main(argv: Sequence[str]) -> int:
    """Run `modelwitness verify` with these arguments and return its exit code."""
    parser = argparse.ArgumentParser(
        prog="modelwitness verify",
        description=(
            "Verify a log from its checkpoint, tiles and entry bundles alone, or one entry"
            " from its .tlog-proof."
        ),
        epilog="Exit codes: 0 ok, 1 tampered, 2 cannot tell.",
    )
    parser.add_argument(
        "source",
        metavar="DIR|URL|PROOF",
        help="where checkpoint and tile/ are, or a .tlog-proof file",
    )
    parser.add_argument(
        "--leaf-hash",
        metavar="BASE64",
        help="with a proof: leaf_hash of the entry's receipt; else the entry in the proof is taken",
    )
    parser.add_argument(
        "--vkey", action="append", required=True, help="pinned verifier key; repeat after rotation"
    )
    parser.add_argument(
        "--earlier",
        action="extend",
        nargs="+",
        default=[],
        metavar="CHECKPOINT",
        help="files with checkpoints seen before",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    wanted = parser.parse_args(argv)
    earlier = [(each, _file(each)) for each in wanted.earlier]
    try:
        hash_given = None if wanted.leaf_hash is None else _hash_of(wanted.leaf_hash)
        proof = _file(wanted.source, _PROOF_LIMIT)
        if proof is not None:
            report = verify_proof(proof, wanted.vkey, hash_given, earlier)
        elif hash_given is not None:
            raise _Unknown(f"--leaf-hash goes with a .tlog-proof file, and {wanted.source} is none")
        elif re.match(r"https?://", wanted.source):
            with closing(Address(wanted.source)) as address:
                report = verify(address, wanted.vkey, earlier)
        else:
            report = verify(Folder(Path(wanted.source)), wanted.vkey, earlier)
    except _Unknown as error:
        report = Report(CANNOT_TELL, str(error))
    text = report.as_json() if wanted.json else report.as_text()
    encoding = sys.stdout.encoding or "ascii"
    sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")
    return report.exit_code


class _Walk:
    """One pass over all entries that rebuilds the tree and compares on the way.

    `_rows[l]` are the hashes of the unfinished tile of level l; `_stored[l]` is what the
    log keeps for that tile, None when it is missing.
    """

    def __init__(
        self, source: Source, head: _Head, earlier: Sequence[_Head], progress: _Progress
    ) -> None:
        self._source = source
        self._size = head.size
        known = [each for each in (*earlier, head) if each.size <= head.size]
        self._marks = sorted(known, key=lambda each: each.size)
        self._progress = progress
        self._rows: list[list[bytes]] = [[]]
        self._stored: list[bytes | None] = [None]

    def run(self) -> None:
        """Return when everything agrees; raises `_Contradiction` or `_Unknown`."""
        self._meet(0, [])
        for base in range(0, self._size, _WIDTH):
            width = min(_WIDTH, self._size - base)
            leaves, problem = self._leaves(base, width)
            # Checkpoints below the first bad byte speak of earlier entries: they go first.
            self._meet(base, leaves)
            if problem is not None:
                raise problem
            if width == _WIDTH:
                self._push(1, base // _WIDTH, _fold(leaves)[0])

    def _meet(self, base: int, leaves: list[bytes]) -> None:
        """Compare the root at the size of every checkpoint that these leaves reach."""
        while self._marks and self._marks[0].size <= base + len(leaves):
            mark = self._marks[0]
            self._rows[0] = leaves[: mark.size - base]
            if _root(self._rows) != mark.root:
                since = self._progress.met[-1].size if self._progress.met else 0
                what = f"the entries do not add up to the root of {mark.label}"
                raise _Contradiction(what, since, mark.size, named=False)
            self._progress.met.append(self._marks.pop(0))

    def _leaves(self, base: int, width: int) -> tuple[list[bytes], _Contradiction | None]:
        """Leaf hashes of one bundle as far as they are good, and what is wrong then."""
        number = base // _WIDTH
        bundle, bundle_grown = self._fetch("entries", number, width)
        tile, tile_grown = self._fetch("0", number, width)
        if bundle is None and tile is None:
            raise _Unknown(f"the entries from {base} on are missing")
        wrong = "an entry does not match its hash in the tile"
        if bundle is None:
            hashes, complete = _hashes(tile or b"")[:width], True
        else:
            hashes, complete = _entry_hashes(bundle, width, exact=not bundle_grown)
        if tile is None or tile[: width * _HASH] == b"".join(hashes):
            good = len(hashes)
        else:
            both = zip(hashes, _hashes(tile), strict=False)
            differing = (slot for slot, (a, b) in enumerate(both) if a != b)
            good = next(differing, min(len(hashes), len(tile) // _HASH))
        self._progress.checked += 0 if bundle is None else good
        if good == width:
            length = (_WIDTH if tile_grown else width) * _HASH
            if complete and (tile is None or len(tile) == length):
                return hashes, None
            wrong, good = "a bundle or tile has bytes after its end", width - 1
        elif good == len(hashes) or (tile is not None and good == len(tile) // _HASH):
            wrong = "a bundle or tile ends too early"
        at = base + good
        return hashes[:good], _Contradiction(wrong, at, at + 1)

    def _push(self, level: int, position: int, value: bytes) -> None:
        """Take the recomputed hash at this position of a level; compare, and go up."""
        number, slot = divmod(position, _WIDTH)
        below = _WIDTH**level  # entries under one hash of this level
        if len(self._rows) == level:
            self._rows.append([])
            self._stored.append(None)
        if slot == 0:
            width = min(_WIDTH, self._size // below - number * _WIDTH)
            stored, grown = self._fetch(str(level), number, width)
            if stored is not None and len(stored) > (_WIDTH if grown else width) * _HASH:
                first = number * _WIDTH * below
                what = f"a tile of level {level} has bytes after its end"
                raise _Contradiction(what, first, first + width * below)
            self._stored[level] = stored
        kept = self._stored[level]
        if kept is not None and kept[slot * _HASH : (slot + 1) * _HASH] != value:
            what = f"a tile of level {level} does not match the entries below it"
            raise _Contradiction(what, position * below, (position + 1) * below)
        self._rows[level].append(value)
        if slot == _WIDTH - 1:
            whole = _fold(self._rows[level])[0]
            self._rows[level] = []
            self._push(level + 1, number, whole)

    def _fetch(self, kind: str, number: int, width: int) -> tuple[bytes | None, bool]:
        """A tile and whether the full one stands in for a partial one that is gone."""
        groups = [f"{number % 1000:03d}"]
        while number := number // 1000:
            groups.insert(0, f"x{number % 1000:03d}")
        full = f"tile/{kind}/{'/'.join(groups)}"
        limit = _BUNDLE_LIMIT if kind == "entries" else _WIDTH * _HASH
        path = full if width == _WIDTH else f"{full}.p/{width}"
        content = self._source.read(path, limit)
        if content is None and width < _WIDTH:
            content = self._source.read(full, limit)
            if content is not None:
                return content, True
        if content is None:
            self._progress.miss(path)
        return content, False


def _entry_hashes(bundle: bytes, width: int, *, exact: bool) -> tuple[list[bytes], bool]:
    """Leaf hashes of up to `width` entries, and whether the bundle ends as it must."""
    hashes: list[bytes] = []
    size, at = len(bundle), 0
    add: Callable[[bytes], None] = hashes.append
    for _ in range(width):
        start = at + 2
        if start > size:
            return hashes, False
        at = start + (bundle[start - 2] << 8 | bundle[start - 1])
        if at > size:
            return hashes, False
        add(sha256(b"\x00" + bundle[start:at]).digest())
    return hashes, at == size or not exact


def _hashes(tile: bytes) -> list[bytes]:
    return [tile[at : at + _HASH] for at in range(0, len(tile) // _HASH * _HASH, _HASH)]


def _fold(row: list[bytes]) -> list[bytes]:
    """Roots of the complete subtrees that make up a row, smallest (rightmost) first."""
    peaks: list[bytes] = []
    while row:
        if len(row) & 1:
            peaks.append(row[-1])
        pairs = zip(row[::2], row[1::2], strict=False)
        row = [sha256(b"\x01" + left + right).digest() for left, right in pairs]
    return peaks


def _root(rows: Iterable[list[bytes]]) -> bytes:
    """Root of the tree whose unfinished tiles these are, level 0 first."""
    root = None
    for row in rows:
        for peak in _fold(row):
            root = peak if root is None else sha256(b"\x01" + peak + root).digest()
    return sha256(b"").digest() if root is None else root


def _parse_vkey(vkey: str) -> tuple[str, bytes, Ed25519PublicKey]:
    """Name, key id and key of a verifier key; `_Unknown` for one that proves nothing."""
    problem = "the pinned verifier key is not a usable Ed25519 key"
    try:
        name, key_id, encoded = vkey.split("+", 2)
        raw = b64decode(encoded, validate=True)
        found = sha256(name.encode() + b"\n" + raw).digest()[:4]
    except ValueError as error:
        raise _Unknown(problem) from error
    y = int.from_bytes(raw[1:], "little") & (2**255 - 1)
    if (
        not name
        or len(raw) != 33
        or raw[0] != 1
        or found.hex() != key_id
        or b64encode(raw).decode() != encoded
        or y >= _PRIME
        or y in _LOW_ORDER_Y  # under such a key one signature fits every text
    ):
        raise _Unknown(problem)
    return name, found, Ed25519PublicKey.from_public_bytes(raw[1:])


def _open_head(
    label: str, note: bytes, keys: Sequence[tuple[str, bytes, Ed25519PublicKey]]
) -> _Head:
    """The statement in a signed note. Raises `_Contradiction` for a malformed note or a
    bad signature by a pinned key, `_Unknown` for one that no pinned key signed.
    """
    try:
        whole = note.decode()
    except UnicodeDecodeError as error:
        raise _Contradiction(f"{label} is not UTF-8") from error
    above, _, below = whole.rpartition("\n\n")
    text = above + "\n"
    lines = below.split("\n")
    body = _HEAD.fullmatch(text)
    if (
        len(note) > _NOTE_LIMIT
        or body is None
        or len(lines) > 101
        or len(lines) < 2
        or lines.pop() != ""
        or re.search(r"[\x00-\x09\x0b-\x1f]", whole)
    ):
        raise _Contradiction(f"{label} is malformed")
    signed = False
    for line in lines:
        shape = re.fullmatch("\N{EM DASH} ([^\\s+]+) ([A-Za-z0-9+/]+={0,2})", line)
        try:
            raw = b64decode(shape[2], validate=True) if shape else b""
        except ValueError:
            raw = b""
        if shape is None or len(raw) < 5 or b64encode(raw).decode() != shape[2]:
            raise _Contradiction(f"{label} has a malformed signature line")
        for name, key_id, key in keys:
            if (name, key_id) == (shape[1], raw[:4]):
                try:
                    key.verify(raw[4:], text.encode())
                except InvalidSignature as error:
                    what = f"the signature of {label} does not match its text"
                    raise _Contradiction(what) from error
                signed = True
    if not signed:
        raise _Unknown(f"{label} is not signed by a pinned key")
    root = b64decode(body[3])
    if body[1] != keys[0][0]:
        raise _Unknown(f"{label} is of another log than the pinned key")
    if b64encode(root).decode() != body[3]:
        raise _Contradiction(f"{label} is malformed")
    return _Head(label, body[1], int(body[2]), root)


def _earlier_heads(
    earlier: Iterable[tuple[str, bytes | None]],
    keys: Sequence[tuple[str, bytes, Ed25519PublicKey]],
) -> tuple[list[_Head], list[str]]:
    """The usable earlier checkpoints and, for each other one, why it is not.

    A file of the auditor's own that is broken says nothing about the log.
    """
    heads: list[_Head] = []
    unusable: list[str] = []
    for name, note in earlier:
        label = f"the earlier checkpoint {name}"
        try:
            if note is None:
                raise _Unknown(f"{label} cannot be read")
            heads.append(_open_head(label, note, keys))
        except (_Unknown, _Contradiction) as error:
            unusable.append(str(error))
    return heads, unusable


def _conflict(heads: Sequence[_Head]) -> _Contradiction | None:
    """What signed statements alone contradict, whatever the files hold."""
    head, *earlier = heads
    seen: dict[int, _Head] = {}
    for each in heads:
        other = seen.setdefault(each.size, each)
        if other.root != each.root:
            return _Contradiction(f"{other.label} and {each.label} differ in root at one size")
    longest = max(earlier, key=lambda each: each.size, default=head)
    if longest.size > head.size:
        what = f"the log is shorter than {longest.label} says it was"
        return _Contradiction(what, head.size, longest.size, named=False)
    return None


def _report(
    head: _Head, progress: _Progress, bad: _Contradiction | None, unknown: Sequence[str]
) -> Report:
    code, reason = OK, "every entry, tile and checkpoint agrees"
    first_bad, span = None, None
    if bad is not None:
        code, reason = TAMPERED, str(bad)
        if bad.first is not None and bad.end is not None:
            span = (bad.first, bad.end - 1)
            first_bad = bad.first if bad.named else None
    elif unknown:
        code, reason = CANNOT_TELL, "; ".join(unknown)
    return Report(
        code,
        reason,
        head.origin,
        head.size,
        head.root.hex(),
        progress.checked,
        sum(each.label != head.label for each in progress.met),
        first_bad,
        span,
        tuple(progress.missing),
        progress.missing_count,
    )


def _parse_proof(proof: bytes) -> tuple[bytes | None, int, list[bytes], bytes]:
    """The entry that a proof carries or None, its index, the hashes upwards, the checkpoint."""
    if not proof.startswith(_PROOF_HEADER):
        raise _Unknown("the file is no .tlog-proof: give one, or the directory or address of a log")
    malformed = _Contradiction("the proof is malformed")
    above, blank, note = proof.removeprefix(_PROOF_HEADER).partition(b"\n\n")
    if not blank or len(proof) > _PROOF_LIMIT or not above.isascii():
        raise malformed
    lines = above.decode().split("\n")
    try:
        carried = None
        if lines[0].startswith("extra "):
            carried = _base64(lines.pop(0).removeprefix("extra "))
        index = re.fullmatch(r"index (0|[1-9][0-9]{0,18})", lines.pop(0))
        hashes = [_base64(line) for line in lines]
    except (ValueError, IndexError) as error:
        raise malformed from error
    if index is None or len(hashes) > _MOST_HASHES or any(len(h) != _HASH for h in hashes):
        raise malformed
    return carried, int(index[1]), hashes, note


def _base64(text: str) -> bytes:
    """The bytes; `ValueError` for any but their one spelling."""
    raw = b64decode(text, validate=True)
    if b64encode(raw).decode() != text:
        raise ValueError
    return raw


def _hash_of(text: str) -> bytes:
    try:
        found = _base64(text)
    except ValueError as error:
        raise _Unknown("--leaf-hash is not base64, as leaf_hash in a receipt is") from error
    if len(found) != _HASH:
        raise _Unknown("--leaf-hash is not the hash of a leaf: it has 32 bytes")
    return found


def _climb(leaf_hash: bytes, index: int, size: int, hashes: Sequence[bytes]) -> bytes | None:
    """The root that these hashes lead to (RFC 9162 section 2.1.3.2), None where they do not."""
    if index >= size:
        return None
    place, last, found = index, size - 1, leaf_hash
    for each in hashes:
        if last == 0:
            return None
        if place & 1 or place == last:
            found = sha256(b"\x01" + each + found).digest()
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            found = sha256(b"\x01" + found + each).digest()
        place, last = place >> 1, last >> 1
    return found if last == 0 else None


def _proof_report(
    code: int,
    reason: str,
    head: _Head | None,
    *,
    bad: int | None = None,
    earlier: int = 0,
    entry: str | None = None,
) -> Report:
    if head is None:
        return Report(code, reason, first_bad=bad)
    return Report(
        code,
        reason,
        head.origin,
        head.size,
        head.root.hex(),
        int(code == OK),
        earlier if code == OK else 0,
        bad,
        None if bad is None else (bad, bad),
        entry=entry,
    )


def _file(path: str, most: int = _NOTE_LIMIT) -> bytes | None:
    try:
        place = Path(path)
        if not place.is_file():
            return None
        with place.open("rb") as file:
            return file.read(most + 1)
    except OSError:
        return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
