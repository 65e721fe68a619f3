"""Customers, products, locations, company info, payment methods, tax components."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from schemas.commerce import Order
from schemas.wire import members
from transforms.beside.customers import customers_of, words
from transforms.beside.merchant import company_info_of, location_of
from transforms.beside.payment_methods import payment_methods_of
from transforms.beside.products import products_of
from transforms.beside.tax_components import tax_components_of
from transforms.model import MappedOrder, Merchant, OrderGroup
from transforms.order.order import map_order
from transforms.read.group import parse_group

MERCHANT = Merchant("MHT4QK2Z9WX61", "Quay Street Goods", "USA", "USD")
ORDER: dict[str, Any] = {
    "id": "O1",
    "amount": 5861,
    "tax_amount": 386,
    "currency": "USD",
    "created": 1791279000000,
    "status": "paid",
    "customer": "JT97KB6CQ643D",
    "email": "ines.moreau@example.com",
    "items": [
        {
            "parent": "P1",
            "quantity": 2,
            "amount": 1500,
            "description": "Apron",
            "tax_rates": [{"name": "City", "rate": 825000}],
        },
        {
            "parent": "P2",
            "amount": 2200,
            "description": "Board",
            "tax_rates": [{"name": "City", "rate": 825000}, {"name": "Named only", "tax_rate_uuid": "T9"}],
        },
        {"type": "discount", "amount": -520},
        {"type": "shipping", "amount": 795},
    ],
    "shipping": {
        "name": "Ines Moreau",
        "phone": "6175550147",
        "address": {
            "line1": "12 Quay Street",
            "line2": "Apt 3",
            "city": "Boston",
            "state": "Massachusetts",
            "postal_code": "02109",
            "country": "US",
        },
    },
}
CHARGE: dict[str, Any] = {
    "id": "C1",
    "amount": 5861,
    "currency": "usd",
    "created": 1791279100000,
    "captured": True,
    "status": "succeeded",
    "customer": "JT97KB6CQ643D",
    "source": {"brand": "VISA", "first6": "424242", "last4": "4242"},
    "billing_details": {"name": "I. Moreau", "address_line1": "12 Quay Street", "address_zip": "02109"},
}
REFUND: dict[str, Any] = {
    "id": "R1",
    "amount": 5861,
    "charge": "C1",
    "created": 1792611930000,
    "status": "succeeded",
}


@pytest.fixture
def group() -> OrderGroup:
    return parse_group(
        ORDER, [CHARGE, {**CHARGE, "id": "C2", "status": "failed", "captured": False}], [REFUND]
    )[0]


@pytest.fixture
def order(group: OrderGroup) -> Order:
    mapped: MappedOrder = map_order(
        group, MERCHANT, previous=None, run_start=datetime(2026, 12, 1, tzinfo=UTC)
    )
    assert mapped.order is not None
    return mapped.order


def test_a_customer_has_what_codat_asks_for_and_no_card(group: OrderGroup) -> None:
    [customer] = customers_of(group)
    assert members(customer) == {
        "id": "JT97KB6CQ643D",
        "customerName": "I. Moreau",
        "emailAddress": "ines.moreau@example.com",
        "phone": "6175550147",
        "addresses": [
            {
                "type": "Delivery",
                "line1": "12 Quay Street",
                "line2": "Apt 3",
                "city": "Boston",
                "region": "Massachusetts",
                "country": "US",
                "postalCode": "02109",
            },
            {"type": "Billing", "line1": "12 Quay Street", "postalCode": "02109"},
        ],
        "createdDate": "2026-10-06T09:30:00Z",
    }


def test_a_guest_is_nobody() -> None:
    guest = parse_group({**ORDER, "customer": None}, [{**CHARGE, "customer": None}], [])[0]
    assert customers_of(guest) == []


def test_null_written_out_is_no_name() -> None:
    assert [words(text) for text in ("null null", "Ines null", " Ines  Moreau ", "", None, 5)] == [
        None,
        "Ines",
        "Ines Moreau",
        None,
        None,
        None,
    ]


def test_products_come_from_sale_lines_each_once(order: Order) -> None:
    products = products_of(order)
    assert [(product.id, product.name) for product in products] == [("P1", "Apron"), ("P2", "Board")]
    variant = members(products[0])["variants"][0]
    assert variant["id"] == "P1"
    assert variant["prices"] == [{"currency": "USD", "unitPrice": 15}]
    assert variant["inventory"] == {"locations": []}
    assert variant["vatPercentage"] == 8.25


def test_the_merchant_is_the_location_and_the_company() -> None:
    assert members(location_of(MERCHANT)) == {
        "id": "MHT4QK2Z9WX61",
        "name": "Quay Street Goods",
        "address": {"type": "Inventory", "country": "USA"},
    }
    info = members(company_info_of(MERCHANT))
    assert (info["companyName"], info["commercePlatformRef"], info["baseCurrency"]) == (
        "Quay Street Goods",
        "MHT4QK2Z9WX61",
        "USD",
    )
    assert company_info_of(Merchant("M")).addresses == []


def test_payment_methods_are_the_types_used(order: Order) -> None:
    assert [members(method) for method in payment_methods_of(order)] == [
        {"id": "OnlineCard", "name": "Card, online", "status": "Active"}
    ]


def test_tax_components_are_fractions_and_match_the_lines(group: OrderGroup, order: Order) -> None:
    [component] = tax_components_of(group)
    assert (component.name, component.rate, component.is_compound) == ("City", Decimal("0.0825"), False)
    named = {tax.tax_component_ref.id for line in order.order_line_items for tax in line.taxes}
    assert component.id in named
