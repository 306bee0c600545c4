"""Which addresses this service may call, and a client that calls no other.

Decides, for whoever in any room fetches or posts to an address it was told:

    never     link-local numbers and those behind which clouds keep credentials
              (169.254.0.0/16, fe80::/10, 100.100.100.200, 192.0.0.192, fd00:ec2::/32), multicast,
              reserved and unspecified ones, and those that routers keep to themselves (IPv4-
              translated, segment routing, relays of 6to4) or books use: no setting opens them
    by name   private numbers (loopback, RFC 1918, shared, unique local) only where the setting
              MODELWITNESS_OUTGOING_ALLOWED lists the host or a network that holds the number, or,
              in an address that the operator wrote, where that address is itself the number or
              `localhost`
    always    every other number: the public internet

A number that carries another (IPv4-mapped and -compatible, NAT64 of RFC 6052, 6to4, Teredo) is
judged by both. A name is resolved once for each request and the connection goes to a number that
was checked, so an answer that changes between check and call leads nowhere. No redirect is
followed, no proxy of the environment used, no connection kept, TLS is verified against the name.

Use: `Outgoing.of(settings.outgoing_allowed).client(seconds)` gives an ordinary `httpx.Client`,
whose requests raise `Unreachable` (beside httpx's own errors) where the address is refused or its
name does not resolve. It blocks: call it from a thread, and read the answer by `get_bounded` or
`read_bounded`.
"""

import socket
import time
from collections.abc import Callable, Iterable, Sequence
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Self

import httpx

from audit.errors import Rejected, Unreachable

Number = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Resolve = Callable[[str, int], Sequence[str]]
"""The numbers of a name, for a port; raises `OSError` where there is none."""

_NEVER = tuple(
    ip_network(each)
    for each in (
        "0.0.0.0/8",
        "100.100.100.200",
        "169.254.0.0/16",
        "192.0.0.192",
        "192.88.99.0/24",
        "224.0.0.0/3",
        "3fff::/20",
        "5f00::/16",
        "fd00:ec2::/32",
        "fe80::/10",
        "fec0::/10",
        "ff00::/8",
        "::",
        "::ffff:0:0:0/96",
    )
)
_NAT64 = IPv6Network("64:ff9b::/96")
_NAT64_LOCAL = IPv6Network("64:ff9b:1::/48")
_COMPATIBLE = IPv6Network("::/96")
_LOOPBACK = IPv6Address("::1")


_PATIENCE = 3
"""A whole answer may take this many times a client's time-out for one step."""


def system_names(host: str, port: int) -> list[str]:
    """The numbers that this machine's resolver gives for a name."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


class Outgoing:
    """The rule, with what the operator allows beyond it. Safe for use by several threads."""

    def __init__(self, allowed: Iterable[str] = (), resolve: Resolve = system_names) -> None:
        """`allowed` are host names, numbers and networks (10.0.0.0/8); raises `Rejected`."""
        self._resolve = resolve
        self._hosts: set[str] = set()
        self._networks: list[Network] = []
        for each in allowed:
            try:
                self._networks.append(ip_network(each))
            except ValueError:
                if not each or "/" in each or ":" in each:
                    raise Rejected(
                        "MODELWITNESS_OUTGOING_ALLOWED holds what is neither host nor network",
                        field="outgoing_allowed",
                        remedy="List host names, numbers and networks, with commas between them.",
                    ) from None
                self._hosts.add(each.lower())

    @classmethod
    def of(cls, setting: str, resolve: Resolve = system_names) -> Self:
        """Return the rule with a setting's list, parted by commas; raises `Rejected`."""
        return cls([each.strip() for each in setting.split(",") if each.strip()], resolve)

    def client(self, timeout: float, *, written_by_operator: bool = False) -> httpx.Client:
        """Return a client that calls only what may be called; `timeout` in seconds for each step.

        `written_by_operator` says that every address it is given stands in a file or setting of
        whoever runs this service, and that no part of it comes from a sender.
        """
        return httpx.Client(
            transport=_Checked(self, written_by_operator),
            timeout=timeout,
            follow_redirects=False,
            trust_env=False,
        )

    def numbers(self, url: httpx.URL, *, written_by_operator: bool = False) -> list[Number]:
        """Return the numbers behind a URL that may be called, in the resolver's order.

        Raises `Unreachable`: final where it is no http(s) URL without credentials or none of its
        numbers may be called, else where its name does not resolve now.
        """
        if url.scheme not in {"http", "https"} or not url.host or url.userinfo:
            raise Unreachable("the address is no http(s) URL without credentials", final=True)
        host = _ascii(url).lower().rstrip(".")
        port = url.port or (443 if url.scheme == "https" else 80)
        try:
            found = [_number(each) for each in self._resolve(_ascii(url), port)]
        except (OSError, UnicodeError) as error:
            raise Unreachable("the name in the address does not resolve") from error
        says_so = written_by_operator and (host == "localhost" or _is_number(host))
        callable_ = [each for each in found if self._may_call(each, host, says_so=says_so)]
        if not callable_:
            raise Unreachable(
                "the address leads into a private network or to a number that is never called; if"
                " its host is meant and private, list it in MODELWITNESS_OUTGOING_ALLOWED",
                final=True,
            )
        return callable_

    def _may_call(self, number: Number, host: str, *, says_so: bool) -> bool:
        carried = _carried(number)
        if any(each in network for each in carried for network in _NEVER):
            return False
        if host in self._hosts or (says_so and host != "localhost"):
            return True
        if says_so and carried[-1].is_loopback:
            return True
        private = [each for each in carried if _is_private(each)]
        return all(any(each in network for network in self._networks) for each in private)


