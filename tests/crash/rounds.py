"""Killing the real server at random moments under load, and what must hold afterwards.

Clients send single predictions and batches over HTTP and send again what was not answered, as
real ones do. A round ends with `kill -9`. After each restart what was acknowledged is sent once
more and must be known; in the end every acknowledged event is in the ledger exactly once, where
its receipt says, and the tree continues every checkpoint that was ever handed out.
"""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil

import modelwitness
from audit import fsck
from audit.errors import Tampered
from audit.settings import AuditSettings

INTEGRATION = "crash"
SINGLES, BATCHES = 3, 1
"""Clients of each sort, at once."""
BATCH = 40
VICTIMS = ("both", "serve", "hold")
"""`serve` keeps its ledger in a process of its own: each may die alone, or both at once."""
START_SECONDS = 60


@dataclass
class Sent:
    """What clients know: acknowledged ids, with index and leaf hash where they were told."""

    known: dict[str, tuple[int, str] | None] = field(default_factory=dict)
    unanswered: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    count: int = 0

    def next(self, count: int) -> list[str]:
        """Ids to send: first those that nobody answered for."""
        with self.lock:
            again, self.unanswered = self.unanswered[:count], self.unanswered[count:]
            fresh = [f"e-{self.count + i}" for i in range(count - len(again))]
            self.count += len(fresh)
            return again + fresh


def run(
    folder: Path, database: str, rounds: int, seed: int, free_port: Callable[[], int]
) -> Counter[str]:
    """Run the rounds; returns counts of what was sent, for the test to look at."""
    chance = random.Random(seed)
    settings = AuditSettings(data=folder, database=database)
    token = _token(folder, database)
    sent, anchors, port = Sent(), [], free_port()
    for number in range(rounds):
        before = set(sent.known)
        with _serving(folder, database, port) as server, httpx.Client(timeout=30) as client:
            headers = {"Authorization": f"Bearer {token}"}
            anchors.append(_anchor(client, port, folder / f"{number}.checkpoint"))
            _send_again(client, port, headers, chance.sample(sorted(before), min(60, len(before))))
            threads = _load(sent, port, headers)
            time.sleep(chance.uniform(0.02, 0.5))  # the random moment
            _kill(server, chance.choice(VICTIMS))
            for thread in threads:
                thread.join()
        if number % 5 == 4:
            assert _fsck(settings, anchors, deep=False) == fsck.OK
    _check(settings, sent, anchors)
    return Counter(rounds=rounds, acknowledged=len(sent.known), sent=sent.count)


@contextmanager
def _serving(folder: Path, database: str, port: int) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "modelwitness", "serve", *_where(folder, database)]
    with (folder / "server.log").open("ab") as log:
        server = subprocess.Popen(
            [*command, "--port", str(port)], stdout=log, stderr=log, start_new_session=True
        )
    try:
        deadline = time.monotonic() + START_SECONDS
        while not _ready(port):
            assert server.poll() is None, (folder / "server.log").read_text()[-2000:]
            assert time.monotonic() < deadline, "the server did not become ready"
            time.sleep(0.02)
        yield server
    finally:
        _kill(server, "both")
        server.wait()


def _kill(server: subprocess.Popen[bytes], victim: str) -> None:
    """Kill -9 the server, the process that holds its ledger, or both at once."""
    with suppress(ProcessLookupError, psutil.NoSuchProcess):
        if victim == "both":
            os.killpg(server.pid, signal.SIGKILL)
        elif victim == "serve":
            server.kill()
        else:
            for child in psutil.Process(server.pid).children():
                child.kill()
            server.wait(30)  # without its ledger it ends by itself


def _ready(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=5).status_code == 200
    except httpx.TransportError:
        return False


def _load(sent: Sent, port: int, headers: dict[str, str]) -> list[threading.Thread]:
    sizes = [1] * SINGLES + [BATCH] * BATCHES
    threads = [threading.Thread(target=_client, args=(sent, port, headers, size)) for size in sizes]
    for thread in threads:
        thread.start()
    return threads


