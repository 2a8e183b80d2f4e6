"""What every answer has to tell a browser to beware of."""

EXACTLY = {
    "x-frame-options": "DENY",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
POLICY = {
    **dict.fromkeys(("default-src", "frame-ancestors", "base-uri"), "'none'"),
    **dict.fromkeys(("form-action", "script-src", "style-src", "connect-src", "img-src"), "'self'"),
}


def wrong_headers(headers: dict[str, str], over_tls: bool = False) -> list[str]:
    """The headers of a page that are not as they should be."""
    policy = dict(part.strip().partition(" ")[::2] for part in headers.get("content-security-policy", "").split(";"))
    # Only where it is reached over TLS (RFC 6797, section 7.2).
    exactly = {**EXACTLY, "strict-transport-security": "max-age=31536000" if over_tls else None}
    wrong = [f"{name}: {headers.get(name)}" for name, value in exactly.items() if headers.get(name) != value]
    return wrong + ([] if policy == POLICY else [f"content-security-policy: {policy}"])
