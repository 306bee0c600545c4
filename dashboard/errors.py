"""What can go wrong between a page and the API, told apart by what the person should do next.

Hides transports: no httpx or msgspec exception leaves `client`. Messages carry no payloads.
"""

from __future__ import annotations


class DashboardError(Exception):
    """Base of this package; `request_id` is what an operator finds in the logs."""

    def __init__(self, message: str, request_id: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.request_id = request_id


class Unreachable(DashboardError):
    """No answer from the API: down, refused, or slower than the time-out. Retrying may help."""


class Garbled(DashboardError):
    """The API answered with something that this version of the pages cannot read."""


class Refused(DashboardError):
    """The API answered with problem details (RFC 9457); `remedy` says what to do."""

    def __init__(
        self, status: int, message: str, remedy: str = "", request_id: str = "", title: str = ""
    ) -> None:
        super().__init__(message, request_id)
        self.status = status
        self.remedy = remedy
        self.title = title


class SignedOut(Refused):
    """401: the token is absent, expired or revoked. Sign in again."""


class Denied(Refused):
    """403: known person, missing role. The message names the role that is needed."""


class Missing(Refused):
    """404: nothing there, or nothing that this person may know of."""
