"""Rebuild: recreate every projection from the ledger.

Decides that it is one transaction under the writer's lock: whoever reads sees all the old rows or
all the new ones, appends wait, and a rebuild that was killed has changed nothing. Memory is
bounded by a page of entries. Raises `Tampered` where the ledger itself does not open: then there
is nothing to rebuild from.
"""

from collections import Counter
from collections.abc import Sequence

from sqlalchemy import Connection, delete, select

from audit.documents import Applied, StoredView
from audit.keys import Keys
from audit.replay import Replayed, pages
from audit.store import Store, require_schema
from audit.tables import blind_index, document, head, rollup


def run(store: Store) -> None:
    """Drop blind index, rollups and documents, and write them anew from the entries."""
    with store.database.writing() as connection:
        size, epoch = connection.execute(select(head.c.size, head.c.key_epoch)).one()
        keys = store.keys()
        keys.refresh(connection, epoch)
        kinds = {kind for projection in store.projections for kind in projection.kinds}
        store.database.reindex(connection)  # an index that lies hides what its table holds
        connection.execute(delete(blind_index))
        connection.execute(delete(rollup))
        connection.execute(delete(document).where(document.c.kind.in_(kinds)))
        for page in pages(connection, keys, size):
            _write(store, connection, keys, page)
    require_schema(store)


def _write(store: Store, connection: Connection, keys: Keys, page: Sequence[Replayed]) -> None:
    cells = Counter(entry.cell for entry in page)
    store.database.add_counts(connection, [(*cell, count) for cell, count in cells.items()])
    terms = [term for entry in page for term in sorted(entry.terms(keys))]
    store.database.insert(connection, blind_index, terms)
    view = StoredView(connection, keys)
    for projection in store.projections:
        wanted = [
            Applied(entry.idx, entry.event)
            for entry in page
            if entry.event is not None and entry.event.type in projection.types
        ]
        if wanted:
            projection.apply(wanted, view)
