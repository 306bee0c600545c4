"""A child that ended is named, with how it ended."""

import subprocess
import sys

import pytest

from audit.children import Ended, refuse_ended, wait


def child(code: str) -> "subprocess.Popen[bytes]":
    """A process whose words stand where those of a child of `together` do."""
    words = [sys.executable, "-c", code, "schedule"]
    return subprocess.Popen(words, stdin=subprocess.DEVNULL)


def test_children_that_live_are_no_trouble() -> None:
    process = child("import time; time.sleep(60)")
    try:
        refuse_ended([process])
    finally:
        process.kill()
        process.wait()


def test_a_child_that_ended_is_named_with_its_exit_code() -> None:
    process = child("raise SystemExit(3)")
    process.wait()
    with pytest.raises(Ended, match="schedule ended with exit code 3"):
        refuse_ended([process])


def test_a_child_that_was_killed_is_named_with_the_signal() -> None:
    process = child("import time; time.sleep(60)")
    process.kill()
    with pytest.raises(Ended, match="schedule ended by signal 9"):
        wait([process])
