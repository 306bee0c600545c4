"""What a declaration refers to: addresses, accounts and certificates of a broker.

Decides that a reference is resolved when a connection is made, so that a secret that was changed
is read anew, and that certificates are always checked. Hides FastStream's classes for it.
"""

import ssl
from collections.abc import Mapping

from faststream.security import BaseSecurity, SASLPlaintext, SASLScram256, SASLScram512

from audit.errors import Rejected
from audit.references import revealed
from collector.streams.declaration import Security, Stream

_SCHEMES = {"rabbitmq": ("amqp", "amqps"), "nats": ("nats", "tls"), "redis": ("redis", "rediss")}
_MECHANISMS = {
    "PLAIN": SASLPlaintext,
    "SCRAM-SHA-256": SASLScram256,
    "SCRAM-SHA-512": SASLScram512,
}


def addresses(stream: Stream, environment: Mapping[str, str]) -> list[str]:
    """Return the servers of a stream: host:port for Kafka, URLs for the others."""
    found = [each.strip() for each in revealed(stream.address, environment).split(",")]
    if stream.broker == "kafka":
        return found
    plain, encrypted = _SCHEMES[stream.broker]
    scheme = encrypted if stream.security.tls else plain
    return [each if "://" in each else f"{scheme}://{each}" for each in found]


def credentials(security: Security, environment: Mapping[str, str]) -> BaseSecurity | None:
    """Return what FastStream needs to know of accounts and certificates, None for neither."""
    context = _context(security) if security.tls else None
    if security.username:
        mechanism = _MECHANISMS[security.mechanism]
        return mechanism(
            revealed(security.username, environment),
            revealed(security.password, environment),
            ssl_context=context,
            use_ssl=security.tls,
        )
    return None if context is None else BaseSecurity(ssl_context=context, use_ssl=True)


def _context(security: Security) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=_path(security.ca) or None)
        if security.certificate:
            context.load_cert_chain(_path(security.certificate), _path(security.key))
    except (OSError, ssl.SSLError) as error:
        raise Rejected(
            "the certificates of security cannot be read",
            remedy="Name files in PEM form that the account that runs this may read",
        ) from error
    return context


def _path(reference: str) -> str:
    return reference.removeprefix("file:")
