"""What Codat's platform says about companies, connections, the state of their data, pages and errors.

Names, types and closed enums as in Codat's platform OpenAPI (docs.codat.io, Platform API reference). Members
that are None are left out on the wire; an enum value outside these lists would make Codat's own clients refuse
the whole answer. Ids are strings; instants are strings ``YYYY-MM-DDTHH:MM:SSZ``.
"""

from enum import StrEnum

from pydantic import Field

from schemas.base import CodatModel


class ConnectionStatus(StrEnum):
    """PendingAuth: not linked yet. Deauthorized: access was lost. Unlinked: we gave it up."""

    PENDING_AUTH = "PendingAuth"
    LINKED = "Linked"
    UNLINKED = "Unlinked"
    DEAUTHORIZED = "Deauthorized"


class SourceType(StrEnum):
    """The kind of books behind a connection."""

    ACCOUNTING = "Accounting"
    BANKING = "Banking"
    BANK_FEED = "BankFeed"
    COMMERCE = "Commerce"
    EXPENSE = "Expense"
    OTHER = "Other"
    UNKNOWN = "Unknown"


class DataType(StrEnum):
    """Codat's names of the commerce data types served here."""

    COMPANY_INFO = "commerce-companyInfo"
    CUSTOMERS = "commerce-customers"
    DISPUTES = "commerce-disputes"
    LOCATIONS = "commerce-locations"
    ORDERS = "commerce-orders"
    PAYMENT_METHODS = "commerce-paymentMethods"
    PAYMENTS = "commerce-payments"
    PRODUCT_CATEGORIES = "commerce-productCategories"
    PRODUCTS = "commerce-products"
    TAX_COMPONENTS = "commerce-taxComponents"
    TRANSACTIONS = "commerce-transactions"


class DatasetStatus(StrEnum):
    """Where one read of one data type stands."""

    INITIAL = "Initial"
    QUEUED = "Queued"
    FETCHING = "Fetching"
    MAP_QUEUED = "MapQueued"
    MAPPING = "Mapping"
    COMPLETE = "Complete"
    FETCH_ERROR = "FetchError"
    MAP_ERROR = "MapError"
    INTERNAL_ERROR = "InternalError"
    PROCESSING_QUEUED = "ProcessingQueued"
    PROCESSING = "Processing"
    PROCESSING_ERROR = "ProcessingError"
    VALIDATION_QUEUED = "ValidationQueued"
    VALIDATING = "Validating"
    VALIDATION_ERROR = "ValidationError"
    AUTH_ERROR = "AuthError"
    CANCELLED = "Cancelled"
    NOT_SUPPORTED = "NotSupported"
    RATE_LIMIT_ERROR = "RateLimitError"
    PERMISSIONS_ERROR = "PermissionsError"
    PREREQUISITE_NOT_MET = "PrerequisiteNotMet"


class DataConnectionError(CodatModel):
    """Why a connection does not work. ``status_code`` is a string on Codat's wire."""

    status_code: str | None = None
    status_text: str | None = None
    error_message: str | None = None
    errored_on_utc: str | None = None
    status: str | None = None
    resolved_on_utc: str | None = None


class Connection(CodatModel):
    """One source of one company. ``last_sync`` is absent before the first sync."""

    id: str
    integration_id: str
    integration_key: str
    source_id: str
    source_type: SourceType
    platform_name: str
    link_url: str
    status: ConnectionStatus
    created: str
    last_sync: str | None = None
    data_connection_errors: list[DataConnectionError] | None = None


class CompanyReference(CodatModel):
    """A company named by another."""

    id: str
    name: str


class Company(CodatModel):
    """A business whose data is shared."""

    id: str
    name: str
    description: str | None = None
    redirect: str
    last_sync: str | None = None
    created: str | None = None
    created_by_user_name: str | None = None
    data_connections: list[Connection] = Field(default_factory=list)
    products: list[str] = Field(default_factory=list)
    tags: dict[str, str] = Field(default_factory=dict)
    reference_parent_company: CompanyReference | None = None
    reference_subsidiary_companies: list[CompanyReference] = Field(default_factory=list)


class DataStatus(CodatModel):
    """How current one data type of a company is."""

    data_type: DataType
    current_status: DatasetStatus
    last_successful_sync: str | None = None
    latest_sync_id: str | None = None
    latest_successful_sync_id: str | None = None


class PullOperation(CodatModel):
    """One read of one data type. ``progress`` in percent; ``is_completed`` only on success."""

    id: str
    company_id: str
    connection_id: str
    data_type: DataType
    status: DatasetStatus
    status_description: str | None = None
    error_message: str | None = None
    requested: str
    completed: str | None = None
    progress: int
    is_completed: bool
    is_errored: bool


class Link(CodatModel):
    """Relative to the host."""

    href: str


class Links(CodatModel):
    """``self`` is the list without its query, ``current`` this page; the others only where there is one."""

    self_: Link = Field(alias="self")
    current: Link
    next: Link | None = None
    previous: Link | None = None


class ValidationItem(CodatModel):
    """One thing wrong with a request."""

    item_id: str | None = None
    message: str | None = None
    validator_name: str | None = None


class Validation(CodatModel):
    """What was wrong, one by one."""

    errors: list[ValidationItem] | None = None
    warnings: list[ValidationItem] | None = None


class ErrorMessage(CodatModel):
    """The one body of every error. ``can_be_retried`` is the text True, False or Unknown, never a boolean."""

    status_code: int
    service: str
    error: str
    correlation_id: str
    validation: Validation | None = None
    can_be_retried: str
    detailed_error_code: int
