"""Customers as Clover's platform tells them, under the ids that orders name (docs.clover.com, Customers).

``null`` as a name is Clover's way of having none. No card is asked for or read.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from schemas.commerce import Customer
from schemas.commerce_enums import AddressType
from schemas.times import from_ms, wire_text
from transforms.beside.customers import address, words


def platform_customer(row: Mapping[str, Any]) -> Customer:
    """A customer with the first of its e-mails and telephones; what the platform leaves out is absent."""
    since = row.get("customerSince")
    places = (address(place, AddressType.DELIVERY) for place in _elements(row, "addresses"))
    return Customer(
        id=str(row["id"]),
        customer_name=words(f"{row.get('firstName') or ''} {row.get('lastName') or ''}"),
        email_address=_first(row, "emailAddresses", "emailAddress"),
        phone=_first(row, "phoneNumbers", "phoneNumber"),
        addresses=[place for place in places if place is not None],
        created_date=wire_text(from_ms(since)) if type(since) is int else None,
    )


def _first(row: Mapping[str, Any], collection: str, member: str) -> str | None:
    return next((text for one in _elements(row, collection) if (text := words(one.get(member)))), None)


def _elements(row: Mapping[str, Any], name: str) -> Iterator[Mapping[str, Any]]:
    collection = row.get(name)
    elements = collection.get("elements") if isinstance(collection, Mapping) else None
    return (one for one in elements or () if isinstance(one, Mapping))
