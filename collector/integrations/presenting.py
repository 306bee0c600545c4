"""Verifiers of senders that show a secret: in a header, the path, the query, as Basic or as token.

Decides where each of them looks. `mtls` believes what a proxy says of a client certificate, and
only from a proxy that shows its own secret: without it anybody could send that header.

    header   a header equals a secret
    basic    Authorization: Basic, user:password equals a secret
    path     /in/INTEGRATION/SECRET
    query    a parameter of the address equals a secret, as ?code= of Dataverse
    bearer   Authorization: Bearer with one of our own tokens, issued for this integration
    mtls     the proxy's header with the subject or fingerprint of the certificate is one declared
"""

from base64 import b64decode
from urllib.parse import parse_qsl

from audit.roles import decide
from collector.errors import Unproved
from collector.integrations.proof import Presented, Verifier, require_match

_LONGEST = 512


def _header(presented: Presented) -> None:
    found = presented.header(presented.option("header").lower())
    prefix = presented.option("prefix")
    if prefix:
        scheme, found = found[: len(prefix) + 1], found[len(prefix) + 1 :]
        if scheme.lower() != f"{prefix.lower()} ":
            raise Unproved("the header has another scheme")
    require_match(found.encode("latin-1"), presented.secrets)


def _basic(presented: Presented) -> None:
    scheme, _, text = presented.header("authorization").partition(" ")
    if scheme.lower() != "basic":
        raise Unproved("it is no Basic authorization")
    user = presented.option("user")
    accepted = [user.encode() + b":" + each if user else each for each in presented.secrets]
    require_match(b64decode(text.strip(), validate=True), accepted)


def _path(presented: Presented) -> None:
    require_match(presented.path_secret.encode(), presented.secrets)


def _query(presented: Presented) -> None:
    wanted = presented.option("parameter")
    query = presented.message.url.partition("?")[2]
    (found,) = (value for name, value in parse_qsl(query, max_num_fields=64) if name == wanted)
    require_match(found.encode(), presented.secrets)


def _bearer(presented: Presented) -> None:
    scheme, _, text = presented.header("authorization").partition(" ")
    if scheme.lower() != "bearer" or not 0 < len(text) <= _LONGEST:
        raise Unproved("it is no bearer token")
    principal = presented.tokens.authenticate(text)
    if principal.integration != presented.integration or decide(principal, "append") != "allow":
        raise Unproved("the token is another's")


def _mtls(presented: Presented) -> None:
    shown = presented.header(presented.option("proxy_header", "x-proxy-secret").lower())
    require_match(shown.encode("latin-1"), presented.secrets)
    found = presented.header(presented.option("header").lower())
    declared = [_plain(each) for each in presented.option("certificates").split("\n")]
    require_match(_plain(found), declared)


def _plain(name: str) -> bytes:
    """A fingerprint without its colons, in lower case; a subject as it is."""
    bare = name.strip().replace(":", "").lower()
    is_hex = len(bare) in {40, 64} and all(each in "0123456789abcdef" for each in bare)
    return (bare if is_hex else name.strip()).encode()


PRESENTING = (
    Verifier(
        name="bearer",
        check=_bearer,
        secrets=False,
        any_sender=True,
        slow=True,
    ),
    Verifier(
        name="header",
        check=_header,
        any_sender=True,
        options={
            "header": "Name of the header that holds the secret.",
            "prefix": "Word before the secret in that header, as Bearer.",
        },
        required=frozenset({"header"}),
    ),
    Verifier(
        name="basic",
        check=_basic,
        any_sender=True,
        options={"user": "Name of the account; without it a secret is user:password."},
    ),
    Verifier(name="path", check=_path, any_sender=True),
    Verifier(
        name="query",
        check=_query,
        any_sender=True,
        options={"parameter": "Name of the parameter that holds the secret, as code."},
        required=frozenset({"parameter"}),
    ),
    Verifier(
        name="mtls",
        check=_mtls,
        any_sender=True,
        options={
            "header": "Header in which the proxy puts the certificate's subject or fingerprint.",
            "certificates": "Subjects or fingerprints (SHA-1 or SHA-256, hex) that are accepted.",
            "proxy_header": "Header in which the proxy shows the secret; default x-proxy-secret.",
        },
        required=frozenset({"header", "certificates"}),
    ),
)
