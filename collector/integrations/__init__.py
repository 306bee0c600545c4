"""Integrations: declarations, how senders prove who they are, and the way in for them."""
