"""Locations: the merchant is the one place where its Clover orders are placed."""

from schemas.commerce import Address, Location
from schemas.commerce_enums import AddressType
from transforms.model import Merchant


def location_of(merchant: Merchant) -> Location:
    """The merchant as a location. Of its address no more than the country is known."""
    country = None if merchant.country == "XXX" else merchant.country
    return Location(
        id=merchant.merchant_id,
        name=merchant.merchant_name,
        address=Address(type=AddressType.INVENTORY, country=country),
    )
