"""How much one request may bring, from `MODELWITNESS_INGEST_*` or the defaults below.

Decides numbers only. The defaults admit batches of thousands of ordinary events and keep what
one sender can make the server hold or compute bounded.
"""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

MIB = 1024 * 1024


class Limits(BaseSettings):
    """Frozen; read once where a process is wired, or a command begins, and passed as a value."""

    model_config = SettingsConfigDict(
        env_prefix="MODELWITNESS_INGEST_", frozen=True, extra="ignore"
    )

    body_bytes: int = Field(default=8 * MIB, ge=1)
    """Bytes of one body as it is sent."""
    unpacked_bytes: int = Field(default=32 * MIB, ge=1)
    """Bytes of one body after decompression."""
    item_bytes: int = Field(default=1 * MIB, ge=1)
    """Bytes of one item of a batch, or of a single event."""
    items: int = Field(default=10_000, ge=1)
    """Items of one batch."""
    depth: int = Field(default=32, ge=1)
    """Objects and arrays inside each other, in one item."""
    keys: int = Field(default=2_000, ge=1)
    """Keys of all objects of one item together."""
    held_bytes: int = Field(default=128 * MIB, ge=1)
    """Bytes of all bodies of known senders that one process holds at a time; beyond it, 503."""
    unproved_bytes: int = Field(default=32 * MIB, ge=1)
    """Bytes held besides of bodies whose sender is known only once they are read (it signs them);
    one integration has a quarter of it, or one body where that is more."""
    waiting_events: int = Field(default=20_000, ge=1)
    """Events of one integration that wait for the ledger at a time; beyond it, 429."""
    waiting_halves: int = Field(default=50_000, ge=1)
    """Requests and responses of one integration that wait for their other half at a time; beyond
    it, the sender is told to come again, unless what it sends ends the wait of another."""
    waiting_half_bytes: int = Field(default=128 * MIB, ge=1)
    """Bytes of them."""
    series: int = Field(default=2_000, ge=1)
    """Combinations of type, model, version, status and retention class that one integration may
    begin; an event that would begin another is refused and kept."""
    quarantine_parcels: int = Field(default=10_000, ge=0)
    """Refusals of one integration that are kept at a time; beyond it, they are told as not kept."""
    quarantine_bytes: int = Field(default=64 * MIB, ge=0)
    """Bytes of them as they are stored."""
    quarantine_days: int = Field(default=30, ge=1, le=3_650)
    """Days after which what is still kept is given up; counts of it stand on the ledger."""
