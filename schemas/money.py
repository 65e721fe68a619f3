"""Money: whole minor units inside, exact decimals outside, and how many decimals each currency has (ISO 4217).

Clover counts in the smallest unit of the object's own currency, a cent for USD and a yen for JPY
(docs.clover.com, Currency rounding adjustments); Codat writes major units as decimals. Floats are never used.
"""

from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache

UNKNOWN_CURRENCY = "XXX"
_TWO = 2
_CODES = """
    AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BHD BIF BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD
    CDF CHE CHF CHW CLF CLP CNY COP COU CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL
    GHS GIP GMD GNF GTQ GYD HKD HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW
    KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD
    NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP
    SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD USN UYI UYU UYW UZS
    VED VES VND VUV WST XAD XAF XAG XAU XBA XBB XBC XBD XCD XCG XDR XOF XPD XPF XPT XSU XTS XUA YER ZAR
    ZMW ZWG
"""
CURRENCIES = frozenset(_CODES.split())
PLACES: Mapping[int, str] = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
"""Decimals -> the codes that have them; every other code has two. The one list: the SQL views are made from it too."""
_EXPONENTS: Mapping[str, int] = {code: places for places, codes in PLACES.items() for code in codes.split()}


def exponent(currency: str) -> int:
    """Decimals of a currency's minor unit: USD 2, JPY 0, KWD 3. Codes not in ISO 4217 count as 2."""
    return _EXPONENTS.get(currency, _TWO)


@lru_cache(maxsize=65_536)
def to_decimal(minor: int, exponent: int) -> Decimal:
    """Major units of a whole number of minor units, in the shortest exact form: 1250 at 2 is 12.5."""
    return shortest(Decimal(minor).scaleb(-exponent))


@lru_cache(maxsize=65_536)
def shortest(amount: Decimal) -> Decimal:
    """The same number without trailing zeros and without a positive exponent: 12.50 is 12.5, 1E+2 is 100."""
    trimmed = amount.normalize()
    if trimmed.is_zero():
        return Decimal(0)
    digits_and_exponent = trimmed.as_tuple().exponent
    return (
        trimmed.quantize(Decimal(1))
        if isinstance(digits_and_exponent, int) and digits_and_exponent > 0
        else trimmed
    )


def money(amount: Decimal, currency: str) -> str:
    """``1,234.50`` with the decimals of the currency, more where the amount has more; never rounded."""
    needed = -int(amount.normalize().as_tuple().exponent) if amount else 0
    return f"{amount:,.{max(exponent(currency), needed)}f}"


@lru_cache(maxsize=65_536)
def to_minor(amount: Decimal, exponent: int) -> int:
    """Minor units of an amount in major units, rounded half up (away from zero) where it has more decimals."""
    return int(amount.scaleb(exponent).quantize(Decimal(1), ROUND_HALF_UP))


def divide_half_up(numerator: int, denominator: int) -> int:
    """``numerator / denominator`` as a whole number, halves away from zero. The denominator is positive."""
    if numerator < 0:
        return -((-2 * numerator + denominator) // (2 * denominator))
    return (2 * numerator + denominator) // (2 * denominator)
