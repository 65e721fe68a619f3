"""Clover's answer: whose it is, what it brings, and the merchant's own words where Clover left something out.

The state is taken before the code is used, so neither counts twice, and the pair is kept before the connection becomes
``Linked``: a process that ends in between leaves a merchant who may begin again, and nothing half-linked.
"""

import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from zoneinfo import ZoneInfo

from connector.api.answer.errors import ApiError, busy
from connector.api.state import Call
from connector.clover.platform import MerchantProfile
from connector.control import links
from connector.control.links import Visit
from connector.ledger.failpoints import failpoint
from connector.link.connecting import (
    Merchant,
    app_of,
    is_pair_of,
    keep_pair,
    known_connection,
    link_again,
    link_new,
    tell_failed,
)
from connector.link.exchange import Agreed, LinkFailed, exchange
from connector.link.linking import Linking
from connector.link.visitor import target_of
from connector.logs import get_logger
from schemas.iso import ALPHA_3, UNKNOWN_COUNTRY

MOST_AT_ONCE = 10  # answers that wait for Clover; each holds one of the server's forty threads
_exchanging = threading.BoundedSemaphore(MOST_AT_ONCE)
log = get_logger(__name__)


def take(call: Call, linking: Linking, visit: Visit, given: Mapping[str, str]) -> None:
    """Take an answer in. Raises ApiError for one that is not this browser's; whatever else it is, the visit says."""
    control, now = call.state.control, call.now()
    state = given.get("state", "")
    if not state:
        raise ApiError(400, "This page is reached through a link. Open the one that was sent to you.")
    if not _exchanging.acquire(
        timeout=1
    ):  # who waits here holds a thread too; the answer may be loaded again
        raise busy(30, "Many shops are being connected at this moment")
    try:
        taken = links.take_state(control, visit, state, now=now)
        if taken == "foreign":
            raise ApiError(403, "This answer does not belong to this browser. Open the link again, here.")
        if taken == "taken":
            failpoint("link.taken")
            _taken(call, linking, visit, given)
        elif visit.stage == "sent":
            _taken_before(call, visit, taken)
    finally:
        _exchanging.release()


def _taken_before(call: Call, visit: Visit, taken: str) -> None:
    """The answer came before, or too late. What a process did that ended right after it had linked is not undone."""
    target = target_of(call, visit)
    if target is not None and target.connection is not None and target.is_linked:
        links.note_linked(
            call.state.control,
            visit,
            connection_id=target.connection.connection_id,
            merchant_id=None,
            again=False,
            now=call.now(),
        )
    else:
        links.note_failed(call.state.control, visit, stage="failed", reason=taken, now=call.now())


def _taken(call: Call, linking: Linking, visit: Visit, given: Mapping[str, str]) -> None:
    merchant_id, code = given.get("merchant_id", ""), given.get("code", "")
    try:
        if "error" in given or not code:
            raise LinkFailed("refused")
        if not merchant_id.isascii() or not merchant_id.isalnum() or len(merchant_id) > 64:
            raise LinkFailed("merchant", "the answer names no merchant")
        app = app_of(linking, visit)
        verifier = linking.verifier(app, given["state"])
        agreed = exchange(
            app, code=code, verifier=verifier, merchant_id=merchant_id, transport=linking.transport
        )
        failpoint("link.exchanged")
        with _alone(call, visit):
            _agreed(call, linking, visit, agreed)
    except LinkFailed as failed:
        _failed(call, visit, failed)


def _failed(call: Call, visit: Visit, failed: LinkFailed) -> None:
    stage: links.Stage = "refused" if failed.reason == "refused" else "failed"
    log.warning(
        "link.failed",
        company_id=visit.company_id,
        connection_id=visit.connection_id,
        reason=failed.reason,
        detail=failed.detail or None,
    )
    links.note_failed(call.state.control, visit, stage=stage, reason=failed.reason, now=call.now())
    tell_failed(call, visit, failed.reason)


def _agreed(call: Call, linking: Linking, visit: Visit, agreed: Agreed) -> None:
    profile = agreed.profile
    known = known_connection(linking, visit, profile.merchant_id)
    connection_id = known.id if known else visit.connection_id
    assert connection_id is not None, "a visit that was sent to Clover has a connection"
    keep_pair(linking, connection_id, agreed)
    failpoint("link.pair_kept")
    if known is not None:
        link_again(call, linking, visit, known)
    elif _missing(profile):
        links.note_details(
            call.state.control, visit, merchant_id=profile.merchant_id, profile=_written(profile)
        )
    else:
        link_new(call, linking, visit, _merchant(profile, {}))


@contextmanager
def _alone(call: Call, visit: Visit) -> Iterator[None]:
    """Two browsers that link one connection at a time could mix up two merchants. Raises LinkFailed for the second."""
    control, connection_id = call.state.control, visit.connection_id or ""
    if not links.claim(control, connection_id, visit, now=call.now()):
        raise LinkFailed("at_once", "another browser links this connection")
    try:
        yield
    finally:
        links.release(control, connection_id, visit)


def missing_in(visit: Visit) -> frozenset[str]:
    """What the merchant is asked for."""
    return _missing(_read(visit))


def complete(call: Call, linking: Linking, visit: Visit, fields: Mapping[str, str]) -> None:
    """Link with the merchant's own words. A time zone that is none is asked for again."""
    profile = _read(visit)
    if "timezone" in _missing(profile) and not _is_zone(fields.get("timezone", "")):
        links.note_asked_again(call.state.control, visit)
        return
    try:
        with _alone(call, visit):
            if known_connection(linking, visit, profile.merchant_id) is not None or not is_pair_of(
                linking, visit.connection_id or "", profile.merchant_id
            ):
                raise LinkFailed("at_once", "another browser was faster")
            link_new(call, linking, visit, _merchant(profile, fields))
    except LinkFailed as failed:
        _failed(call, visit, failed)


def _missing(profile: MerchantProfile) -> frozenset[str]:
    country = ALPHA_3.get((profile.country or "").upper())
    found = {"timezone": _is_zone(profile.timezone or ""), "country": country is not None}
    return frozenset(name for name, is_known in found.items() if not is_known)


def _merchant(profile: MerchantProfile, said: Mapping[str, str]) -> Merchant:
    """Clover's words before the merchant's; nothing is guessed."""
    missing = _missing(profile)
    country = said.get("country", "") if "country" in missing else ALPHA_3[(profile.country or "").upper()]
    return Merchant(
        merchant_id=profile.merchant_id,
        name=profile.name,
        country=country if country in ALPHA_3.values() else UNKNOWN_COUNTRY,
        currency=profile.currency if re.fullmatch("[A-Z]{3}", profile.currency or "") else None,
        timezone=said.get("timezone", "") if "timezone" in missing else profile.timezone or "",
    )


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return False
    return bool(name)


def _written(profile: MerchantProfile) -> str:
    told = (profile.merchant_id, profile.name, profile.country, profile.currency, profile.timezone)
    return json.dumps(told)


def _read(visit: Visit) -> MerchantProfile:
    return MerchantProfile(*json.loads(visit.profile or "null"))
