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
_WORD = 3
"""Where the name of the command stands: after python -m modelwitness."""


class Ended(AuditError):
    """One of the children ended by itself; it has said why before."""

    def __init__(self, name: str, status: int) -> None:
        how = f"with exit code {status}" if status >= 0 else f"by signal {-status}"
        super().__init__(f"{name} ended {how}; its message, if it had one, stands above")


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
    """Wait until `address` answers 200; raises `Ended` when a process ended instead."""
    deadline = time.monotonic() + LONGEST_START
    while True:
        try:
            if httpx.get(address, timeout=5).status_code == 200:
                return
        except httpx.TransportError:
            pass
        refuse_ended(processes)
        if time.monotonic() > deadline:
            raise AuditError(f"{address} did not answer within {LONGEST_START:.0f} seconds")
        time.sleep(0.05)


def refuse_ended(processes: Sequence["subprocess.Popen[bytes]"]) -> None:
    """Raise `Ended`, which names it, when one of the processes is no longer there."""
    for process in processes:
        status = process.poll()
        if status is not None:
            raise Ended(_name(process), status)


def wait(processes: Sequence["subprocess.Popen[bytes]"]) -> None:
    """Wait until the user stops us; raises `Ended` when one of the processes ends before."""
    try:
        while True:
            refuse_ended(processes)
            time.sleep(0.2)
    except KeyboardInterrupt:
        return


def _name(process: "subprocess.Popen[bytes]") -> str:
    words = process.args if isinstance(process.args, list) else []
    return str(words[_WORD]) if len(words) > _WORD else "a process"
