"""Objects of a real S3 server come in once, whatever is away or killed in between."""

import gzip
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.collector.files.consumed import Watching, line, watching, write_parquet
from tests.collector.streams.counted import Ledger
from tests.programs import environment

SECRETS = {"S3_KEY": "the-key", "S3_SECRET": "a-secret-of-the-store"}
WITH_CLIENT = """
import sys
sys.path.append(sys.argv.pop(1))  # behind ours, which has no client of S3
from modelwitness import main
main(sys.argv[4:])  # what follows `python -m modelwitness`
"""


class Store:
    """A private S3 server, which forgets everything when it ends."""

    def __init__(self, folder: Path, port: int) -> None:
        self.address = f"http://127.0.0.1:{port}"
        self._programs = environment("s3")
        self._command = [str(self._programs / "moto_server"), "-H", "127.0.0.1", "-p", str(port)]
        self._told = folder / "store.log"
        self._server: subprocess.Popen[bytes] | None = None

    @property
    def client(self) -> str:
        """The folder from which its client is imported."""
        [found] = self._programs.parent.glob("lib/python3*/site-packages")
        return str(found)

    def start(self) -> None:
        own = {"PATH": os.environ.get("PATH", ""), "HOME": str(self._told.parent)}
        with self._told.open("ab") as told:
            self._server = subprocess.Popen(self._command, env=own, stdout=told, stderr=told)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            assert self._server.poll() is None, self._told.read_text(errors="replace")[-2000:]
            try:
                assert httpx.put(f"{self.address}/bucket").status_code == 200
            except httpx.TransportError:
                time.sleep(0.1)
            else:
                return
        pytest.fail("the S3 server was not ready within a minute")

    def kill(self) -> None:
        if self._server is not None:
            self._server.kill()
            self._server.wait()
            self._server = None

    def put(self, name: str, content: bytes) -> None:
        """Write an object."""
        answer = httpx.put(f"{self.address}/bucket/{name}", content=content)
        assert answer.status_code == 200, answer.text


@pytest.fixture
def store(tmp_path: Path, free_port: Callable[[], int]) -> Iterator[Store]:
    found = Store(tmp_path, free_port())
    try:
        found.start()
        yield found
    finally:
        found.kill()


@contextmanager
def consuming(folder: Path, data: Path, store: Store) -> Iterator[Watching]:
    """A running process over all objects of the store."""
    with watching(
        folder,
        data,
        location="s3://bucket/captures",
        final_after="2s",
        options={"key": "env:S3_KEY", "secret": "env:S3_SECRET", "endpoint_url": store.address},
        before=(sys.executable, "-c", WITH_CLIENT, store.client),
        environment=SECRETS,
    ) as process:
        yield process


def ids(start: str, count: int, first: int = 0) -> list[str]:
    return [f"{start}-{number:05}" for number in range(first, first + count)]


def text(names: list[str]) -> bytes:
    return b"".join(map(line, names))


@pytest.mark.slow
def test_objects_are_logged_once_whatever_is_killed_in_between(
    store: Store, tmp_path: Path
) -> None:
    ledger = Ledger(tmp_path / "data")
    write_parquet(tmp_path / "x.parquet", ids("p", 6_000))
    objects = {
        "captures/2026/07/01/10/person-17.parquet": (tmp_path / "x.parquet").read_bytes(),
        "captures/2026/07/01/10/a.jsonl.gz": gzip.compress(text(ids("z", 1_500))),
        "captures/2026/07/01/11/b.jsonl": text(ids("b", 300)).rstrip(),
        "captures/_SUCCESS": b"",
        "elsewhere/c.jsonl": text(ids("c", 10)),
    }
    for name, content in objects.items():
        store.put(name, content)
    wanted = Counter([*ids("p", 6_000), *ids("z", 1_500), *ids("b", 300)])
    with ledger.watched() as until:
        with consuming(tmp_path, ledger.data, store) as process:
            until(2_000, process)
            process.kill()
        with consuming(tmp_path, ledger.data, store) as process:
            until(len(wanted), process)
            store.kill()
            process.await_told("waits: the place cannot be listed")
            store.start()
            objects["captures/2026/07/01/11/b.jsonl"] = text(ids("b", 500))
            for name, content in objects.items():
                store.put(name, content)
            wanted.update(ids("b", 200, 300))
            until(len(wanted), process)
            assert process.stop() == 0, process.told()
    assert Counter(str(body["id"]) for body in ledger.bodies()) == wanted
    assert ledger.quarantined() == []
    for hidden in ("person-17", *SECRETS.values()):
        assert hidden not in process.told()
