"""Child processes of one parent: started together, ended together, whatever ends the parent.

Decides that a child holds one end of a pipe to whoever started it and stops as on SIGTERM once
the other end is gone: a parent that was killed cannot stop its children, but its end closes. And
that SIGTERM of the parent is what Ctrl-C is: children are stopped in order.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import httpx

from audit.errors import AuditError

LIFELINE = "MODELWITNESS_LIFELINE"
"""Descriptor, in the environment of a child, that reads its end once the parent is gone."""
LONGEST_STOP = 20.0
"""Seconds a process gets to finish what it does."""
LONGEST_START = 90.0


@contextmanager
def together(
    commands: Sequence[Sequence[str]], environment: Mapping[str, str]
) -> Iterator[list["subprocess.Popen[bytes]"]]:
    """Run these commands of `modelwitness` as children until the block ends; main thread only."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    theirs, ours = os.pipe()
    processes: list[subprocess.Popen[bytes]] = []
    try:
        for command in commands:
            processes.append(
                subprocess.Popen(
                    [sys.executable, "-m", "modelwitness", *command],
                    env={**os.environ, **environment, LIFELINE: str(theirs)},
                    pass_fds=[theirs],
                    stdin=subprocess.DEVNULL,
                    start_new_session=True,  # Ctrl-C reaches us alone; we stop them in order
                )
            )
        yield processes
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # stopping once is enough
        for process in reversed(processes):
            process.terminate()
        for process in processes:
            try:
                process.wait(LONGEST_STOP)
            except subprocess.TimeoutExpired:
                process.kill()
        os.close(theirs)
        os.close(ours)
        signal.signal(signal.SIGTERM, before)


def end_with_parent() -> None:
    """In a child of `together`: end when the parent does, at once if it is gone already."""
    descriptor = os.environ.pop(LIFELINE, "")  # not for children of our own
    if descriptor:
        os.set_inheritable(int(descriptor), False)
        threading.Thread(
            target=_follow, args=(int(descriptor),), name="lifeline", daemon=True
        ).start()


def _follow(descriptor: int) -> None:
    os.read(descriptor, 1)  # nothing is ever written
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(LONGEST_STOP)
    os._exit(1)


def await_ready(address: str, processes: Sequence["subprocess.Popen[bytes]"]) -> None:
    """Wait until `address` answers 200; raises `AuditError` when a process ended instead."""
    deadline = time.monotonic() + LONGEST_START
    while True:
        try:
            if httpx.get(address, timeout=5).status_code == 200:
                return
        except httpx.TransportError:
            pass
        if any(process.poll() is not None for process in processes):
            raise AuditError("a process ended while starting; its message stands above")
        if time.monotonic() > deadline:
            raise AuditError(f"{address} did not answer within {LONGEST_START:.0f} seconds")
        time.sleep(0.05)


def wait(processes: Sequence["subprocess.Popen[bytes]"]) -> int:
    """Wait until one of the processes ends (1) or the user stops us (0)."""
    try:
        while all(process.poll() is None for process in processes):
            time.sleep(0.2)
    except KeyboardInterrupt:
        return 0
    return 1
