"""The verifier of Amazon SNS: who signed a message, and of which topic it is.

Decides what is signed (each member as its name and value on lines of their own, in this order), and
that the certificate comes from Amazon's own address. The official JavaScript library forgets the
token of an UnsubscribeConfirmation; this follows the documentation.

    Notification        Message MessageId Subject? Timestamp TopicArn Type
    the confirmations   Message MessageId SubscribeURL Timestamp Token TopicArn Type
    SignatureVersion    1: RSA with SHA-1, 2: RSA with SHA-256
"""

from base64 import b64decode
from datetime import UTC, datetime

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.x509 import load_pem_x509_certificate

from collector.adapters.sns import NOTIFICATION, Notice, decode, is_amazon
from collector.errors import Unproved
from collector.integrations.proof import Presented, Verifier


def _sns(presented: Presented) -> None:
    notice = decode(presented.message.body)
    if notice.topic_arn not in presented.option("topics").split("\n"):
        raise Unproved("the topic is not among those declared")
    url = notice.signing_cert_url
    if not is_amazon(url) or not url.partition("?")[0].endswith(".pem"):
        raise Unproved("the certificate is not at Amazon's own address")
    certificate = load_pem_x509_certificate(presented.fetched.get(url))
    now = datetime.fromtimestamp(presented.now_us / 1_000_000, UTC)
    if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
        raise Unproved("the certificate is not valid now")
    key = certificate.public_key()
    if not isinstance(key, RSAPublicKey):
        raise Unproved("the certificate holds no RSA key")
    # Version 1 is SHA-1, and what SNS signs with unless a topic is told otherwise.
    algorithm = {"1": SHA1(), "2": SHA256()}[notice.signature_version]  # noqa: S303  (SNS's choice)
    signature = b64decode(notice.signature, validate=True)
    key.verify(signature, signed(notice), PKCS1v15(), algorithm)


def signed(notice: Notice) -> bytes:
    """The text that SNS signs."""
    members = {
        "Message": notice.message,
        "MessageId": notice.message_id,
        "Subject": notice.subject if notice.type == NOTIFICATION else None,
        "SubscribeURL": None if notice.type == NOTIFICATION else notice.subscribe_url,
        "Timestamp": notice.timestamp,
        "Token": None if notice.type == NOTIFICATION else notice.token,
        "TopicArn": notice.topic_arn,
        "Type": notice.type,
    }
    told = ((name, value) for name, value in members.items() if value is not None)
    return "".join(f"{name}\n{value}\n" for name, value in told).encode()


SNS = Verifier(
    name="sns",
    check=_sns,
    secrets=False,
    reads_body=True,
    slow=True,
    options={"topics": "TopicArn of each topic whose messages are taken."},
    required=frozenset({"topics"}),
)
