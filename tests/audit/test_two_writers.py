"""Two processes that append to one ledger at once give one valid tree."""

import os
import subprocess
import sys
from pathlib import Path

from sqlalchemy import func, select

from audit.events import SYSTEM
from audit.fsck import OK
from audit.search import Query
from audit.tables import entry, series
from tests.audit.stores import checked, opened, prediction, system

ROOT = Path(__file__).parents[2]
WRITER = """
import sys
from pathlib import Path
from tests.audit.stores import opened, outcome, prediction
folder, database, name, count = sys.argv[1:]
store = opened(Path(folder), database, may_migrate=False)
sys.stdin.readline()  # both start together
waiting = []
for start in range(0, int(count), 5):
    numbers = range(start, start + 5)
    waiting.append(store.ledger.submit([prediction(n, integration=name) for n in numbers]))
    # Both send these: whoever is second gets the first one's index.
    shared = [prediction(100_000 + n, integration="both") for n in numbers]
    waiting.append(store.ledger.submit(shared))
    if len(waiting) > 6:
        waiting.pop(0).result()
answers = [answer for each in waiting for answer in each.result()]
assert all(answer.index < answer.tree_size for answer in answers)
store.close()
"""
COUNT = 400


def test_two_processes_append_at_once(tmp_path: Path, database: str) -> None:
    store = opened(tmp_path, database)
    writers = [_writer(tmp_path, database, name) for name in ("one", "two")]
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write(b"\n")
        writer.stdin.flush()
    own = [store.ledger.append([prediction(n, integration="three")])[0].index for n in range(40)]
    for writer in writers:
        _, errors = writer.communicate(timeout=120)
        assert writer.returncode == 0, errors.decode()
    assert own == sorted(set(own))
    query = select(series.c.integration, func.count()).join(entry, entry.c.series == series.c.id)
    with store.database.reading() as connection:
        rows = connection.execute(query.group_by(series.c.integration)).all()
    counts = {name: count for name, count in rows if name != SYSTEM}
    assert counts == {"one": COUNT, "two": COUNT, "both": COUNT, "three": 40}
    page = store.reader.search(Query(0, 2**62, type="ConflictRecorded"))
    assert page.leaves == []
    store.close()
    assert checked(store.settings)[0] == OK


def test_two_stores_of_one_process_append_in_turn(tmp_path: Path, database: str) -> None:
    """Each finds the tree ahead of what it prepared for, every time."""
    first, second = opened(tmp_path, database), opened(tmp_path, database)
    indexes = [
        store.ledger.append([prediction(2 * turn + place), system("HoldPlaced", f"{turn}{place}")])
        for turn in range(10)
        for place, store in enumerate((first, second))
    ]
    assert [each.index for pair in indexes for each in pair] == list(range(1, 41))
    assert first.ledger.checkpoint() == second.ledger.checkpoint()
    first.close()
    second.close()
    assert checked(first.settings)[0] == OK


def _writer(folder: Path, database: str, name: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder), database, name, str(COUNT)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
