"""No address leads into a private network unless the operator said so, and never to credentials."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

from audit.errors import Rejected, Unreachable
from audit.outgoing import Outgoing, read_bounded

NEVER = [
    "169.254.169.254",
    "169.254.170.2",
    "100.100.100.200",
    "192.0.0.192",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "::ffff:169.254.169.254",
    "::169.254.169.254",
    "64:ff9b::169.254.169.254",
    "2002:a9fe:a9fe::1",
    "0.0.0.0",
    "::",
    "224.0.0.1",
    "ff02::1",
    "255.255.255.255",
    "::ffff:0:127.0.0.1",
    "::ffff:0:8.8.8.8",
    "192.88.99.1",
    "3fff::1",
    "5f00::1",
]
PRIVATE = [
    "127.0.0.1",
    "127.8.8.8",
    "::1",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "198.18.0.1",
    "fd12::1",
    "::ffff:10.1.2.3",
    "::ffff:127.0.0.1",
    "::10.1.2.3",
    "64:ff9b::10.1.2.3",
    "64:ff9b::127.0.0.1",
    "64:ff9b:1::a01:203",
    "2002:a01:203::1",
    "2002:7f00:1::1",
]
PUBLIC = ["8.8.8.8", "2606:4700::1111", "64:ff9b::8.8.8.8", "2002:808:808::1", "::ffff:8.8.8.8"]
URL = httpx.URL("https://name.example/cert.pem")


def leading_to(*numbers: str, allowed: list[str] | None = None) -> Outgoing:
    return Outgoing(allowed or [], lambda _host, _port: numbers)


@pytest.mark.parametrize("number", PUBLIC)
def test_a_public_number_may_be_called(number: str) -> None:
    assert len(leading_to(number).numbers(URL)) == 1


@pytest.mark.parametrize("number", [*NEVER, *PRIVATE])
def test_a_name_that_leads_elsewhere_is_refused_for_good(number: str) -> None:
    for by_operator in (False, True):
        with pytest.raises(Unreachable) as refused:
            leading_to(number).numbers(URL, written_by_operator=by_operator)
        assert refused.value.final
        assert number not in str(refused.value)


@pytest.mark.parametrize("number", PRIVATE)
def test_a_private_number_may_be_called_where_its_host_is_allowed(number: str) -> None:
    assert leading_to(number, allowed=["Name.Example"]).numbers(URL)
    other = httpx.URL("https://other.example/")
    with pytest.raises(Unreachable):
        leading_to(number, allowed=["name.example"]).numbers(other)


def test_a_private_number_may_be_called_where_its_network_is_allowed() -> None:
    for number in ("10.1.2.3", "::ffff:10.1.2.3", "64:ff9b::10.1.2.3", "2002:a01:203::1"):
        assert leading_to(number, allowed=["10.1.0.0/16"]).numbers(URL)
        with pytest.raises(Unreachable):
            leading_to(number, allowed=["10.2.0.0/16"]).numbers(URL)


@pytest.mark.parametrize("number", NEVER)
def test_where_credentials_are_kept_is_never_called_whatever_is_allowed(number: str) -> None:
    allowed = ["name.example", "0.0.0.0/0", "::/0"]
    with pytest.raises(Unreachable):
        leading_to(number, allowed=allowed).numbers(URL, written_by_operator=True)


def test_only_a_number_that_the_operator_wrote_says_that_it_is_private() -> None:
    for host in ("10.1.2.3", "127.0.0.1", "[::1]", "localhost"):
        url = httpx.URL(f"http://{host}:9/")
        rule = Outgoing(resolve=lambda _host, _port: ["127.0.0.1"])
        assert rule.numbers(url, written_by_operator=True)
        with pytest.raises(Unreachable):
            rule.numbers(url)
    # Another notation of a number is a name, and `localhost` is this machine alone.
    for host, number in (("2130706433", "127.0.0.1"), ("localhost", "10.1.2.3")):
        with pytest.raises(Unreachable):
            leading_to(number).numbers(httpx.URL(f"http://{host}/"), written_by_operator=True)


def test_of_several_numbers_only_those_that_may_be_called_are_left() -> None:
    found = leading_to("10.1.2.3", "8.8.8.8", "169.254.169.254", "9.9.9.9").numbers(URL)
    assert list(map(str, found)) == ["8.8.8.8", "9.9.9.9"]


def test_a_name_without_a_number_may_be_tried_again() -> None:
    def gone(host: str, port: int) -> list[str]:
        raise OSError("no such name")

    with pytest.raises(Unreachable) as refused:
        Outgoing(resolve=gone).numbers(URL)
    assert not refused.value.final


@pytest.mark.parametrize("url", ["ftp://name.example/", "https://a:b@name.example/", "/cert.pem"])
def test_only_http_without_credentials_is_called(url: str) -> None:
    with pytest.raises(Unreachable) as refused:
        leading_to("8.8.8.8").numbers(httpx.URL(url))
    assert refused.value.final


def test_a_setting_that_names_neither_host_nor_network_is_refused() -> None:
    assert Outgoing.of(" retrainer , 10.0.0.0/8,, ::1 ", lambda *_: ["10.1.1.1"]).numbers(URL)
    for setting in ("10.0.0.0/40", "http://name.example", "name.example:80", "10.0.0.1/8"):
        with pytest.raises(Rejected):
            Outgoing.of(setting)


@pytest.fixture
def here() -> Iterator[tuple[int, list[str]]]:
    """A server on 127.0.0.1: its port and the Host of each request; it redirects to itself."""
    heard: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            heard.append(self.headers["host"])
            self.send_response(302)
            self.send_header("Location", "/again")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_port, heard
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_client_calls_the_number_that_was_checked_under_the_name(
    here: tuple[int, list[str]],
) -> None:
    """The name is asked for once a request: an answer that changes afterwards leads nowhere."""
    port, heard = here
    asked: list[str] = []

    def changing(host: str, _port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["169.254.169.254"]

    with Outgoing(["name.example"], changing).client(5) as client:
        answer = client.get(f"http://name.example:{port}/")
        assert answer.status_code == 302
        assert (asked, heard) == (["name.example"], [f"name.example:{port}"])
        with pytest.raises(Unreachable):
            client.get(f"http://name.example:{port}/")
    assert len(heard) == 1


def test_the_client_goes_on_to_the_next_number_where_nobody_answers(
    here: tuple[int, list[str]],
) -> None:
    port, heard = here
    rule = Outgoing(["name.example"], lambda *_: ["::1", "127.0.0.1"])
    with rule.client(5) as client:
        assert client.get(f"http://name.example:{port}/").status_code == 302
    assert len(heard) == 1


@pytest.mark.parametrize("late", [False, True])
def test_an_answer_that_drips_is_given_up(late: bool) -> None:
    """Each chunk comes in time; the whole must as well."""
    clock = iter(range(100))
    step = 4 if late else 1
    answer = httpx.Response(200, content=iter([b"x" * 16 * 1024] * 4))
    with httpx.Client(timeout=2) as client:
        if late:
            with pytest.raises(ValueError, match="too slow"):
                read_bounded(client, answer, 10**6, lambda: step * next(clock))
        else:
            assert len(read_bounded(client, answer, 10**6, lambda: step * next(clock))) == 65_536


def test_an_answer_that_is_too_long_is_given_up() -> None:
    with httpx.Client() as client:
        assert read_bounded(client, httpx.Response(200, content=b"x" * 10), 10) == b"x" * 10
        with pytest.raises(ValueError, match="too long"):
            read_bounded(client, httpx.Response(200, content=b"x" * 11), 10)
