"""An authenticator app: RFC 6238 with the standard library, apart from the gateway's own."""

import base64
import hashlib
import hmac
import time


def code(key: str, steps: int = 0) -> str:
    """The code for a key in base 32, `steps` of 30 seconds from now."""
    bytes_of_key = base64.b32decode(key.replace(" ", ""))
    step = int(time.time()) // 30 + steps
    tag = hmac.new(bytes_of_key, step.to_bytes(8, "big"), hashlib.sha1).digest()
    offset = tag[-1] & 15
    return f"{(int.from_bytes(tag[offset : offset + 4], 'big') & 0x7FFFFFFF) % 1_000_000:06}"
