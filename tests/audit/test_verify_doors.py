"""What comes into the offline verifier: garbage, servers, the command line, and the file alone."""

import ast
import gzip
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit import checkpoint, merkle, note, tiles, verify
from audit.verify import CANNOT_TELL, OK, TAMPERED
from tests.audit.logs import (
    SIGNER,
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
