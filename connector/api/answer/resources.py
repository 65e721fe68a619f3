"""The commerce data types: where each is served, what can be asked of it, and where its records are read."""

from dataclasses import dataclass

from connector.api.query import fields
from connector.api.query.fields import Fields
from connector.api.reads import records as api_reads
from connector.api.reads.records import Source
from schemas.platform import DataType


@dataclass(frozen=True, slots=True)
class Resource:
    """One list. ``model``: Codat's word in error messages. ``record_id``: the path parameter of its get."""

    data_type: DataType
    model: str
    record_id: str
    fields: Fields
    source: Source
    about: str
    default_order: str = "id"


RESOURCES = (
    Resource(
        DataType.ORDERS,
        "Order",
        "orderId",
        fields.ORDERS,
        api_reads.ORDERS,
        "Orders: what was sold, refunded, taxed, discounted and paid. `totalAmount` is net of refunds,"
        " with tax and service charges, without gratuity.",
    ),
    Resource(
        DataType.PAYMENTS,
        "Payment",
        "paymentId",
        fields.PAYMENTS,
        api_reads.PAYMENTS,
        "Payments of orders; a refund is a negative payment. Sum only those with status `Paid`.",
    ),
    Resource(
        DataType.PAYMENT_METHODS,
        "PaymentMethod",
        "paymentMethodId",
        fields.PAYMENT_METHODS,
        api_reads.records("paymentMethods"),
        "The ways the merchant was paid.",
    ),
    Resource(
        DataType.CUSTOMERS,
        "Customer",
        "customerId",
        fields.CUSTOMERS,
        api_reads.records("customers"),
        "Customers who ordered; guests have none. Listed by name.",
        default_order="customerName",
    ),
    Resource(
        DataType.PRODUCTS,
        "Product",
        "productId",
        fields.PRODUCTS,
        api_reads.records("products"),
        "Products seen in orders, each with one variant.",
    ),
    Resource(
        DataType.PRODUCT_CATEGORIES,
        "ProductCategory",
        "productId",
        fields.PRODUCT_CATEGORIES,
        api_reads.NOTHING,
        "Always empty: Clover's Ecommerce API knows no categories.",
    ),
    Resource(
        DataType.TRANSACTIONS,
        "Transaction",
        "transactionId",
        fields.TRANSACTIONS,
        api_reads.TRANSACTIONS,
        "Money that moved: a `Payment` for each captured charge, a `Refund` for each refund that counted.",
    ),
    Resource(
        DataType.DISPUTES,
        "Dispute",
        "disputeId",
        fields.DISPUTES,
        api_reads.NOTHING,
        "Always empty: Clover's Ecommerce API tells nothing about disputes, so this says nothing about them.",
    ),
    Resource(
        DataType.LOCATIONS,
        "Location",
        "locationId",
        fields.LOCATIONS,
        api_reads.records("locations"),
        "Where orders are placed: the Clover merchant.",
    ),
    Resource(
        DataType.TAX_COMPONENTS,
        "TaxComponent",
        "taxId",
        fields.TAX_COMPONENTS,
        api_reads.records("taxComponents"),
        "Tax rates seen in orders. `rate` is a fraction.",
    ),
)
COMPANY_INFO = api_reads.records("companyInfo")
UNSUPPORTED = frozenset({DataType.DISPUTES, DataType.PRODUCT_CATEGORIES})
