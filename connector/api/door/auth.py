"""Who is asking: the key out of the Authorization header, in Codat's form and as a bearer token.

Codat: ``Basic base64(key)``, the whole decoded text is the key (docs.codat.io, "Authentication"). One
trailing colon is forgiven, because that is what ``curl -u KEY:`` sends. What a key may do is in
``connector.control.keys``.
"""

import base64
import binascii


def secret_of(header: str | None) -> str | None:
    """The key in an Authorization header, None when there is none to be read."""
    if not header:
        return None
    scheme, _, rest = header.strip().partition(" ")
    rest = rest.strip()
    if scheme.lower() == "bearer":
        return rest or None
    if scheme.lower() != "basic" or len(rest) > 4096:
        return None
    try:
        decoded = base64.b64decode(rest, validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        return None
    return decoded.removesuffix(":") or None
