"""A view of documents in memory, to replay projections into and compare."""

from collections.abc import Iterator

from audit.documents import View


class Scratch(View):
    """Documents that are nowhere stored."""

    def __init__(self) -> None:
        self._documents: dict[tuple[str, str], bytes] = {}

    def get(self, kind: str, key: str) -> bytes | None:
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
        keys = sorted(
            (key for each, key in self._documents if each == kind and key.startswith(prefix)),
            reverse=descending,
        )
        if after:
            keys = [key for key in keys if (key < after if descending else key > after)]
        return [(key, self._documents[kind, key]) for key in keys[:limit]]

    def put(self, kind: str, key: str, body: bytes) -> None:
        self._documents[kind, key] = body

    def delete(self, kind: str, key: str) -> None:
        self._documents.pop((kind, key), None)

    def items(self) -> Iterator[tuple[tuple[str, str], bytes]]:
        """Yield every document under its kind and key."""
        yield from self._documents.items()
