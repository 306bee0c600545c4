"""What client libraries log is told without its text, which may quote a message."""

import logging

from collector.streams.commands import _Brief


def told(name: str, *said: object) -> str:
    lines: list[str] = []
    logger = logging.Logger(name)
    logger.addHandler(_Brief(lines.append))
    logger.error(*said)
    [line] = lines
    return line


def test_a_librarys_text_is_not_told() -> None:
    line = told("aiokafka.consumer", "could not parse %r", b"customer 4711")
    assert "4711" not in line
    assert line.startswith("aiokafka.consumer: error in ")


def test_our_own_text_is_told() -> None:
    assert told("modelwitness.consume", "the ledger is away") == (
        "modelwitness.consume: the ledger is away"
    )
