"""Example answers for OpenAPI, of one invented shop. They add up: 54 + 10 - 27 + 6 = 43."""

from collections.abc import Mapping

from schemas.platform import DataType

Json = dict[str, object]

COMPANY_ID = "8a210b68-6988-11ed-a1eb-0242ac120002"
CONNECTION_ID = "2e9d2c44-f675-40ba-8049-353bfcb5e171"
_DATES: Json = {"modifiedDate": "2026-10-10T02:00:00Z", "sourceModifiedDate": "2026-10-09T09:12:00Z"}
_TAX: Json = {"taxComponentRef": {"id": "T20", "name": "Sales tax 20%"}, "rate": 9, "taxAmount": 9}
_TAX_BACK: Json = {**_TAX, "rate": -4.5, "taxAmount": -4.5}

PAYMENT: Json = {
    "id": "CH1",
    "amount": 74,
    "currency": "USD",
    "type": "OnlineCard",
    "status": "Paid",
    "paymentProvider": "clover",
    "createdDate": "2026-10-03T14:05:20Z",
    "modifiedDate": "2026-10-04T02:00:00Z",
    "sourceModifiedDate": "2026-10-03T14:05:20Z",
}
_REFUND: Json = {
    **PAYMENT,
    "id": "RF1",
    "amount": -27,
    "createdDate": "2026-10-09T09:12:00Z",
    **_DATES,
}


def _line(line_id: str, quantity: int, total: float, tax: float, taxes: list[Json], off: float) -> Json:
    return {
        "id": line_id,
        "quantity": quantity,
        "taxPercentage": 20 if tax else 0,
        "totalAmount": total,
        "totalTaxAmount": tax,
        "unitPrice": 25 if tax else 10,
        "taxes": taxes,
        "productRef": {"id": "P1", "name": "Mug"} if tax else {"id": "P2", "name": "Card"},
        "discountAllocations": [{"name": "Autumn", "totalAmount": off}] if off else [],
    }


