"""What can be asked of each data type: the allow-list behind ``query`` and ``orderBy``.

A name a client sends only ever selects an entry of these tables; it is never put into SQL itself. Types and
names follow the data models of Codat (docs.codat.io, Commerce API reference). Values with a column of their
own are read from it; the rest is taken out of the stored document.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """How values of a property compare."""

    TEXT = "text"  # = != ~, case ignored
    NUMBER = "number"  # = != > < >= <=
    DATE = "date"  # the same, as instants
    BOOLEAN = "boolean"  # = !=
    LIST = "list"  # known, but cannot be asked for: Codat's paths do not reach into lists
    OBJECT = "object"  # known; only its members can be asked for


@dataclass(frozen=True, slots=True)
class Field:
    """One property. ``sql`` is an expression over the row alias ``v``; written here, never by a client."""

    kind: Kind
    sql: str


Fields = Mapping[str, Field]


def text(sql: str) -> Field:
    """A property of words."""
    return Field(Kind.TEXT, sql)


def number(sql: str) -> Field:
    """A property of exact numbers."""
    return Field(Kind.NUMBER, sql)


def date(sql: str) -> Field:
    """A property of instants."""
    return Field(Kind.DATE, sql)


def _doc(path: str) -> str:
    return f"json_extract_string(v.doc, '$.{path}')"


def _text_in_doc(path: str) -> Field:
    return Field(Kind.TEXT, _doc(path))


def _number_in_doc(path: str) -> Field:
    return Field(Kind.NUMBER, f"TRY_CAST({_doc(path)} AS DECIMAL(28,10))")


def _boolean_in_doc(path: str) -> Field:
    return Field(Kind.BOOLEAN, f"TRY_CAST({_doc(path)} AS BOOLEAN)")


_LIST = Field(Kind.LIST, "NULL")
_OBJECT = Field(Kind.OBJECT, "NULL")

_DATES = {
    "modifiedDate": date("v.modified_date"),
    "sourceModifiedDate": date("v.source_modified_date"),
}
_CREATED = {"createdDate": date("v.created_date")}

ORDERS: Fields = {
    "id": text("v.order_id"),
    "orderNumber": text("v.order_number"),
    "country": text("v.country"),
    "currency": text("v.currency"),
    **_CREATED,
    "closedDate": date("v.closed_date"),
    "totalAmount": number("v.total_amount"),
    "totalRefund": number("v.total_refund"),
    "totalTaxAmount": number("v.total_tax_amount"),
    "totalDiscount": number("v.total_discount"),
    "totalGratuity": number("v.total_gratuity"),
    "orderLineItems": _LIST,
    "payments": _LIST,
    "serviceCharges": _LIST,
    "locationRef": _OBJECT,
    "locationRef.id": text("v.location_id"),
    "locationRef.name": text("v.location_name"),
    "customerRef": _OBJECT,
    "customerRef.id": text("v.customer_id"),
    "customerRef.name": text("v.customer_name"),
    **_DATES,
    "supplementalData": _OBJECT,
}
# Payments and transactions are read out of their order; the row alias is the unnested payment.
PAYMENTS: Fields = {
    "id": text("v.payment_id"),
    "amount": number("v.amount"),
    "currency": text("v.currency"),
    "type": text("v.type"),
    "status": text("v.status"),
    "paymentProvider": text("v.provider"),
    "paymentMethodRef": _OBJECT,
    "paymentMethodRef.id": text("CAST(NULL AS VARCHAR)"),
    "paymentMethodRef.name": text("CAST(NULL AS VARCHAR)"),
    "dueDate": date("CAST(NULL AS TIMESTAMP)"),
    **_CREATED,
    **_DATES,
}
TRANSACTIONS: Fields = {
    "id": text("v.payment_id"),
    "totalAmount": number("v.amount"),
    "currency": text("v.currency"),
    "type": text("v.transaction_type"),
    "subType": text("v.sub_type"),
    "transactionSourceRef": _OBJECT,
    "transactionSourceRef.id": text("v.order_id"),
    "transactionSourceRef.type": text("CAST('Order' AS VARCHAR)"),
    **_CREATED,
    **_DATES,
}
CUSTOMERS: Fields = {
    "id": text("v.record_id"),
    "customerName": text("v.name"),
    "emailAddress": _text_in_doc("emailAddress"),
    "phone": _text_in_doc("phone"),
    "defaultCurrency": _text_in_doc("defaultCurrency"),
    "note": _text_in_doc("note"),
    "addresses": _LIST,
    **_CREATED,
    **_DATES,
}
LOCATIONS: Fields = {
    "id": text("v.record_id"),
    "name": text("v.name"),
    "address": _OBJECT,
    **{
        f"address.{part}": _text_in_doc(f"address.{part}")
        for part in ("type", "line1", "line2", "city", "region", "country", "postalCode")
    },
    **_DATES,
}
PRODUCTS: Fields = {
    "id": text("v.record_id"),
    "name": text("v.name"),
    "description": _text_in_doc("description"),
    "categorization": _text_in_doc("categorization"),
    "isGiftCard": _boolean_in_doc("isGiftCard"),
    "status": _text_in_doc("status"),
    "variants": _LIST,
    "productCategoryRefs": _LIST,
    **_CREATED,
    **_DATES,
}
PAYMENT_METHODS: Fields = {
    "id": text("v.record_id"),
    "name": text("v.name"),
    "status": _text_in_doc("status"),
    **_DATES,
}
TAX_COMPONENTS: Fields = {
    "id": text("v.record_id"),
    "name": text("v.name"),
    "rate": _number_in_doc("rate"),
    "isCompound": _boolean_in_doc("isCompound"),
    **_DATES,
}
PRODUCT_CATEGORIES: Fields = {
    "id": text("v.record_id"),
    "name": text("v.name"),
    "hasChildren": _boolean_in_doc("hasChildren"),
    "ancestorRefs": _LIST,
    **_DATES,
}
DISPUTES: Fields = {
    "id": text("v.record_id"),
    "currency": _text_in_doc("currency"),
    "totalAmount": _number_in_doc("totalAmount"),
    "status": _text_in_doc("status"),
    "reason": _text_in_doc("reason"),
    "dueDate": date(f"TRY_CAST({_doc('dueDate')} AS TIMESTAMP)"),
    "disputedTransactions": _LIST,
    **_CREATED,
    **_DATES,
}
# Small lists that live in memory: no SQL, the same language (see query_rows).
COMPANIES: Fields = {
    "id": text(""),
    "name": text(""),
    "description": text(""),
    "redirect": text(""),
    "created": date(""),
    "lastSync": date(""),
    "createdByUserName": text(""),
    "tags": _OBJECT,
    # Codat's one exception: on companies a path reaches into a list and means "any of them".
    "dataConnections": _LIST,
    "dataConnections.id": text(""),
    "dataConnections.status": text(""),
    "dataConnections.platformName": text(""),
    "dataConnections.sourceType": text(""),
    "dataConnections.integrationKey": text(""),
    "dataConnections.created": date(""),
    "dataConnections.lastSync": date(""),
}
CONNECTIONS: Fields = {
    "id": text(""),
    "integrationId": text(""),
    "integrationKey": text(""),
    "sourceId": text(""),
    "sourceType": text(""),
    "platformName": text(""),
    "linkUrl": text(""),
    "status": text(""),
    "created": date(""),
    "lastSync": date(""),
    "dataConnectionErrors": _LIST,
}
HISTORY: Fields = {
    "id": text(""),
    "companyId": text(""),
    "connectionId": text(""),
    "dataType": text(""),
    "status": text(""),
    "statusDescription": text(""),
    "requested": date(""),
    "completed": date(""),
    "errorMessage": text(""),
    "progress": number(""),
    "isCompleted": Field(Kind.BOOLEAN, ""),
    "isErrored": Field(Kind.BOOLEAN, ""),
}


class UnknownPropertyError(ValueError):
    """No such property, or one that cannot be asked for. The message is the end of Codat's sentence."""


def resolve(fields: Fields, path: str, model: str) -> tuple[str, Field]:
    """The exact name and field for what a client wrote (case ignored). Raises UnknownPropertyError."""
    field = fields.get(path)
    if field is None:
        lowered = path.lower()
        path, field = next(((n, f) for n, f in fields.items() if n.lower() == lowered), (path, None))
    if field is None:
        head = path.rsplit(".", 1)[0]
        while "." in head:
            head = head.rsplit(".", 1)[0]
        parent = fields.get(head)
        if parent is not None and parent.kind is Kind.LIST and "." in path:
            raise UnknownPropertyError(
                f"Could not resolve property {path} on {model}: {head} is a list, "
                "and paths do not reach into lists"
            )
        raise UnknownPropertyError(f"Could not resolve property {path} on {model}")
    if field.kind is Kind.LIST:
        raise UnknownPropertyError(f"Could not resolve property {path} on {model}: it is a list")
    if field.kind is Kind.OBJECT:
        raise UnknownPropertyError(f"Could not resolve property {path} on {model}: name one of its members")
    return path, field
