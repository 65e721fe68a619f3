"""A record that is as documented is read quickly; the values are those of the schema that reads any record."""

import copy
from pathlib import Path
from typing import Any

import yaml
from accounting_strategies import Shop, shops
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from test_accounting_junk import json_values

from schemas.clover import Charge, Order, Refund
from schemas.loose import LooseModel
from schemas.regular import read_regular

FIXTURES = Path(__file__).parents[1] / "fixtures" / "orders"
MODELS: dict[str, type[LooseModel]] = {"order": Order, "charge": Charge, "refund": Refund}
Row = dict[str, Any]


def values(record: object) -> object:
    """All values of a record with their types, but for what nobody declared."""
    if isinstance(record, LooseModel):
        return type(record), {name: values(getattr(record, name)) for name in type(record).model_fields}
    return [values(member) for member in record] if type(record) is list else (type(record), record)


def read_both_ways(model: type[LooseModel], row: Row) -> bool:
    """Whether the row is regular; then both readings must be the same."""
    before = copy.deepcopy(row)
    found = read_regular(model, row)
    assert row == before, "a row is read and left as it is"
    if found is None:
        return False
    assert values(found) == values(model.model_validate(row))
    return True


def records_of(shop: Shop) -> list[tuple[type[LooseModel], Row]]:
    return [
        (Order, shop.order),
        *((Charge, charge) for charge in shop.charges),
        *((Refund, refund) for refund in shop.refunds),
    ]


@given(shops())
@settings(max_examples=200, deadline=None)
def test_every_record_of_a_shop_is_read_the_same_both_ways(shop: Shop) -> None:
    for model, row in records_of(shop):
        read_both_ways(model, row)


@given(shops(), st.data())
@settings(max_examples=300, deadline=None)
def test_what_is_not_as_documented_is_read_the_same_or_left_to_the_schema(
    shop: Shop, data: st.DataObject
) -> None:
    model, row = data.draw(st.sampled_from(records_of(shop)))
    broken = copy.deepcopy(row)
    where = broken
    items = broken.get("items")
    if isinstance(items, list) and items and data.draw(st.booleans()):
        where = data.draw(st.sampled_from(items))
    names = [*sorted(where), "description", "status", "voided", "tax_rates", "currency", "left_out"]
    odd = st.one_of(json_values, st.sampled_from([" usd ", "\u00a0", " x ", 10**11, 10**11 - 1, 1e3, [[]]]))
    for name in data.draw(st.lists(st.sampled_from(names), min_size=1, max_size=3)):
        where[name] = data.draw(odd)
    try:
        read_both_ways(model, broken)
    except ValidationError as error:  # pragma: no cover - says what went wrong
        raise AssertionError(f"read quickly and refused by the schema: {broken}") from error


def test_records_of_every_fixture_are_read_the_same_both_ways() -> None:
    read = regular = 0
    for path in sorted(FIXTURES.glob("*.yaml")):
        clover = yaml.safe_load(path.read_text())["clover"]
        for kind, found in (
            ("order", [clover.get("order")]),
            ("charge", clover.get("charges", [])),
            ("refund", clover.get("refunds", [])),
        ):
            for row in found:
                if isinstance(row, dict):
                    read += 1
                    regular += read_both_ways(MODELS[kind], row)
    assert regular > read / 2, "most records, even of the odd orders that fixtures are"
