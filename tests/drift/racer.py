"""A scheduler in a process of its own, for tests that race or kill it.

    python -m tests.drift.racer DIRECTORY HOLDER MODE

MODE: `race` judges all that is due whatever lease another holds; `die` ends itself with SIGKILL
once the first window is judged and before its verdict is appended; `loop` runs as `schedule` does.
"""

import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from audit.clock import system_clock
from drift.schedule import Scheduler, run_schedule
from drift.settings import DriftSettings
from tests.drift.governance import QuickJudge, access_to, opened


class Dying(QuickJudge):
    """Judges, and ends the process before anyone hears of it."""

    def __call__(self, *arguments: Any) -> list[dict[str, Any]]:
        super().__call__(*arguments)
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError


def main(folder: str, holder: str, mode: str) -> None:
    store = opened(Path(folder), system_clock)
    access = access_to(store, system_clock)
    # A lease of no length is held by nobody: both schedulers work at once.
    settings = DriftSettings(lease=0.0 if mode == "race" else 60.0, tick=0.2)
    if mode == "loop":
        stop = threading.Event()
        signal.signal(signal.SIGTERM, lambda *_: stop.set())
        run_schedule(store, access, settings, stop)
    else:
        judge = Dying() if mode == "die" else QuickJudge()
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        sys.stdin.readline()
        judged = Scheduler(store, access, settings, judge, holder).judge_due()
        sys.stdout.write(f"{judged}\n")
    store.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
