"""``sourceModifiedDate``, content hash and the dates of payments from one version to the next."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import orjson
import pytest

from schemas.times import from_ms, wire_text
from transforms.dates import local_day, newest
from transforms.document import content_hash, document, payment_dates, payment_fingerprint
from transforms.model import MappedOrder, Merchant, PreviousVersion
from transforms.order.order import map_order
from transforms.read.group import parse_group

MERCHANT = Merchant("M", "Shop", "USA", "USD", "America/New_York")
RUN = datetime(2026, 12, 1, 4, 0, 5, tzinfo=UTC)
ORDER: dict[str, Any] = {
    "id": "O1",
    "amount": 1000,
    "currency": "USD",
    "created": 1791208800000,
    "status": "paid",
    "items": [{"amount": 1000, "description": "Chair"}],
}
CHARGE: dict[str, Any] = {
    "id": "C1",
    "amount": 1000,
    "currency": "usd",
    "created": 1791208872481,
    "captured": True,
    "status": "succeeded",
}
REFUND: dict[str, Any] = {
    "id": "R1",
    "amount": 1000,
    "charge": "C1",
    "created": 1791976271000,
    "status": "succeeded",
}
Map = Callable[..., MappedOrder]


@pytest.fixture
def mapped() -> Map:
    def mapping(
        order: Any = ORDER,
        charges: Any = (CHARGE,),
        refunds: Any = (),
        previous: PreviousVersion | None = None,
        run_start: datetime = RUN,
    ) -> MappedOrder:
        group, _ = parse_group(order, list(charges), list(refunds))
        return map_order(group, MERCHANT, previous=previous, run_start=run_start)

    return mapping


def version(result: MappedOrder, loaded: str = "2026-11-30T04:00:00Z") -> PreviousVersion:
    served = document(result, None).replace("@loaded", loaded)
    return PreviousVersion(result.source_modified_date, result.content_hash, payment_dates(served))


def test_it_is_the_newest_date_of_the_group_to_the_millisecond(mapped: Map) -> None:
    assert mapped().source_modified_date == datetime(2026, 10, 5, 14, 1, 12, 481_000, tzinfo=UTC)
    assert mapped(refunds=[REFUND]).source_modified_date == datetime(2026, 10, 14, 11, 11, 11, tzinfo=UTC)
    later = {**ORDER, "status_transitions": {"paid": 1791300000000}}
    assert mapped(order=later).source_modified_date == from_ms(1791300000000)


def test_the_same_records_are_the_same_version(mapped: Map) -> None:
    first = mapped()
    second = mapped(previous=version(first), run_start=RUN + timedelta(days=1))
    assert (second.content_hash, second.source_modified_date, second.observed) == (
        first.content_hash,
        first.source_modified_date,
        False,
    )


def test_a_change_that_no_date_explains_is_dated_by_the_run_that_saw_it(mapped: Map) -> None:
    first = mapped(order={**ORDER, "status": "fulfilled"})
    second = mapped(previous=version(first))
    assert second.observed
    assert second.source_modified_date == RUN
    assert second.order is not None
    assert second.order.source_modified_date == wire_text(RUN)
    again = mapped(previous=version(second), run_start=RUN + timedelta(hours=1))
    assert (again.content_hash, again.observed) == (second.content_hash, False), (
        "seen again it is no new change"
    )


def test_it_never_goes_back(mapped: Map) -> None:
    first = mapped(refunds=[REFUND])
    second = mapped(previous=version(first), run_start=datetime(2020, 1, 1, tzinfo=UTC))
    assert second.source_modified_date > first.source_modified_date, (
        "the refund vanished, and the clock is wrong too"
    )


def test_a_payment_that_did_not_change_keeps_the_date_it_was_loaded(mapped: Map) -> None:
    first = mapped()
    second = mapped(refunds=[REFUND], previous=version(first))
    served = orjson.loads(document(second, version(first)))
    assert [(payment["id"], payment["modifiedDate"]) for payment in served["payments"]] == [
        ("C1", "2026-11-30T04:00:00Z"),
        ("R1", "@loaded"),
    ]
    assert served["modifiedDate"] == "@loaded"


def test_a_payment_that_changed_is_loaded_anew(mapped: Map) -> None:
    first = mapped(charges=[CHARGE, {**CHARGE, "id": "C2", "status": "pending", "captured": False}])
    second = mapped(
        charges=[CHARGE, {**CHARGE, "id": "C2", "status": "failed", "captured": False}],
        previous=version(first),
    )
    served = orjson.loads(document(second, version(first)))
    assert [payment["modifiedDate"] for payment in served["payments"]] == ["2026-11-30T04:00:00Z", "@loaded"]


def test_the_fingerprint_of_a_payment_is_that_of_its_served_members(mapped: Map) -> None:
    result = mapped(charges=[{**CHARGE, "amount": 1005, "tip_amount": 7}])
    assert result.order is not None
    for payment, served in zip(
        result.order.payments, orjson.loads(document(result, None))["payments"], strict=True
    ):
        assert payment_fingerprint(payment) == payment_fingerprint(served)


def test_the_placeholder_stands_in_compact_json_for_every_date_of_loading(mapped: Map) -> None:
    assert document(mapped(refunds=[REFUND]), None).count('"modifiedDate":"@loaded"') == 3


def test_the_hash_knows_content_and_nothing_else(mapped: Map) -> None:
    first, renamed = (
        mapped().order,
        mapped(
            order={**ORDER, "warning_message": "x", "items": [{"description": "Chair", "amount": 1000}]}
        ).order,
    )
    assert first is not None
    assert renamed is not None
    assert content_hash(first) == content_hash(renamed)
    changed = mapped(order={**ORDER, "items": [{"amount": 1000, "description": "Stool"}]}).order
    assert changed is not None
    assert content_hash(changed) != content_hash(first)
    loaded = msgspec.structs.replace(
        first,
        modified_date="2026-11-30T04:00:00Z",
        payments=[
            msgspec.structs.replace(payment, modified_date="2026-11-30T04:00:00Z")
            for payment in first.payments
        ],
    )
    assert content_hash(loaded) == content_hash(first)


def test_a_held_back_order_has_no_document(mapped: Map) -> None:
    held = mapped(charges=[])
    assert (held.order, held.content_hash, held.held_back) == (None, "", "no_payment")
    with pytest.raises(ValueError, match="held back"):
        document(held, None)


def test_the_merchants_day(mapped: Map) -> None:
    assert local_day(datetime(2026, 10, 6, 2, 0, tzinfo=UTC), "America/New_York").isoformat() == "2026-10-05"
    assert local_day(datetime(2026, 10, 6, 2, 0, tzinfo=UTC), "Nowhere/Else").isoformat() == "2026-10-06"
    result = mapped(order={**ORDER, "created": 1791252000000}, refunds=[{**REFUND, "created": 1791943200000}])
    assert str(result.created_local_date) == "2026-10-05"
    assert {name: str(day) for name, day in result.refund_local_dates.items()} == {"R1": "2026-10-13"}


def test_the_newest_of_nothing_is_nothing() -> None:
    assert newest([None]) is None


def test_a_reference_that_others_carry_too_is_no_order_number(mapped: Map) -> None:
    group, _ = parse_group({**ORDER, "external_reference_id": "PO-4471"}, [CHARGE], [])
    numbers = [
        map_order(group, MERCHANT, previous=None, run_start=RUN, unique_reference=unique).order.order_number  # type: ignore[union-attr]
        for unique in (True, False)
    ]
    assert numbers == ["PO-4471", "O1"]


def test_an_order_that_was_paid_stays_published_when_its_charge_is_voided(mapped: Map) -> None:
    lying = {**CHARGE, "captured": False, "paid": True}
    first = mapped(charges=[lying])
    assert first.order is not None
    voided = {**lying, "voided": True}
    assert mapped(charges=[voided]).held_back == "canceled", "nobody knows that it ever was money"
    second = mapped(charges=[voided], previous=version(first))
    assert second.held_back is None
    assert second.order is not None
    assert [(payment.id, payment.status) for payment in second.order.payments] == [("C1", "Cancelled")]
