"""Time as the packages take it: a function, so that tests and replays bring their own."""

import time
from collections.abc import Callable

Clock = Callable[[], int]
"""Returns µs since the Unix epoch."""


def system_clock() -> int:
    """Return the machine's time in µs since the Unix epoch."""
    return time.time_ns() // 1000
