"""The merchant as a business and as the one place where its Clover orders are placed.

Clover's Ecommerce API tells only its id; the rest is configured.
"""

from schemas.commerce import Address, CompanyInfo, Location
from schemas.commerce_enums import AddressType
from transforms.model import Merchant


def company_info_of(merchant: Merchant) -> CompanyInfo:
    """What is known of the business; members nobody told are absent."""
    country = None if merchant.country == "XXX" else merchant.country
    return CompanyInfo(
        company_name=merchant.merchant_name,
        commerce_platform_ref=merchant.merchant_id,
        base_currency=merchant.currency,
        addresses=[] if country is None else [Address(type=AddressType.BILLING, country=country)],
        source_urls={},
    )


def location_of(merchant: Merchant) -> Location:
    """The merchant as a location. Of its address no more than the country is known."""
    country = None if merchant.country == "XXX" else merchant.country
    return Location(
        id=merchant.merchant_id,
        name=merchant.merchant_name,
        address=Address(type=AddressType.INVENTORY, country=country),
    )
