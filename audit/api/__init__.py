"""The read side over HTTP: one Litestar router built from its dependencies.

Decides nothing itself; the modules of this package each hold the routes of one subject.
"""

from audit.api.authentication import authenticated

__all__ = ["authenticated"]
