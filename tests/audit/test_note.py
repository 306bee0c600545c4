"""Signed notes and keys against the published vectors, own answers and mutations."""

import json
from base64 import b64encode
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from audit import note
from audit.errors import AuditError, Rejected, Tampered, Unverifiable
from audit.note import Signer, Verifier

SIGNER = Signer("log.example/one", bytes(range(32)))
OTHER = Signer("log.example/two", bytes(range(1, 33)))
TEXT = "first line\n\nthird line\n"
VKEY = "log.example/one+be6ef7a5+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4"
MESSAGE = (
    "first line\n\nthird line\n\n"
    "\N{EM DASH} log.example/one vm73pcw6UWObexXxW8vRS5hOKrNVQbwIRQUdeBWdBspo2DGFJAc/"
    "yfe/VE4EA4ogkUHzIMQkBCRe3wIDVC1KAbvEFAo=\n"
).encode()

P = 2**255 - 19
LOW_ORDER = [
    # the eight points of small order, then forms of them that are not canonical
    (1).to_bytes(32, "little"),
    (P - 1).to_bytes(32, "little"),
    bytes(32),
    bytes(31) + b"\x80",
    bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
    bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85"),
    bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
    bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa"),
    (P).to_bytes(32, "little"),
    (P + 1).to_bytes(32, "little"),
    (1 | 1 << 255).to_bytes(32, "little"),
    (P - 1 | 1 << 255).to_bytes(32, "little"),
    (P | 1 << 255).to_bytes(32, "little"),
    (P + 1 | 1 << 255).to_bytes(32, "little"),
]


def vkey_of(name: str, kind: int, key: bytes) -> str:
    raw = bytes([kind]) + key
    key_id = sha256(name.encode() + b"\n" + raw).digest()[:4]
    return f"{name}+{key_id.hex()}+{b64encode(raw).decode()}"


def with_line(line: str) -> bytes:
    return MESSAGE + line.encode()


# --- keys


def test_a_key_has_its_known_text_and_signature() -> None:
    assert SIGNER.vkey == VKEY
    assert note.sign(TEXT, [SIGNER]) == MESSAGE


def test_keys_read_back_as_written() -> None:
    assert Verifier.parse(SIGNER.vkey) == SIGNER.verifier
    assert Signer.parse(SIGNER.skey) == SIGNER


def test_a_signer_shows_its_seed_nowhere() -> None:
    shown = repr(SIGNER)
    assert SIGNER.name in shown
    assert SIGNER.skey not in shown
    assert repr(SIGNER.seed) not in shown


def test_every_part_and_every_shifted_byte_of_a_vkey_is_refused() -> None:
    size = len(VKEY)
    for begin in range(size):
        for end in range(begin, size + 1):
            if end - begin < size:
                with pytest.raises(Rejected):
                    Verifier.parse(VKEY[begin:end])
    for at in range(size):
        with pytest.raises(Rejected):
            Verifier.parse(VKEY[:at] + chr(ord(VKEY[at]) + 1) + VKEY[at + 1 :])


def test_every_shifted_byte_of_an_skey_is_refused() -> None:
    skey = SIGNER.skey
    for at in range(len(skey)):
        with pytest.raises(Rejected) as caught:
            Signer.parse(skey[:at] + chr(ord(skey[at]) + 1) + skey[at + 1 :])
        assert skey[-20:-2] not in str(caught.value)


@pytest.mark.parametrize("key", LOW_ORDER)
def test_keys_of_low_order_are_refused(key: bytes) -> None:
    with pytest.raises(Rejected):
        Verifier.parse(vkey_of("log.example", 1, key))


def test_a_key_of_low_order_would_have_accepted_a_forgery() -> None:
    """Why they are refused: the library itself takes this signature for any text."""
    identity = Ed25519PublicKey.from_public_bytes(LOW_ORDER[0])
    forged = LOW_ORDER[0] + bytes(32)
    identity.verify(forged, b"any")
    identity.verify(forged, b"text")


