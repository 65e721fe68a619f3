"""Whatever Clover sends, the mapping answers: an order whose identities hold, or a reason why there is none."""

import copy
from datetime import UTC, datetime
from typing import Any

from accounting_strategies import Shop, shops
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.clover import Charge, Order, OrderItem, Refund
from transforms.beside.customers import customers_of
from transforms.beside.products import products_of
from transforms.beside.tax_components import tax_components_of
from transforms.check.invariants import check_order
from transforms.document import document
from transforms.model import Merchant, Severity
from transforms.order.order import map_order
from transforms.read.group import parse_group
from transforms.read.platform import needs_platform, platform_line, with_platform

MERCHANT = Merchant("MERCHANT00001", None, "XXX", None, "Mars/Olympus")
RUN_START = datetime(2027, 1, 1, tzinfo=UTC)
INTERNAL = {"lines_total", "line_arithmetic", "refund_lines", "tax_once", "discount_once"}

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64),
    st.integers(-3, 300),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(
        [
            "",
            "abc",
            "100",
            "12.5",
            "-1",
            "usd",
            "USD",
            "paid",
            "false",
            "\x00",
            "null null",
            "succeeded",
            "1_0",
            " 7 ",
        ]
    ),
    st.text(max_size=6),
)
json_values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(
            st.sampled_from(["id", "amount", "data", "elements", "type", "created", "name", "rate", "x"]),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=12,
)
FIELDS = sorted({*Order.model_fields, *Charge.model_fields, *Refund.model_fields, *OrderItem.model_fields})
records = st.dictionaries(st.sampled_from(FIELDS), json_values, max_size=12)


def answered(order: Any, charges: Any, refunds: Any) -> None:
    group, broken = parse_group(order, charges, refunds)
    assert all(issue.severity is Severity.ERROR for issue in broken)
    for unpaid in ("exclude", "include"):
        result = map_order(group, MERCHANT, previous=None, run_start=RUN_START, unpaid_orders=unpaid)  # type: ignore[arg-type]
        customers_of(group)
        tax_components_of(group)
        if result.order is None:
            assert result.held_back
            assert result.content_hash == ""
            continue
        assert result.held_back is None
        document(result, None)
        products_of(result.order)
        wrong = [issue for issue in check_order(result.order) if issue.code in INTERNAL]
        assert wrong == []


@given(
    st.one_of(st.none(), records, json_values),
    st.lists(st.one_of(records, json_values), max_size=3),
    json_values,
)
@settings(max_examples=150, deadline=None)
def test_junk_is_answered(order: Any, charges: Any, refunds: Any) -> None:
    answered(order, charges, refunds)


@given(shops(), st.data())
@settings(max_examples=150, deadline=None)
def test_a_real_order_with_broken_members_is_answered(shop: Shop, data: st.DataObject) -> None:
    """Where it still becomes an order, its own identities hold, however Clover's figures contradict each other."""
    order, charges, refunds = copy.deepcopy((shop.order, shop.charges, shop.refunds))
    for _ in range(data.draw(st.integers(1, 4))):
        places = (
            [order, *charges, *refunds, *[item for item in order.get("items", []) if isinstance(item, dict)]]
            if isinstance(order.get("items"), list)
            else [order, *charges, *refunds]
        )
        place = data.draw(st.sampled_from(places))
        name = data.draw(st.sampled_from(sorted({*place, *FIELDS})))
        if data.draw(st.booleans()):
            place[name] = data.draw(st.one_of(st.integers(-500, 50_000), json_values))
        else:
            place.pop(name, None)
    answered(order, charges, refunds)


@given(
    st.dictionaries(
        st.sampled_from(["id", "price", "unitQty", "modifications", "taxRates", "discounts", "item"]),
        json_values,
    )
)
def test_platform_junk_is_answered(row: dict[str, Any]) -> None:
    platform_line(row)


@given(
    shops(),
    st.dictionaries(
        st.sampled_from(["id", "lineItems", "discounts", "serviceCharge", "modifiedTime", "total"]),
        json_values,
    ),
    st.lists(
        st.dictionaries(
            st.sampled_from(["id", "price", "unitQty", "taxRates", "discounts", "name"]), json_values
        ),
        max_size=3,
    ),
)
@settings(max_examples=100, deadline=None)
def test_a_platform_order_of_junk_is_answered(
    shop: Shop, platform: dict[str, Any], lines: list[dict[str, Any]]
) -> None:
    group, _ = parse_group(shop.order, shop.charges, shop.refunds)
    needs_platform(shop.order)
    for record in (platform, {**platform, "lineItems": {"elements": lines}}):
        result = map_order(with_platform(group, record), MERCHANT, previous=None, run_start=RUN_START)
        assert result.order is not None
        assert [issue for issue in check_order(result.order) if issue.code in INTERNAL] == []
