"""Health of integrations: what is watched, what counts as trouble, and who is told."""
