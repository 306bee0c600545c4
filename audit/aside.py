"""Work beside the main work of a process: a thread that ends with it.

Decides that whoever starts such a thread also tells it to stop and waits until it has.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def aside(name: str, stop: threading.Event, work: Callable[[], object]) -> Iterator[None]:
    """Do `work`, which returns soon after `stop` is set, in a thread until the block ends."""
    thread = threading.Thread(target=work, name=name)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
