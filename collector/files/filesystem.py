"""A place that fsspec reads: an object store, a remote folder, an archive.

Decides that what a listing is asked for is always new. Hides fsspec: how each store tells times
and versions, and what it raises.
"""

from collections.abc import Mapping
from typing import Any, BinaryIO, cast

import fsspec  # type: ignore[import-untyped]  # publishes none

from collector.files.place import Away, Found, Listing, guarded, opening


class FileSystem:
    """See `collector.files.place.Place`."""

    def __init__(self, location: str, options: Mapping[str, str | bool | int]) -> None:
        try:
            system, root = fsspec.core.url_to_fs(location, skip_instance_cache=True, **options)
        except Exception as error:  # noqa: BLE001 - each file system has errors of its own
            raise Away("the place cannot be reached", error) from None
        self._system: Any = system
        self._root = str(root).rstrip("/")

    def list(self) -> Listing:
        """Return all its files; raises `Away`."""
        try:
            self._system.invalidate_cache()
            told = self._system.find(self._root, detail=True)
        except Exception as error:  # noqa: BLE001 - as above
            raise Away("the place cannot be listed", error) from None
        files = (self._found(at, each) for at, each in told.items() if each.get("type") == "file")
        return Listing(sorted(files))

    def open(self, at: str) -> BinaryIO:
        """Open one of them; raises `Missing` and `Away`."""
        try:
            return guarded(cast(BinaryIO, self._system.open(at, "rb")))
        except Exception as error:  # noqa: BLE001 - as above
            raise opening(error) from None

    def _found(self, at: str, told: Mapping[str, Any]) -> Found:
        changed = told.get("mtime") or told.get("LastModified") or told.get("created") or ""
        version = told.get("ETag") or told.get("etag") or ""
        return Found(
            at,
            at.removeprefix(self._root).lstrip("/"),
            int(told.get("size") or 0),
            str(version or changed),
            _micros(changed),
        )


def _micros(changed: Any) -> int:
    if isinstance(changed, int | float):
        return int(changed * 1e6)
    stamp = getattr(changed, "timestamp", None)
    return int(stamp() * 1e6) if callable(stamp) else 0
