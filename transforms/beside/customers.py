"""Customers, as far as orders and charges tell; guests have none, and none is made up from an e-mail address.

Clover's Ecommerce API documents no way to read customers. Name, e-mail and phone number come from the order, else
from its charges, newest first. ``null null`` as a name is Clover's way of having none. No card data is read.
The platform tells more, under the ids that orders name (docs.clover.com, Customers).
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from schemas.clover import Charge
from schemas.commerce import Address, Customer, Ref
from schemas.commerce_enums import AddressType
from schemas.times import from_ms, wire_text
from transforms.dates import newest
from transforms.model import OrderGroup

_ADDRESS_PARTS = {
    "line1": ("line1", "address1", "address_line1"),
    "line2": ("line2", "address2", "address_line2"),
    "city": ("city", "address_city"),
    "region": ("state", "region", "address_state"),
    "country": ("country", "address_country"),
    "postal_code": ("postal_code", "zip", "address_zip"),
}


def customer_id(group: OrderGroup) -> str | None:
    """Who ordered: the order's customer, else the one its newest charge names; None for guests."""
    if group.order is not None and group.order.customer:
        return group.order.customer
    for charge in _newest_first(group):
        if charge.customer:
            return charge.customer
    return None


def customer_ref(group: OrderGroup) -> Ref | None:
    """The customer as an order names it."""
    identity = customer_id(group)
    return None if identity is None else Ref(id=identity, name=_name(group))


def customers_of(group: OrderGroup) -> list[Customer]:
    """The customer of an order, as one record or none."""
    identity = customer_id(group)
    if identity is None:
        return []
    order = group.order
    emails = [order.email if order is not None else None]
    phones = [_phone(order.shipping) if order is not None else None]
    for charge in _newest_first(group):
        emails += [words(charge.billing_details.get("email")), charge.receipt_email]
        phones += [words(charge.billing_details.get("phone")), _phone(charge.shipping)]
    seen = [charge.created for charge in group.charges if charge.customer == identity]
    if order is not None and order.customer == identity:
        seen.append(order.created)
    known = [moment for moment in seen if moment is not None]
    first = newest([min(known)]) if known else None
    return [
        Customer(
            id=identity,
            customer_name=_name(group),
            email_address=_first(emails),
            phone=_first(phones),
            addresses=list(_addresses(group)),
            created_date=None if first is None else wire_text(first),
        )
    ]


def words(value: object) -> str | None:
    """Text that says something; None for Clover's ``null`` written out."""
    if not isinstance(value, str) or not value:
        return None
    if value.isalnum() and len(value) not in (4, 9):
        return value  # most are: one word that is neither "null" nor "undefined"
    kept = " ".join(part for part in value.split() if part.lower() not in ("null", "undefined"))
    return kept or None


def address(source: Mapping[str, Any], kind: AddressType) -> Address | None:
    """An address from any of Clover's spellings of its parts; None when nothing but a country, or less, is known."""
    if not source:
        return None
    parts = dict.fromkeys(_ADDRESS_PARTS)
    for name, keys in _ADDRESS_PARTS.items():
        for key in keys:
            if key in source and (text := words(source[key])):
                parts[name] = text
                break
    if not any(value for name, value in parts.items() if name != "country"):
        return None
    return Address(type=kind, **parts)


def _newest_first(group: OrderGroup) -> list[Charge]:
    return sorted(group.charges, key=lambda charge: (-(charge.created or 0), charge.id))


def _name(group: OrderGroup) -> str | None:
    order = group.order
    names = []
    for charge in _newest_first(group):
        names += [words(charge.billing_details.get("name"))]
    if order is not None:
        names.append(words(order.shipping.get("name")))
    for charge in _newest_first(group):
        names += [words(charge.shipping.get("name")), words(charge.source.get("name"))]
    return _first(names)


def _phone(shipping: Mapping[str, Any]) -> str | None:
    return words(shipping.get("phone"))


def _addresses(group: OrderGroup) -> Iterator[Address]:
    given: set[Address] = set()
    places = []
    if group.order is not None:
        places.append((group.order.shipping, AddressType.DELIVERY))
    for charge in _newest_first(group):
        places += [(charge.shipping, AddressType.DELIVERY), (charge.billing_details, AddressType.BILLING)]
    for place, kind in places:
        inner = place.get("address")
        found = address(inner if isinstance(inner, Mapping) else place, kind)
        if found is not None and found not in given:
            given.add(found)
            yield found


def _first(values: Iterable[str | None]) -> str | None:
    return next((value for value in values if value), None)


def platform_customer(row: Mapping[str, Any]) -> Customer:
    """A customer with the first of its e-mails and telephones; what the platform leaves out is absent."""
    since = row.get("customerSince")
    places = (address(place, AddressType.DELIVERY) for place in _elements(row, "addresses"))
    return Customer(
        id=str(row["id"]),
        customer_name=words(f"{row.get('firstName') or ''} {row.get('lastName') or ''}"),
        email_address=_first_of(row, "emailAddresses", "emailAddress"),
        phone=_first_of(row, "phoneNumbers", "phoneNumber"),
        addresses=[place for place in places if place is not None],
        created_date=wire_text(from_ms(since)) if type(since) is int else None,
    )


def _first_of(row: Mapping[str, Any], collection: str, member: str) -> str | None:
    return next((text for one in _elements(row, collection) if (text := words(one.get(member)))), None)


def _elements(row: Mapping[str, Any], name: str) -> Iterator[Mapping[str, Any]]:
    collection = row.get(name)
    elements = collection.get("elements") if isinstance(collection, Mapping) else None
    return (one for one in elements or () if isinstance(one, Mapping))