def test_keys_that_are_not_points_are_refused() -> None:
    """y = 2 belongs to no point; about half of all values of y do not."""
    with pytest.raises(Rejected):
        Verifier.parse(vkey_of("log.example", 1, (2).to_bytes(32, "little")))


def test_other_key_types_and_lengths_are_refused() -> None:
    key = SIGNER.verifier.public_key
    for kind, raw in [(4, key), (0, key), (6, key * 41), (1, key[:31]), (1, key + b"\0"), (1, b"")]:
        with pytest.raises(Rejected):
            Verifier.parse(vkey_of("log.example", kind, raw))


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\nb", "a\u2003b", "a\x00b", "a\ud800b"])
def test_names_that_no_signature_line_can_hold_are_refused(name: str) -> None:
    with pytest.raises(Rejected):
        Verifier(name, SIGNER.verifier.public_key)
    with pytest.raises(Rejected):
        Signer(name, SIGNER.seed)


# --- notes


def test_a_note_opens_with_its_text_and_signers() -> None:
    message = note.sign(TEXT, [SIGNER, OTHER])
    both = note.open(message, [SIGNER.verifier, OTHER.verifier])
    assert both.text == TEXT
    assert [each.name for each in both.verified] == [SIGNER.name, OTHER.name]
    one = note.open(message, [OTHER.verifier])
    assert [each.name for each in one.verified] == [OTHER.name]
    assert [each.name for each in one.unverified] == [SIGNER.name]


def test_a_note_without_a_known_signature_tells_nothing() -> None:
    with pytest.raises(Unverifiable):
        note.open(MESSAGE, [OTHER.verifier])
    with pytest.raises(Unverifiable):
        note.open(MESSAGE, [])


def test_a_changed_text_is_tampering() -> None:
    with pytest.raises(Tampered):
        note.open(MESSAGE.replace(b"third", b"fourth"), [SIGNER.verifier])


def test_one_bad_line_of_a_known_key_spoils_the_note() -> None:
    good = note.sign(TEXT, [OTHER]).decode().splitlines()[-1]
    bad = note.sign("another text\n", [SIGNER]).decode().splitlines()[-1]
    for extra in (f"{bad}\n", f"{good}\n{bad}\n", f"{bad}\n{good}\n"):
        with pytest.raises(Tampered):
            note.open(with_line(extra), [SIGNER.verifier, OTHER.verifier])


def test_a_known_name_with_an_unknown_key_is_a_stranger() -> None:
    stranger = Signer(SIGNER.name, OTHER.seed)
    opened = note.open(note.sign(TEXT, [SIGNER, stranger]), [SIGNER.verifier])
    assert len(opened.verified) == len(opened.unverified) == 1


def test_up_to_a_hundred_signatures_are_read() -> None:
    strangers = [Signer(f"witness/{each}", SIGNER.seed) for each in range(99)]
    message = note.sign(TEXT, [SIGNER, *strangers])
    assert len(note.open(message, [SIGNER.verifier]).unverified) == 99
    line = message.decode().splitlines()[-1] + "\n"
    with pytest.raises(Rejected):
        note.open(message + line.encode(), [SIGNER.verifier])
    with pytest.raises(Rejected):
        note.sign(TEXT, [SIGNER, *strangers, OTHER])


@pytest.mark.parametrize(
    "line",
    [
        "\N{EM DASH} name\n",
        "\N{EM DASH} name AAAAAA==\n",  # a key id without a signature
        "\N{EM DASH} name AAAAAAA\n",
        "\N{EM DASH} name AAAAAAB=\n",  # not canonical
        "\N{EM DASH} name AAAA_AA=\n",
        "\N{EM DASH} name AAAAAAA= \n",
        "\N{EM DASH}  AAAAAAA=\n",
        "\N{EM DASH} na+me AAAAAAA=\n",
        "\N{EM DASH} na\u00a0me AAAAAAA=\n",
        "- name AAAAAAA=\n",
        "name AAAAAAA=\n",
        "\n",
        "\N{EM DASH} name AAAAAAA=",
    ],
)
def test_malformed_signature_lines_reject_the_note(line: str) -> None:
    with pytest.raises(Rejected):
        note.open(with_line(line), [SIGNER.verifier])


