"""A port that cannot be had is told of at once: which, why, and the option that changes it."""

import os
import socket
from collections.abc import Callable

import pytest

from audit.errors import Rejected
from audit.ports import refuse_taken

HOST = "127.0.0.1"


def test_a_taken_port_is_named_with_its_option(free_port: Callable[[], int]) -> None:
    with socket.create_server((HOST, 0)) as other:
        taken = other.getsockname()[1]
        with pytest.raises(Rejected, match=f"port {taken} of {HOST} is taken") as refused:
            refuse_taken(HOST, [("--port", free_port()), ("--dashboard-port", taken)])
    assert "--dashboard-port" in refused.value.remedy


def test_free_ports_are_left_free(free_port: Callable[[], int]) -> None:
    port = free_port()
    refuse_taken(HOST, [("--port", port)])
    with socket.create_server((HOST, port)):
        pass


def test_a_port_that_was_just_left_is_free() -> None:
    """Connections that linger after a server stopped must not keep it from starting again."""
    with socket.create_server((HOST, 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection((HOST, port)), server.accept()[0] as accepted:
            accepted.shutdown(socket.SHUT_RDWR)  # we close first: the port waits in TIME_WAIT
    refuse_taken(HOST, [("--port", port)])


def test_one_port_for_two_servers_is_refused(free_port: Callable[[], int]) -> None:
    port = free_port()
    with pytest.raises(Rejected, match="--port and --dashboard-port name the same port"):
        refuse_taken(HOST, [("--port", port), ("--dashboard-port", port)])


@pytest.mark.parametrize("host", ["192.0.2.1", "a host that is none"])
def test_an_address_of_another_machine_is_refused(host: str) -> None:
    with pytest.raises(Rejected, match="no address of this machine") as refused:
        refuse_taken(host, [("--port", 8600)])
    assert "--host" in refused.value.remedy


@pytest.mark.skipif(os.geteuid() == 0, reason="root may listen on every port")
def test_a_port_for_root_alone_is_refused() -> None:
    with pytest.raises(Rejected, match="not for this account"):
        refuse_taken(HOST, [("--port", 1)])
