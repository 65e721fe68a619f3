"""Who is asking: the key out of the Authorization header, in Codat's form and as a bearer token.

Codat: ``Basic base64(key)``, the whole decoded text is the key (docs.codat.io, "Authentication"). One
trailing colon is forgiven, because that is what ``curl -u KEY:`` sends. What a key may do is in
``connector.control.keys``.
"""

import base64
import binascii
from collections.abc import Callable
from functools import partial

from starlette.concurrency import run_in_threadpool

from connector.api.answer.errors import busy, unauthorized
from connector.api.state import Call
from connector.control.keys import ApiKey, find_key


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


async def looked_up(call: Call, look: Callable[[], ApiKey | None]) -> ApiKey | None:
    """A file answers in microseconds; a database over the network, or one that is away, must not hold up others."""
    return await run_in_threadpool(look) if call.state.is_of_fleet else look()


async def recognised(call: Call, secret: str | None, address: str) -> ApiKey:
    """The key a client showed. Raises ApiError 401, after a wait that grows with each wrong key, and 429 in the end."""
    key = (
        await looked_up(call, partial(find_key, call.state.control, secret, now=call.now()))
        if secret
        else None
    )
    if key is None:
        wait = call.state.failures.add(address) if secret else 0.0
        if wait is None:
            raise busy(60, "Too many wrong keys from this address")
        await call.state.settings.sleep(wait)
        raise unauthorized()
    return key