def get_bounded(client: httpx.Client, url: str, most: int) -> bytes:
    """GET `url` and return the body of a 200 answer; `ValueError` for another, and as below."""
    with client.stream("GET", url) as answer:
        if answer.status_code != 200:
            raise ValueError("the answer is no 200")
        return read_bounded(client, answer, most)


def read_bounded(
    client: httpx.Client,
    answer: httpx.Response,
    most: int,
    now: Callable[[], float] = time.monotonic,
) -> bytes:
    """Return the body of an answer that is being streamed.

    Raises `ValueError` where it is longer than `most` bytes, or is not whole within thrice the
    client's time-out for one step, however slowly it drips.
    """
    patience = _PATIENCE * (client.timeout.read or 0)
    began = now()
    body = bytearray()
    for chunk in answer.iter_bytes(16 * 1024):
        body += chunk
        if len(body) > most or now() - began > patience:
            raise ValueError("the answer is too long or too slow")
    return bytes(body)


class _Checked(httpx.BaseTransport):
    """Puts a checked number in the place of each request's name."""

    def __init__(self, rule: Outgoing, written_by_operator: bool) -> None:
        self._rule = rule
        self._by_operator = written_by_operator
        # A kept connection belongs to a number, and its certificate to one of the number's names.
        self._inner = httpx.HTTPTransport(
            trust_env=False, limits=httpx.Limits(max_keepalive_connections=0)
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        name = _ascii(request.url)
        numbers = self._rule.numbers(request.url, written_by_operator=self._by_operator)
        request.extensions = {**request.extensions, "sni_hostname": name}
        *others, last = numbers
        for number in others:
            try:
                return self._inner.handle_request(_to(request, number))
            except (httpx.ConnectError, httpx.ConnectTimeout):
                continue  # nothing was sent: the next number may be reachable from here
        return self._inner.handle_request(_to(request, last))

    def close(self) -> None:
        self._inner.close()


def _to(request: httpx.Request, number: Number) -> httpx.Request:
    return httpx.Request(
        request.method,
        request.url.copy_with(host=str(number)),
        headers=request.headers,  # Host among them, by the name
        stream=request.stream,
        extensions=request.extensions,
    )


def _ascii(url: httpx.URL) -> str:
    return url.raw_host.decode("ascii")


def _number(text: str) -> Number:
    return ip_address(text.partition("%")[0])


def _is_number(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _is_private(number: Number) -> bool:
    return not number.is_global or number in _NAT64_LOCAL


def _carried(number: Number) -> list[Number]:
    """A number and those that it carries; the innermost last."""
    if isinstance(number, IPv4Address):
        return [number]
    inner: list[Number] = []
    if number.ipv4_mapped is not None:
        return [number.ipv4_mapped]  # the same address in another notation
    if number.sixtofour is not None:
        inner.append(number.sixtofour)
    if number.teredo is not None:
        inner.extend(number.teredo)
    if number in _NAT64 or (number in _COMPATIBLE and number > _LOOPBACK):
        inner.append(IPv4Address(int(number) & 0xFFFF_FFFF))
    return [number, *inner]
