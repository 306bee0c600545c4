"""The fixtures that all tests stand on."""

import socket
from pathlib import Path

import psycopg
import pytest


def test_a_private_postgresql_gives_every_test_an_empty_durable_database(postgres: str) -> None:
    with psycopg.connect(postgres.replace("+psycopg", "")) as connection:
        version = connection.info.server_version
        tables = connection.execute(
            "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'"
        ).fetchone()
        fsync = connection.execute("SHOW fsync").fetchone()
    assert version >= 150000
    assert tables == (0,)
    assert fsync == ("on",)


def test_a_test_cannot_reach_beyond_this_machine() -> None:
    with socket.socket() as probe, pytest.raises(pytest.fail.Exception, match="reach"):
        probe.connect(("192.0.2.1", 9))


def test_the_browser_is_an_executable_file(chromium: Path) -> None:
    assert chromium.is_file()
