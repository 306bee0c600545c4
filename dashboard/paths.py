"""The addresses of the pages, without Streamlit, so that the server knows them before it starts."""

from typing import Final

PATHS: Final = ("overview", "integrations", "drift", "latency", "decision", "lineage", "cases")
