"""The browser's step of OAuth v2: a merchant agrees, or does not, and is sent back with a code.

By itself every merchant agrees at once. With ``Access.asks`` there is a page to choose on, as Clover has one, on which
can also be chosen what goes wrong afterwards.
"""

import html
from urllib.parse import parse_qsl, urlencode

from connector.sandbox.access import PERMISSIONS, Access
from connector.sandbox.answers import Answer, Request, refusal
from connector.sandbox.world import World

ANSWERS = {
    "plain": "and the answer is as it should be",
    "wrong_state": "and the answer carries another state",
    "expired_code": "and the code has expired",
    "no_permission": "and the app may not read orders",
    "no_profile": "and the app may not read the merchant's profile",
}
_WITHOUT = {"no_permission": "READ_ORDERS", "no_profile": "READ_MERCHANT"}
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Stand-in for Clover</title>
<style>body{{font:16px/1.5 sans-serif;max-width:34rem;margin:2rem auto;padding:0 1rem}}
button,select{{font:inherit;padding:.5rem 1rem}}form{{display:grid;gap:.75rem}}</style></head>
<body><h1>Connect an app to your shop</h1>
<p>This is the sandbox, a stand-in for Clover: no account and no money is real. The app <b>{client_id}</b> asks to read
orders, payments, customers and the merchant's profile.</p>
<form method="post" action="/oauth/v2/consent">
{hidden}
<label>Your shop <select name="merchant">{merchants}</select></label>
<label>You agree, <select name="answer">{answers}</select></label>
<button name="decision" value="agree">Connect</button>
<button name="decision" value="refuse">Do not connect</button>
</form></body></html>"""
_CARRIED = ("client_id", "redirect_uri", "state")


def authorize(request: Request, access: Access) -> Answer:
    """``GET /oauth/v2/authorize``: back to the app at once, or a page that asks. ``merchant`` chooses the shop."""
    asked = dict(request.params)
    merchants = _merchants(access)
    if not asked.get("redirect_uri") or not merchants or asked.get("client_id") != access.client_id:
        return refusal(400, "Unknown client or redirect_uri.")
    if not access.asks:
        return _back(
            asked, access, merchants.get(asked.get("merchant", "")) or next(iter(merchants.values()))
        )
    hidden = "\n".join(
        f'<input type="hidden" name="{name}" value="{html.escape(asked.get(name, ""))}">' for name in _CARRIED
    )
    page = _PAGE.format(
        client_id=html.escape(access.client_id),
        hidden=hidden,
        merchants=_options({one.merchant.id: one.merchant.name for one in merchants.values()}),
        answers=_options(ANSWERS),
    )
    return Answer(200, page.encode(), "text/html; charset=utf-8")


def consent(request: Request, access: Access) -> Answer:
    """``POST /oauth/v2/consent``: what was chosen on the page."""
    asked = dict(parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True))
    world = _merchants(access).get(asked.get("merchant", ""))
    if not asked.get("redirect_uri") or world is None or asked.get("client_id") != access.client_id:
        return refusal(400, "Unknown client, redirect_uri or merchant.")
    if asked.get("decision") != "agree":
        return _to(asked, {"error": "access_denied", "state": asked.get("state", "")})
    return _back(asked, access, world, asked.get("answer", "plain"))


def _back(asked: dict[str, str], access: Access, world: World, answer: str = "plain") -> Answer:
    permissions = PERMISSIONS - {_WITHOUT.get(answer, "")}
    code = access.code(world, permissions=permissions, seconds=0 if answer == "expired_code" else None)
    state = asked.get("state", "")
    given = {"code": code, "merchant_id": world.merchant.id, "client_id": access.client_id}
    if state:
        given["state"] = f"not-{state}" if answer == "wrong_state" else state
    return _to(asked, given)


def _to(asked: dict[str, str], query: dict[str, str]) -> Answer:
    target = asked["redirect_uri"]
    return Answer(
        302, b"", headers=(("Location", f"{target}{'&' if '?' in target else '?'}{urlencode(query)}"),)
    )


def _merchants(access: Access) -> dict[str, World]:
    """Every shop that some token opens, by merchant id."""
    return {grant.world.merchant.id: grant.world for grant in list(access.grants.values())}


def _options(texts: dict[str, str]) -> str:
    return "".join(
        f'<option value="{html.escape(value)}">{html.escape(text)}</option>' for value, text in texts.items()
    )