ORDER: Json = {
    "id": "5K2XJ9T0ABCDE",
    "orderNumber": "1007",
    "country": "USA",
    "currency": "USD",
    "createdDate": "2026-10-03T14:05:09Z",
    "totalAmount": 43,
    "totalRefund": -27,
    "totalTaxAmount": 5.5,
    "totalDiscount": 2.5,
    "totalGratuity": 4,
    "orderLineItems": [
        _line("L1", 2, 54, 9, [_TAX], 5),
        _line("L2", 1, 10, 0, [], 0),
        _line("refund_L1", -1, -27, -4.5, [_TAX_BACK], -2.5),
    ],
    "payments": [PAYMENT, _REFUND],
    "serviceCharges": [
        {
            "description": "Shipping",
            "totalAmount": 6,
            "taxPercentage": 20,
            "taxAmount": 1,
            "taxes": [],
            "quantity": 1,
            "type": "Shipping",
        }
    ],
    "locationRef": {"id": "MERCHANT1", "name": "Corner Shop"},
    "customerRef": {"id": "C1", "name": "Ada B."},
    **_DATES,
}
_ADDRESS: Json = {"type": "Billing", "line1": "1 High Street", "city": "Springfield", "country": "USA"}
COMPANY_INFO: Json = {
    "companyName": "Corner Shop",
    "commercePlatformRef": "MERCHANT1",
    "addresses": [],
    "phoneNumbers": [],
    "webLinks": [],
    "baseCurrency": "USD",
    "accountBalances": [],
    "sourceUrls": {},
}
RECORDS: Mapping[DataType, Json] = {
    DataType.ORDERS: ORDER,
    DataType.PAYMENTS: PAYMENT,
    DataType.PAYMENT_METHODS: {"id": "card", "name": "Card", "status": "Active", **_DATES},
    DataType.CUSTOMERS: {
        "id": "C1",
        "customerName": "Ada B.",
        "emailAddress": "ada@example.com",
        "addresses": [_ADDRESS],
        "createdDate": "2026-10-03T14:05:09Z",
        **_DATES,
    },
    DataType.PRODUCTS: {
        "id": "P1",
        "name": "Mug",
        "isGiftCard": False,
        "variants": [],
        "productCategoryRefs": [],
        **_DATES,
    },
    DataType.PRODUCT_CATEGORIES: {
        "id": "CAT1",
        "name": "Tableware",
        "ancestorRefs": [],
        "hasChildren": False,
    },
    DataType.TRANSACTIONS: {
        "id": "CH1",
        "totalAmount": 74,
        "currency": "USD",
        "type": "Payment",
        "subType": "charge",
        "transactionSourceRef": {"id": "5K2XJ9T0ABCDE", "type": "Order"},
        "createdDate": "2026-10-03T14:05:20Z",
        **_DATES,
    },
    DataType.DISPUTES: {
        "id": "D1",
        "currency": "USD",
        "totalAmount": 74,
        "status": "Processing",
        "disputedTransactions": [{"id": "CH1", "type": "Payment"}],
    },
    DataType.LOCATIONS: {
        "id": "MERCHANT1",
        "name": "Corner Shop",
        "address": {**_ADDRESS, "type": "Inventory"},
        **_DATES,
    },
    DataType.TAX_COMPONENTS: {
        "id": "T20",
        "name": "Sales tax 20%",
        "rate": 0.2,
        "isCompound": False,
        **_DATES,
    },
}
CONNECTION: Json = {
    "id": CONNECTION_ID,
    "integrationId": "0f9a8ffd-3a6e-5c84-b0d9-58e84a1f2f5e",
    "integrationKey": "fqly",
    "sourceId": "4a7c2a7f-5d3b-5a70-8c8e-0e6f6b3f9d11",
    "sourceType": "Commerce",
    "platformName": "Clover",
    "linkUrl": f"http://127.0.0.1:8080/?companyId={COMPANY_ID}&connectionId={CONNECTION_ID}",
    "status": "Linked",
    "created": "2026-01-05T09:00:00Z",
    "lastSync": "2026-10-10T02:00:00Z",
}
COMPANY: Json = {
    "id": COMPANY_ID,
    "name": "Corner Shop",
    "redirect": f"http://127.0.0.1:8080/?companyId={COMPANY_ID}",
    "lastSync": "2026-10-10T02:00:00Z",
    "created": "2026-01-05T09:00:00Z",
    "dataConnections": [CONNECTION],
    "products": [],
    "tags": {"region": "us"},
    "referenceSubsidiaryCompanies": [],
}
DATA_STATUS: Json = {
    "commerce-orders": {
        "dataType": "commerce-orders",
        "lastSuccessfulSync": "2026-11-22T04:00:11Z",
        "currentStatus": "Complete",
        "latestSyncId": "d03b6979-eb3b-547a-a27a-13cf457a9f48",
        "latestSuccessfulSyncId": "d03b6979-eb3b-547a-a27a-13cf457a9f48",
    }
}
PULL_OPERATION: Json = {
    "id": "d03b6979-eb3b-547a-a27a-13cf457a9f48",
    "companyId": COMPANY_ID,
    "connectionId": CONNECTION_ID,
    "dataType": "commerce-orders",
    "status": "Complete",
    "requested": "2026-11-22T04:00:00Z",
    "completed": "2026-11-22T04:00:11Z",
    "progress": 100,
    "isCompleted": True,
    "isErrored": False,
}


def page_of(record: Json, path: str) -> Json:
    """A list of one record."""
    path = path.replace("{companyId}", COMPANY_ID).replace("{connectionId}", CONNECTION_ID)
    return {
        "results": [record],
        "pageNumber": 1,
        "pageSize": 100,
        "totalResults": 1,
        "_links": {"self": {"href": path}, "current": {"href": f"{path}?page=1&pageSize=100"}},
    }
