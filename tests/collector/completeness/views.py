"""Documents in memory, for projections without a store."""

from collections.abc import Iterator


class Shelf:
    """See `audit.documents.View`."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], bytes] = {}

    def get(self, kind: str, key: str) -> bytes | None:
        return self.kept.get((kind, key))

    def list(
        self,
        kind: str,
        prefix: str = "",
        after: str = "",
        limit: int = 200,
        *,
        descending: bool = False,
    ) -> list[tuple[str, bytes]]:
        found = sorted(
            (
                (key, body)
                for (its, key), body in self.kept.items()
                if its == kind and key.startswith(prefix)
            ),
            reverse=descending,
        )
        past = [each for each in found if not after or (each[0] > after) != descending]
        return past[:limit]

    def put(self, kind: str, key: str, body: bytes) -> None:
        self.kept[kind, key] = body

    def delete(self, kind: str, key: str) -> None:
        self.kept.pop((kind, key), None)

    def each(self, kind: str, prefix: str = "") -> Iterator[tuple[str, bytes]]:
        yield from self.list(kind, prefix, limit=1_000_000)
