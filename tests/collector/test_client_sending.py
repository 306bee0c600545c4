"""What a client spooled arrives once at a real collector, and is given up to nobody else."""

import contextlib
import gzip
import http.server
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from collector.client import Client
from collector.spool import Spool
from tests.collector.conftest import House, Open, listening

QUIET = "http://127.0.0.1:1"
"""Nobody listens there."""


def token(house: House) -> str:
    return house.token()["Authorization"].removeprefix("Bearer ")


def ids(house: House) -> list[str]:
    return [body["id"] for body in house.bodies("PredictionLogged")]


def eventually(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline, "it did not come to pass within 30 s"
        time.sleep(0.02)


def test_predictions_and_outcomes_arrive_in_order_and_once(
    house: House, address: str, tmp_path: Path
) -> None:
    client = Client(address, token(house), tmp_path / "spool.db")
    made = [client.log_prediction("credit", "3", {"n": n}, "approve") for n in range(1_200)]
    client.log_outcome(made[0], "repaid", label_source="ledger of loans")
    assert client.flush(30)
    assert ids(house) == made
    [outcome] = house.bodies("OutcomeObserved")
    assert outcome["prediction"] == {"id": made[0]}
    state = client.state()
    assert (state.sent, state.waiting, state.refused, state.failing) == (1_201, 0, 0, None)
    assert state.clock_offset_seconds is not None
    assert abs(state.clock_offset_seconds) < 2
    client.close()


def test_events_for_two_addresses_in_turn_need_few_requests(
    house: House, address: str, tmp_path: Path
) -> None:
    client = Client(QUIET, token(house), tmp_path / "spool.db", flush_seconds=0)
    for n in range(400):
        client.log_outcome(client.log_prediction("credit", "3", {}, id=f"p-{n}"), "repaid")
    client.close()
    spool = Spool(tmp_path / "spool.db", 1 << 30)
    sizes = []
    while batch := spool.first(500, 1 << 20):
        sizes.append(len(batch))
        spool.done(batch)
    spool.close()
    assert sizes[:2] == [400, 400]


def test_a_backlog_of_both_is_sent_without_pauses(
    house: House, address: str, tmp_path: Path
) -> None:
    client = Client(QUIET, token(house), tmp_path / "spool.db", flush_seconds=0)
    made = [client.log_prediction("credit", "3", {}) for _ in range(400)]
    for each in made:
        client.log_outcome(each, "repaid")
    client.close()
    client = Client(address, token(house), tmp_path / "spool.db")
    assert client.flush(30)
    client.close()
    assert ids(house) == made
    assert len(house.bodies("OutcomeObserved")) == 400


def test_a_process_that_is_gone_holds_no_lease(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        ended.wait()
    one, other = (Spool(tmp_path / "spool.db", 1_000_000) for _ in range(2))
    assert one.lease(f"{ended.pid}-dead", 60)
    assert other.lease(f"{os.getpid()}-alive", 60)
    assert not one.lease(f"{ended.pid}-dead", 60)
    one.close()
    other.close()


def test_what_the_collector_refuses_is_set_aside_and_the_rest_arrives(
    house: House, address: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    client = Client(address, token(house), tmp_path / "spool.db")
    client.log_prediction("credit", "3", {"n": 1}, id="good-1")
    client.log_prediction("credit", "3", {"n": 2}, id="bad", confidence="sure")
    client.log_prediction("credit", "3", {"n": 3}, id="good-2")
    assert client.flush(30)
    assert ids(house) == ["good-1", "good-2"]
    assert (client.state().sent, client.state().refused) == (2, 1)
    assert "refused 1 of 3" in caplog.text
    assert "sure" not in caplog.text
    client.close()


def test_a_batch_of_which_one_is_too_large_is_halved_until_the_rest_is_through(
    opened: Open, free_port: Callable[[], int], tmp_path: Path
) -> None:
    house = opened(body_bytes=4_000, unpacked_bytes=20_000)
    with listening(house.app, free_port()) as address:
        client = Client(address, token(house), tmp_path / "spool.db")
        for n in range(60):
            client.log_prediction("credit", "3", {"x": os.urandom(200).hex()}, id=f"p-{n}")
        client.log_prediction("credit", "3", {"x": os.urandom(20_000).hex()}, id="huge")
        client.log_prediction("credit", "3", {}, id="last")
        assert client.flush(30)
        client.close()
    assert ids(house) == [*(f"p-{n}" for n in range(60)), "last"]


def test_a_wrong_token_keeps_everything_in_the_spool(
    house: House, address: str, tmp_path: Path
) -> None:
    client = Client(address, "mw_wrong", tmp_path / "spool.db", flush_seconds=0)
    client.log_prediction("credit", "3", {})
    client.flush(0.1)
    eventually(lambda: client.state().failing is not None)
    assert client.state().failing == "the collector answers 401"
    client.close()
    with_token = Client(address, token(house), tmp_path / "spool.db")
    assert with_token.flush(30)
    assert len(ids(house)) == 1
    with_token.close()


PROGRAM = """
import sys, time
from collector.client import Client
address, token, spool, name, count = sys.argv[1:]
client = Client(address, token, spool)
for number in range(int(count)):
    client.log_prediction("credit", "3", {"n": number}, id=f"{name}-{number}")
    print(number, flush=True)
time.sleep(60)
"""


def test_a_killed_program_loses_nothing_that_was_logged_and_the_network_may_be_cut(
    house: House, address: str, tmp_path: Path
) -> None:
    spool = tmp_path / "spool.db"
    written: dict[str, int] = {}
    for name, where in (("cut", QUIET), ("half", address), ("cut-again", QUIET)):
        command = [sys.executable, "-c", PROGRAM, where, token(house), str(spool), name, "2000"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as program:
            assert program.stdout is not None
            for line in program.stdout:
                if int(line) >= 700:
                    break
            program.send_signal(signal.SIGKILL)
            rest = program.stdout.read().split()
            written[name] = int(rest[-2]) if len(rest) > 1 else 700
    client = Client(address, token(house), spool)
    assert client.flush(60)
    client.close()
    arrived = ids(house)
    assert len(arrived) == len(set(arrived))
    for name, last in written.items():
        assert {f"{name}-{number}" for number in range(last + 1)} <= set(arrived)


def test_the_end_of_the_program_sends_what_is_left(
    house: House, address: str, tmp_path: Path
) -> None:
    program = (
        "import sys\nfrom collector.client import Client\n"
        "client = Client(*sys.argv[1:4])\n"
        "for n in range(20): client.log_prediction('credit', '3', {}, id=str(n))\n"
    )
    command = [sys.executable, "-c", program, address, token(house), str(tmp_path / "spool.db")]
    subprocess.run(command, check=True, timeout=60)
    assert ids(house) == [str(n) for n in range(20)]


def test_of_processes_that_share_a_spool_one_sends_at_a_time(tmp_path: Path) -> None:
    one, other = (Spool(tmp_path / "spool.db", 1_000_000) for _ in range(2))
    assert one.lease("one", 60)
    assert not other.lease("other", 60)
    assert one.lease("one", 60)
    one.release("one")
    assert other.lease("other", 60)
    one.close()
    other.close()


def test_a_spool_is_for_its_owner_alone(tmp_path: Path) -> None:
    Spool(tmp_path / "deep" / "spool.db", 1_000).close()
    assert (tmp_path / "deep" / "spool.db").stat().st_mode & 0o077 == 0
    assert (tmp_path / "deep").stat().st_mode & 0o077 == 0


def test_an_existing_spool_is_made_private_and_a_link_is_not_followed(tmp_path: Path) -> None:
    path = tmp_path / "spool.db"
    path.touch(0o644)
    Spool(path, 1_000).close()
    assert path.stat().st_mode & 0o077 == 0
    (tmp_path / "link.db").symlink_to(path)
    with pytest.raises(OSError, match="link"):
        Spool(tmp_path / "link.db", 1_000)


class Stranger(http.server.BaseHTTPRequestHandler):
    """Answers everything with 200 and something else than a collector would."""

    body = b""
    packed = False

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-length", str(len(self.body)))
        if self.packed:
            self.send_header("content-encoding", "gzip")
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.mark.parametrize(
    ("body", "packed"),
    [
        (b'{"status":"ok"}', False),
        (b"<html>welcome to the hotel</html>", False),
        (b'{"accepted":1,"duplicates":0,"rejected":[]}', False),
        (b'{"accepted":2,"duplicates":0,"rejected":[{"position":9,"problem":{}}]}', False),
        (gzip.compress(bytes(50_000_000)), True),
        (bytes(5_000_000), False),
    ],
)
def test_an_answer_that_is_no_collectors_gives_nothing_up_and_costs_no_memory(
    tmp_path: Path, body: bytes, packed: bool
) -> None:
    answering = type("Answering", (Stranger,), {"body": body, "packed": packed})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), answering) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        address = f"http://127.0.0.1:{server.server_port}"
        client = Client(address, "mw_x", tmp_path / "spool.db", flush_seconds=0)
        for _ in range(3):
            client.log_prediction("credit", "3", {})
        tracemalloc.start()
        client.flush(0.1)
        eventually(lambda: client.state().failing is not None)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 20_000_000
        assert (client.state().waiting, client.state().sent) == (3, 0)
        client.close()
        server.shutdown()
        thread.join()


def test_what_could_not_be_written_at_once_is_written_before_the_spool_closes(
    tmp_path: Path,
) -> None:
    spool = Spool(tmp_path / "spool.db", 1_000_000)
    with contextlib.closing(sqlite3.connect(tmp_path / "spool.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert spool.put("/v1/predictions", b"{}")
        assert spool.first(10, 1_000) == []
        other.execute("ROLLBACK")
    spool.close()
    again = Spool(tmp_path / "spool.db", 1_000_000)
    assert [each.body for each in again.first(10, 1_000)] == [b"{}"]
    again.close()


def test_what_can_never_be_written_is_counted_as_dropped_and_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spool = Spool(tmp_path / "spool.db", 1_000_000)
    with contextlib.closing(sqlite3.connect(tmp_path / "spool.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert spool.put("/v1/predictions", b'{"secret":1}')
        spool.close()
        other.execute("ROLLBACK")
    assert spool.dropped == 1
    assert "1 events are lost" in caplog.text
    assert "secret" not in caplog.text
