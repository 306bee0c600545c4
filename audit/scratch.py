"""A view of documents in memory, to replay projections into and compare."""

from collections.abc import Iterator


class Scratch:
    """Documents that are nowhere stored; the same functions as `audit.documents.View`."""

    def __init__(self) -> None:
        self._documents: dict[tuple[str, str], bytes] = {}

    def get(self, kind: str, key: str) -> bytes | None:
        """Return a document's body, None where there is none."""
        return self._documents.get((kind, key))

    def list(
        self,
        kind: str,
        prefix: str = "",
        after: str = "",
        limit: int = 200,
        *,
        descending: bool = False,
    ) -> list[tuple[str, bytes]]:
        """Return up to `limit` (key, body) whose key starts with `prefix`, by key, past `after`."""
        keys = sorted(
            (key for each, key in self._documents if each == kind and key.startswith(prefix)),
            reverse=descending,
        )
        if after:
            keys = [key for key in keys if (key < after if descending else key > after)]
        return [(key, self._documents[kind, key]) for key in keys[:limit]]

    def put(self, kind: str, key: str, body: bytes) -> None:
        """Write a document, over one that may be there."""
        self._documents[kind, key] = body

    def delete(self, kind: str, key: str) -> None:
        """Remove a document, if it is there."""
        self._documents.pop((kind, key), None)

    def items(self) -> Iterator[tuple[tuple[str, str], bytes]]:
        """Yield every document under its kind and key."""
        yield from self._documents.items()
