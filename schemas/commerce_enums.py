"""The closed vocabularies of Codat's commerce records (docs.codat.io, Commerce API reference).

A word outside them would make Codat's own clients refuse the whole answer, so each has ``Unknown``.
"""

from enum import StrEnum


class PaymentStatus(StrEnum):
    """Where a payment stands. Only ``Paid`` ones are money."""

    PENDING = "Pending"
    AUTHORIZED = "Authorized"
    PAID = "Paid"
    FAILED = "Failed"
    CANCELLED = "Cancelled"
    UNKNOWN = "Unknown"


class PaymentType(StrEnum):
    """How a payment was made."""

    CASH = "Cash"
    CARD = "Card"
    INVOICE = "Invoice"
    ONLINE_CARD = "OnlineCard"
    SWISH = "Swish"
    VIPPS = "Vipps"
    MOBILE = "Mobile"
    STORE_CREDIT = "StoreCredit"
    PAYPAL = "Paypal"
    CUSTOM = "Custom"
    PREPAID = "Prepaid"
    UNKNOWN = "Unknown"


class ServiceChargeType(StrEnum):
    """What a service charge is for. There is no type for tips, surcharges or refunds."""

    GENERIC = "Generic"
    SHIPPING = "Shipping"
    OVERPAYMENT = "Overpayment"
    UNKNOWN = "Unknown"


class TransactionType(StrEnum):
    """What moved the money."""

    PAYMENT = "Payment"
    REFUND = "Refund"
    PAYOUT = "Payout"
    FAILED_PAYOUT = "FailedPayout"
    TRANSFER = "Transfer"
    PAYMENT_FEE = "PaymentFee"
    PAYMENT_FEE_REFUND = "PaymentFeeRefund"
    UNKNOWN = "Unknown"


class TransactionSourceType(StrEnum):
    """What a transaction belongs to."""

    FEE = "Fee"
    ORDER = "Order"
    PAYMENT = "Payment"
    SERVICE_CHARGE = "ServiceCharge"
    UNKNOWN = "Unknown"


class AddressType(StrEnum):
    """What an address is for."""

    BILLING = "Billing"
    DELIVERY = "Delivery"
    ORDER = "Order"
    INVENTORY = "Inventory"
    UNKNOWN = "Unknown"


class ProductStatus(StrEnum):
    """Whether a product is on sale."""

    PUBLISHED = "Published"
    UNPUBLISHED = "Unpublished"
    UNKNOWN = "Unknown"


class PaymentMethodStatus(StrEnum):
    """Whether a payment method is in use."""

    ACTIVE = "Active"
    ARCHIVED = "Archived"
    UNKNOWN = "Unknown"


class PhoneNumberType(StrEnum):
    """What kind of line a phone number is."""

    PRIMARY = "Primary"
    LANDLINE = "Landline"
    MOBILE = "Mobile"
    FAX = "Fax"
    UNKNOWN = "Unknown"
