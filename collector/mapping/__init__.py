"""Mappings: a declaration in YAML makes events of any JSON, CSV or XML, without code."""
