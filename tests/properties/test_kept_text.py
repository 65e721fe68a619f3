"""A record that is as documented is cut down quickly; what is kept is what the rule about personal data keeps."""

import copy
from pathlib import Path
from typing import Any

import orjson
import yaml
from accounting_strategies import Shop, shops
from hypothesis import given, settings
from hypothesis import strategies as st
from test_accounting_junk import json_values

from connector.sync.map.kept_text import kept_text
from connector.sync.map.source_rows import without_personal_data

FIXTURES = Path(__file__).parents[1] / "fixtures" / "orders"
TELLING = [
    "4242 4242 4242 4242", "4242424242424242", "1791208800000", "a@example.com", "4222222222222", ':1791208800000,',
    '\\":1791208800000,', "4222-2222-2222-2", "\u2028", "x" * 300,
]  # fmt: skip
NAMES = [
    "note", "email", "metadata", "billing_details", "shipping", "source", "description", "items", "status_transitions",
    "past_charges", "outcome", "tender", "created", "customer", "receipt_url", "failure_message", "tax_rates",
    "refunds", "reason",
]  # fmt: skip
odd = st.one_of(
    json_values,
    st.sampled_from(TELLING),
    st.sampled_from(
        [
            {"note": 5}, {"paid": 1791208800000, "email": "a@example.com"}, [{"billing_details": {"name": "A"}}],
            {"brand": "VISA", "name": "Ann"}, {"refundType": "VOID", "name": "Ann"}, {"label": "a@example.com"}, 1.0,
            4222222222222,
        ]
    ),
)  # fmt: skip


def cut_both_ways(kind: str, row: dict[str, Any]) -> bool:
    """Whether the record was cut down quickly; then both ways must agree to the last byte."""
    found = kept_text(kind, orjson.dumps(row, option=orjson.OPT_SORT_KEYS))
    if found is None:
        return False
    assert found == orjson.dumps(without_personal_data(row), option=orjson.OPT_SORT_KEYS)
    return True


@given(shops(), st.data())
@settings(max_examples=300, deadline=None)
def test_what_is_kept_is_the_same_both_ways(shop: Shop, data: st.DataObject) -> None:
    records = [
        ("order", shop.order),
        *(("charge", c) for c in shop.charges),
        *(("refund", r) for r in shop.refunds),
    ]
    kind, row = data.draw(st.sampled_from(records))
    row = copy.deepcopy(row)
    for _ in range(data.draw(st.integers(0, 3))):
        place = data.draw(
            st.sampled_from([row, *row.get("items", [])] if isinstance(row.get("items"), list) else [row])
        )
        if isinstance(place, dict):
            name = data.draw(st.sampled_from([*sorted(place), *NAMES]))
            try:
                place[name] = data.draw(odd)
                orjson.dumps(row)
            except (orjson.JSONEncodeError, TypeError):
                del place[name]
    row = orjson.loads(orjson.dumps(row))
    cut_both_ways(kind, row)


def test_nearly_every_record_of_the_fixtures_is_as_documented() -> None:
    quickly = []
    for path in sorted(FIXTURES.glob("*.yaml")):
        clover = yaml.safe_load(path.read_text())["clover"]
        quickly += [cut_both_ways("order", clover["order"])] if clover.get("order") else []
        for kind in ("charge", "refund"):
            quickly += [cut_both_ways(kind, row) for row in clover.get(f"{kind}s", [])]
    assert sum(quickly) > len(quickly) * 0.8


def test_text_that_could_hide_a_card_or_an_address_is_left_to_the_rule() -> None:
    for text in (
        "4242 4242 4242 4242",
        "4242424242424242",
        "1791208800000",
        "a@example.com",
        "4222-2222-2222-2",
    ):
        assert kept_text("refund", orjson.dumps({"id": "R", "amount": 1, "reason": text})) is None
    assert kept_text("refund", b'{"amount":1,"created":1791208800000,"id":"R"}') is not None