def _client(sent: Sent, port: int, headers: dict[str, str], size: int) -> None:
    """Send until the server is gone."""
    url = f"http://127.0.0.1:{port}/v1/predictions"
    with httpx.Client(timeout=30, headers=headers) as client:
        while True:
            ids = sent.next(size)
            bodies = [_body(id) for id in ids]
            try:
                answer = client.post(url, json=bodies[0] if size == 1 else bodies)
            except httpx.TransportError:
                with sent.lock:
                    sent.unanswered += ids
                return
            told = answer.json()
            with sent.lock:
                if answer.status_code in (503, 429):
                    sent.unanswered += ids
                elif size == 1:
                    assert answer.status_code in (200, 201), told
                    sent.known[ids[0]] = (told["index"], told["leaf_hash"])
                else:
                    assert told["accepted"] + told["duplicates"] == size, told
                    sent.known.update(dict.fromkeys(ids))


def _send_again(client: httpx.Client, port: int, headers: dict[str, str], ids: list[str]) -> None:
    if not ids:
        return
    answer = client.post(
        f"http://127.0.0.1:{port}/v1/predictions", json=[_body(id) for id in ids], headers=headers
    ).json()
    assert (answer["duplicates"], answer["accepted"]) == (len(ids), 0), answer


def _anchor(client: httpx.Client, port: int, path: Path) -> Path:
    answer = client.get(f"http://127.0.0.1:{port}/log/main/checkpoint")
    assert answer.status_code == 200
    path.write_bytes(answer.content)
    return path


def _check(settings: AuditSettings, sent: Sent, anchors: list[Path]) -> None:
    assert _fsck(settings, anchors, deep=True) == fsck.OK
    with modelwitness.opened(settings.data, settings.database) as parts:
        reader = parts.store.reader
        found: Counter[str] = Counter()
        places: dict[str, tuple[int, str]] = {}
        for opened in reader.window("PredictionLogged", "m", "1", 0, 2**62):
            id = json.loads(opened.body)["id"]
            found[id] += 1
            places[id] = (opened.leaf.index, _base64(opened.leaf.hash))
    twice = [id for id, times in found.items() if times > 1]
    assert twice == []
    assert [id for id in sent.known if id not in found] == []
    assert found.keys() <= {f"e-{number}" for number in range(sent.count)}
    for id, receipt in sent.known.items():
        if receipt is not None:
            assert places[id] == receipt


def _fsck(settings: AuditSettings, anchors: list[Path], *, deep: bool) -> int:
    lines: list[str] = []
    found = fsck.run(
        settings,
        deep=deep,
        earlier=anchors,
        report=lines.append,
        projections=modelwitness.projections(),
    )
    if found != fsck.OK:
        raise Tampered("\n".join(lines))
    return found


def _token(folder: Path, database: str) -> str:
    _command("migrate", folder, database)
    create = ["tokens", "create", "--role", "integration", "--integration", INTEGRATION]
    return _command(*create, folder, database)


def _command(*words: str | Path) -> str:
    *command, folder, database = words
    made = subprocess.run(
        [sys.executable, "-m", "modelwitness", *command, *_where(Path(folder), str(database))],
        check=True,
        capture_output=True,
        text=True,
    )
    return made.stdout.strip()


def _where(folder: Path, database: str) -> list[str]:
    return ["--data", str(folder), *(["--database", database] if database else [])]


def _body(id: str) -> dict[str, Any]:
    return {
        "id": id,
        "time": "2013-01-01T00:00:00Z",
        "model": {"name": "m", "version": "1"},
        "inputs": {"number": id, "text": "x" * 200},
        "output": 1,
        "subject": {"scheme": "customer", "id": f"s-{int(id[2:]) % 50}"},
        "references": {"loan": id},
    }


def _base64(raw: bytes) -> str:
    from audit.leaf import base64

    return base64(raw)
