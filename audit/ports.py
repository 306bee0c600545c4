"""Ports to listen on, looked at before anything is started.

Decides only what is said when one cannot be had: which, why, and which option changes it. Whoever
listens afterwards binds for itself; between the two another program may still be quicker.
"""

import errno
import socket
from collections.abc import Sequence

from audit.errors import Rejected


def refuse_taken(host: str, wanted: Sequence[tuple[str, int]]) -> None:
    """Raise `Rejected` for the first of (option, port) that cannot be listened on at `host`."""
    known: dict[int, str] = {}
    for option, port in wanted:
        if port in known:
            raise Rejected(
                f"{known[port]} and {option} name the same port {port}",
                remedy=f"Give {option} another one.",
            )
        known[port] = option
        _try(host, option, port)


def _try(host: str, option: str, port: int) -> None:
    try:
        family, kind, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind) as probe:
            # As the servers do: connections that an earlier one left behind are no hindrance.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen(1)
    except (OSError, UnicodeError) as error:
        raise _refusal(host, option, port, getattr(error, "errno", None)) from error


def _refusal(host: str, option: str, port: int, number: int | None) -> Rejected:
    match number:
        case errno.EADDRINUSE:
            told = f"port {port} of {host} is taken by another program"
            remedy = f"Stop that program, or choose another port with {option}."
        case errno.EACCES:
            told = f"port {port} of {host} is not for this account"
            remedy = f"Choose one of 1024 or more with {option}."
        case _:
            told = f"{host} is no address of this machine"
            remedy = "Choose one with --host, such as 127.0.0.1."
    return Rejected(told, remedy=remedy)
