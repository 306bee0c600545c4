"""Every error that package `collector` raises on purpose.

Each is a refusal of what a sender sent, and each class stands for one HTTP status, because a
sender acts on the status: correct the body, send less, send it otherwise, send it later.
Messages name what failed and never carry payloads, credentials or personal data.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar

from audit.errors import Busy, Conflict, Rejected


class CollectorError(Rejected):
    """Base of all refusals; `headers` are what the answer must carry besides the problem.

    `kept`: a body that is refused so goes to quarantine, because a replay may yet accept it;
    `quarantine` is then its id there, or `full` says that there was no room for it.
    """

    status: ClassVar[int] = 400
    title: ClassVar[str] = "Rejected"
    headers: ClassVar[Mapping[str, str]] = MappingProxyType({})
    kept: ClassVar[bool] = False
    quarantine: str | None = None
    full: bool = False


class Full(Busy):
    """The share of an integration in quarantine is full: what is refused now cannot be kept."""

    def __init__(self) -> None:
        super().__init__(
            "the quarantine of this integration is full: have what is in it replayed or discarded",
            retry_after=60,
        )


class Unset(Busy):
    """No secret of an integration was ever set for this process: only its operator can mend it."""

    def __init__(self) -> None:
        super().__init__(
            "no secret of this integration is set here: set what its declaration refers to",
            retry_after=30,
        )


class NeverFits(Full):
    """What was refused is more than the whole share: no waiting would make room for it."""

    def __init__(self) -> None:
        Busy.__init__(self, "what was refused is too large for the quarantine of this integration")


class Malformed(CollectorError):
    """The bytes are not what their content type says."""

    title = "Malformed"
    kept = True


class Invalid(CollectorError):
    """Well-formed, but not an event as the schema wants it."""

    status = 422
    title = "Invalid event"
    kept = True


class TooVaried(CollectorError):
    """It would begin a series, and its integration may begin no more."""

    status = 422
    title = "Too many series"
    kept = True


class Conflicting(CollectorError, Conflict):
    """The id was logged before with other content, which stands."""

    status = 409
    title = "Conflict"
    kept = True


class Unproved(CollectorError):
    """The sender did not prove to be the integration that it calls for; why is not told."""

    status = 401
    title = "Not proved"


class Reserved(CollectorError):
    """A role may send some types of event, and this one is not among them."""

    status = 403
    title = "Not permitted"


class NotAcceptable(CollectorError):
    """The sender refuses every media type that this API answers with."""

    status = 406
    title = "Not acceptable"


class TooLarge(CollectorError):
    """More bytes, items, nesting or keys than the limits allow."""

    status = 413
    title = "Too large"


class UnsupportedMedia(CollectorError):
    """A content type that this address does not read."""

    status = 415
    title = "Unsupported content type"


class UnsupportedEncoding(CollectorError):
    """A content encoding other than gzip."""

    status = 415
    title = "Unsupported content encoding"
    headers = MappingProxyType({"Accept-Encoding": "gzip"})


class TooMany(CollectorError):
    """One integration has more events waiting than its share of the queue."""

    status = 429
    title = "Too many requests"
    headers = MappingProxyType({"Retry-After": "1"})
