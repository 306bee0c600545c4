"""Settings of a store.

Decides their names (`MODELWITNESS_*` in the environment), defaults, and where in the data
directory everything stands: keys under DIR/keys, the embedded database beside them, the last
signed checkpoint apart from the database. Read once, in the composition root; secrets never print.
"""

from pathlib import Path
from typing import Self

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class AuditSettings(BaseSettings):
    """Where a store is and which keys open it."""

    model_config = SettingsConfigDict(env_prefix="MODELWITNESS_", frozen=True, extra="ignore")

    data: Path = Path("var/data")
    database: str = ""
    """SQLAlchemy URL; empty means SQLite in `data`."""
    keys: Path | None = None
    """Directory of root key and signing key; default DIR/keys. Never in backups of the database."""
    root_key: SecretStr | None = None
    """Base64 of 32 bytes; where it is set no root key file is read."""
    new_root_key: SecretStr | None = None
    """Base64 of 32 bytes: what `keys rotate root` puts in the place of `root_key`."""

    read_seconds: float = Field(default=15.0, ge=0.001)
    """How long a server lets the database work for one answer."""
    outgoing_allowed: str = ""
    """Hosts, numbers and networks in private ranges that may be called, parted by commas."""

    @classmethod
    def of(cls, data: Path, database: str = "") -> Self:
        """Return the settings with these two given and the rest from the environment."""
        return cls(data=data, database=database) if database else cls(data=data)

    @property
    def url(self) -> str:
        """The SQLAlchemy URL of the database."""
        return self.database or f"sqlite:///{self.data.absolute() / 'ledger.db'}"

    @property
    def embedded(self) -> bool:
        """Whether the database is the store's own SQLite file."""
        return self.url.startswith("sqlite")

    @property
    def key_directory(self) -> Path:
        """Where the keys are."""
        return self.keys or self.data / "keys"
