"""Completeness: what producers say they sent, against what the ledger holds."""
