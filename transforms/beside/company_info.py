"""Company info: the merchant as a business. Clover's Ecommerce API tells only its id; the rest is configured."""

from schemas.commerce import Address, CompanyInfo
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