@pytest.mark.parametrize("character", [chr(each) for each in range(32) if each != 10])
def test_control_characters_are_refused_both_ways(character: str) -> None:
    with pytest.raises(Rejected):
        note.open(MESSAGE.replace(b"first", character.encode()), [SIGNER.verifier])
    with pytest.raises(Rejected):
        note.sign(f"a{character}b\n", [SIGNER])


def test_what_no_note_can_hold_is_not_signed() -> None:
    for text in ("", "no final newline", "\ud800\n"):
        with pytest.raises(Rejected):
            note.sign(text, [SIGNER])
    with pytest.raises(Rejected):
        note.sign(TEXT, [])


def test_an_oversized_note_is_refused() -> None:
    with pytest.raises(Rejected):
        note.open(b"a" * note.MAX_NOTE_BYTES + MESSAGE, [SIGNER.verifier])


texts = st.text(
    st.characters(exclude_categories=["Cs"], min_codepoint=32) | st.just("\n"), max_size=200
).map(lambda each: each + "\n")


@given(texts)
def test_any_text_survives_signing_and_opening(text: str) -> None:
    assert note.open(note.sign(text, [SIGNER]), [SIGNER.verifier]).text == text


@given(st.binary(max_size=300), st.integers(0, len(MESSAGE)), st.integers(0, 3))
def test_garbage_raises_only_our_errors(garbage: bytes, at: int, kept: int) -> None:
    for message in (garbage, MESSAGE[:at] + garbage + MESSAGE[at + kept :]):
        if message == MESSAGE:
            continue
        with pytest.raises(AuditError):
            note.open(message, [SIGNER.verifier])


@given(st.text(max_size=120), st.integers(0, len(VKEY)))
def test_garbage_keys_raise_only_our_errors(garbage: str, at: int) -> None:
    for key in (garbage, VKEY[:at] + garbage + VKEY[at:]):
        if key == VKEY:
            continue
        with pytest.raises(Rejected):
            Verifier.parse(key)
        with pytest.raises(Rejected):
            Signer.parse(key)


# --- published vectors


@pytest.fixture(scope="session")
def published(vectors: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((vectors / "signed-note" / "notes.json").read_text())
    return found


def test_published_signatures(published: dict[str, Any]) -> None:
    assert published["signers"]
    for case in published["signers"]:
        signer = Signer.parse(case["test_only_skey"])
        assert signer.vkey == case["vkey"]
        assert signer.skey == case["test_only_skey"]
        assert note.sign(case["text"], [signer]).decode() == case["want_note"]


def test_published_valid_notes(published: dict[str, Any]) -> None:
    assert published["valid"]
    for case in published["valid"]:
        verifiers = [Verifier.parse(each) for each in case["vkeys"]]
        opened = note.open(case["note"].encode(), verifiers)
        assert len(opened.verified) == case["verified"], case["name"]
        assert len(opened.unverified) == case["unverified"], case["name"]


def test_published_invalid_notes(published: dict[str, Any]) -> None:
    classes = {"unverified": Unverifiable, "invalid": Tampered, "malformed": Rejected}
    assert published["invalid"]
    for case in published["invalid"]:
        verifiers = [Verifier.parse(each) for each in case["vkeys"]]
        text = case.get("note", "").encode() or bytes.fromhex(case["note_hex"])
        with pytest.raises(classes[case["error"].split()[0]]):
            note.open(text, verifiers)


def test_published_bad_vkeys(published: dict[str, Any]) -> None:
    assert published["bad_vkeys"]
    for case in published["bad_vkeys"]:
        with pytest.raises(Rejected):
            Verifier.parse(case)
