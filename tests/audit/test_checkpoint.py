"""Checkpoints: one text for one state, and only under the log's own key."""

import json
from base64 import b64encode
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit import checkpoint, note
from audit.checkpoint import Checkpoint
from audit.errors import AuditError, Rejected, Tampered, Unverifiable
from audit.note import Signer

SIGNER = Signer("log.example/one", bytes(range(32)))
OTHER = Signer("log.example/two", bytes(range(1, 33)))
ROOT = bytes(range(32))
BASE64 = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
TEXT = f"log.example/one\n70000\n{BASE64}\n"
HEAD = Checkpoint("log.example/one", 70_000, ROOT)


def test_a_checkpoint_has_its_known_text() -> None:
    assert checkpoint.format(HEAD) == TEXT
    assert checkpoint.parse(TEXT) == HEAD


def test_a_signed_checkpoint_opens_under_its_key_alone() -> None:
    message = checkpoint.sign(HEAD, [SIGNER])
    assert checkpoint.open(message, SIGNER.verifier) == HEAD
    with pytest.raises(Unverifiable):
        checkpoint.open(message, OTHER.verifier)
    with pytest.raises(Tampered):
        checkpoint.open(message.replace(b"70000", b"70001"), SIGNER.verifier)


def test_old_and_new_key_sign_side_by_side() -> None:
    successor = Signer(SIGNER.name, OTHER.seed)
    message = checkpoint.sign(HEAD, [SIGNER, successor])
    assert checkpoint.open(message, SIGNER.verifier) == HEAD
    assert checkpoint.open(message, successor.verifier) == HEAD


def test_a_key_signs_for_the_log_of_its_own_name_only() -> None:
    with pytest.raises(Rejected):
        checkpoint.sign(HEAD, [OTHER])
    with pytest.raises(Rejected):
        checkpoint.open(note.sign(TEXT, [OTHER]), OTHER.verifier)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        TEXT[:-1],
        TEXT + "\n",
        TEXT + "extension\n",
        TEXT.replace("log.example/one", ""),
        TEXT.replace("70000", ""),
        TEXT.replace("70000", "070000"),
        TEXT.replace("70000", "00"),
        TEXT.replace("70000", "-1"),
        TEXT.replace("70000", "+1"),
        TEXT.replace("70000", " 1"),
        TEXT.replace("70000", "1_000"),
        TEXT.replace("70000", "\u0661"),  # a digit, but not an ASCII one
        TEXT.replace("70000", str(2**63)),
        TEXT.replace("70000", "9" * 40),
        TEXT.replace("8=\n", "9=\n"),  # the unused bits of the last digit are not zero
        TEXT.replace("=", ""),
        TEXT.replace("=", "=="),
        TEXT.replace("AAEC", "AA-C"),
        TEXT.replace("\n", "\r\n"),
        f"log.example/one\n1\n{b64encode(ROOT[:31]).decode()}\n",
        f"log.example/one\n1\n{b64encode(ROOT + ROOT[:1]).decode()}\n",
    ],
)
def test_every_other_form_is_refused(text: str) -> None:
    with pytest.raises(Rejected):
        checkpoint.parse(text)


@pytest.mark.parametrize(
    ("origin", "size", "root"),
    [("", 1, ROOT), ("a\nb", 1, ROOT), ("a", -1, ROOT), ("a", 2**63, ROOT), ("a", 1, b"short")],
)
def test_what_has_no_text_cannot_be_made(origin: str, size: int, root: bytes) -> None:
    with pytest.raises(Rejected):
        Checkpoint(origin, size, root)


@given(
    st.text(st.characters(exclude_categories=["Cs"], min_codepoint=32), min_size=1),
    st.integers(0, checkpoint.MAX_SIZE),
    st.binary(min_size=32, max_size=32),
)
def test_any_checkpoint_survives_its_text(origin: str, size: int, root: bytes) -> None:
    head = Checkpoint(origin, size, root)
    assert checkpoint.parse(checkpoint.format(head)) == head


@given(st.text(max_size=100), st.integers(0, len(TEXT)), st.integers(0, 3))
def test_what_parses_is_exactly_what_format_writes(garbage: str, at: int, kept: int) -> None:
    for text in (garbage, TEXT[:at] + garbage + TEXT[at + kept :]):
        try:
            head = checkpoint.parse(text)
        except Rejected:
            continue
        assert checkpoint.format(head) == text


@given(st.binary(max_size=300))
def test_garbage_raises_only_our_errors(garbage: bytes) -> None:
    with pytest.raises(AuditError):
        checkpoint.open(garbage, SIGNER.verifier)


def test_published_checkpoints(vectors: Path) -> None:
    """Ours is stricter than the published ones: 32 bytes of root and no extension lines."""
    cases = json.loads((vectors / "checkpoint" / "checkpoints.json").read_text())
    assert cases["valid"]
    assert cases["invalid"]
    read = 0
    for text, origin, size, root, extension in cases["valid"]:
        if extension or (root is not None and len(root.encode()) != 32):
            with pytest.raises(Rejected):
                checkpoint.parse(text)
            continue
        read += 1
        head = checkpoint.parse(text)
        assert (head.origin, head.size) == (origin, size)
        assert checkpoint.format(head) == text
    assert read
    for _, text in cases["invalid"]:
        with pytest.raises(Rejected):
            checkpoint.parse(text)
