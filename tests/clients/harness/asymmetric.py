"""SigV4A: the key pair that comes of an access key, and what it signed.

As aws-c-auth derives it ("key_derivation.c"), which is the only public description of it.
"""

import hashlib
import hmac
import re
from functools import lru_cache

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from .cloud import Key

ALGORITHM = "AWS4-ECDSA-P256-SHA256"
AUTHORIZATION = re.compile(
    ALGORITHM + r" Credential=(?P<key>[^/]+)/(?P<date>\d{8})/(?P<service>[^/]+)/aws4_request, ?"
    r"SignedHeaders=(?P<signed>[^,]+), ?Signature=(?P<signature>[0-9a-f]+)"
)
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


@lru_cache
def private_key(key: Key) -> ec.EllipticCurvePrivateKey:
    for counter in range(1, 255):
        context = key.id.encode() + bytes([counter])
        fixed = (1).to_bytes(4, "big") + ALGORITHM.encode() + b"\0" + context + (256).to_bytes(4, "big")
        candidate = int.from_bytes(hmac.new(b"AWS4A" + key.secret.encode(), fixed, hashlib.sha256).digest(), "big")
        if candidate <= ORDER - 2:
            return ec.derive_private_key(candidate + 1, ec.SECP256R1())
    raise AssertionError("no key in 254 tries")


def is_signed(key: Key, date: str, service: str, canonical_request: str, signature: str) -> bool:
    digest = hashlib.sha256(canonical_request.encode()).hexdigest()
    return is_signature(key, "\n".join([ALGORITHM, date, f"{date[:8]}/{service}/aws4_request", digest]), signature)


def sign(key: Key, words: str) -> str:
    return private_key(key).sign(words.encode(), ec.ECDSA(hashes.SHA256())).hex()


def is_signature(key: Key, words: str, signature: str) -> bool:
    try:
        private_key(key).public_key().verify(bytes.fromhex(signature), words.encode(), ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True
