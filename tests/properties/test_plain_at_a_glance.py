"""What is seen at a glance is what the rules would have said: the same order, issues and reason to look again."""

import copy
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from accounting_strategies import Shop, shops
from hypothesis import event, given, settings
from hypothesis import strategies as st

from transforms.check import agreement, evidence, labels
from transforms.model import MappedOrder, Merchant
from transforms.order.order import map_order
from transforms.read import group as reading

FIXTURES = Path(__file__).parents[1] / "fixtures" / "orders"
MERCHANT = Merchant("MERCHANT00001", "Juniper Goods", "USA", "USD", "America/New_York")
RUN_START = datetime(2027, 1, 1, tzinfo=UTC)
GLANCES: list[tuple[Any, str, Any]] = [
    (agreement, "_agrees", False),
    (labels, "_is_plain", False),
    (evidence, "_is_dated", False),
    (reading, "read_regular", None),
]
FIGURES = [
    "amount", "amount_paid", "amount_returned", "tax_amount", "tip_amount", "amount_refunded", "amount_captured",
    "quantity", "created", "currency",
]  # fmt: skip
FLAGS = ["refunded", "captured", "paid", "voided"]
WORDS = ["status", "type", "description", "order", "charge", "object"]


def mapped(order: Any, charges: Any, refunds: Any) -> tuple[MappedOrder, Any]:
    group, broken = reading.parse_group(order, charges, refunds)
    return map_order(group, MERCHANT, previous=None, run_start=RUN_START), broken


def same_both_ways(order: Any, charges: Any, refunds: Any) -> bool:
    """Whether the order was plain at a glance; by the rules alone it comes out the same."""
    seen: list[bool] = []
    with pytest.MonkeyPatch.context() as patch:
        glance = agreement._agrees
        patch.setattr(agreement, "_agrees", lambda *given: seen.append(glance(*given)) or seen[-1])
        quick = mapped(*copy.deepcopy((order, charges, refunds)))
    with pytest.MonkeyPatch.context() as patch:
        for module, name, never in GLANCES:
            patch.setattr(module, name, lambda *_, never=never: never)
        assert mapped(order, charges, refunds) == quick
    return any(seen)


@given(shops())
@settings(max_examples=200, deadline=None)
def test_an_order_of_any_shop_comes_out_the_same(shop: Shop) -> None:
    event(f"plain: {same_both_ways(shop.order, shop.charges, shop.refunds)}")


@given(shops(most_refunds=0), st.data())
@settings(max_examples=300, deadline=None)
def test_an_order_whose_figures_contradict_each_other_comes_out_the_same(
    shop: Shop, data: st.DataObject
) -> None:
    order, charges, refunds = copy.deepcopy((shop.order, shop.charges, shop.refunds))
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.sampled_from([order, *charges, *refunds, *order.get("items", [])]))
        name = data.draw(st.sampled_from([*FIGURES, *FLAGS, *WORDS]))
        near = place.get(name) if isinstance(place.get(name), int) else 0
        if name in FLAGS:
            place[name] = data.draw(st.sampled_from([True, False, "true"]))
        elif name in WORDS:
            place[name] = data.draw(
                st.sampled_from(["returned", "paid", "succeeded", "tax", "discount", "Adjustment"])
            )
        else:
            place[name] = data.draw(st.sampled_from([near + 1, near - 1, 0, -1, 2, "EUR", 10**12, near * 2]))
    event(f"plain: {same_both_ways(order, charges, refunds)}")


def test_orders_of_every_fixture_come_out_the_same() -> None:
    for path in sorted(FIXTURES.glob("*.yaml")):
        clover = yaml.safe_load(path.read_text())["clover"]
        same_both_ways(clover.get("order"), clover.get("charges", []), clover.get("refunds", []))
