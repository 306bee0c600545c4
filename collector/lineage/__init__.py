"""Lineage that must be asked for, because its owner does not send it: registries of models."""
