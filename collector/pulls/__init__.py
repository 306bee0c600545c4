"""Pulls: senders that do not send, and are asked."""
