"""One body for every error, Codat's, with a correlation id that is also in a header and in the log.

Codat's own clients raise their typed error only when the body is ``application/json`` of this shape and the
status is one the operation documents; they retry 408, 429 and every 5XX for an hour. So nothing a client
cannot wait out is a 5XX here. Source: docs.codat.io, "Errors".
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from schemas.wire import encode

SERVICE = "PublicApi"
QUERY_SERVICE = "ClientsApi"
TRANSIENT = frozenset({429, 503})


@dataclass(slots=True)
class ApiError(Exception):
    """An answer that is an error. ``details``: what was wrong one by one, (where, what) pairs."""

    status: int
    error: str
    service: str = SERVICE
    code: int = 0
    details: tuple[tuple[str, str], ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.status} {self.error}"


def body(error: ApiError, correlation_id: str) -> bytes:
    """The JSON of an error."""
    document: dict[str, object] = {
        "statusCode": error.status,
        "service": error.service,
        "error": error.error,
        "correlationId": correlation_id,
    }
    if error.details:
        document["validation"] = {
            "errors": [
                {"itemId": where, "message": what, "validatorName": "RequestValidator"}
                for where, what in error.details
            ],
            "warnings": [],
        }
    document["canBeRetried"] = "True" if error.status in TRANSIENT else "Unknown"
    document["detailedErrorCode"] = error.code
    return encode(document)


def bad_query(sentence: str, position: int, parameter: str) -> ApiError:
    """400 that shows the character, counted from 1, where the query or orderBy went wrong."""
    return ApiError(
        400,
        f"{sentence.rstrip('.')} (at character {position} of {parameter}).",
        service=QUERY_SERVICE,
        details=((parameter, f"character {position}"),),
    )


def unauthorized() -> ApiError:
    """401 for a missing, wrong, expired or revoked key: always the same words."""
    return ApiError(401, "Unauthorized", headers={"WWW-Authenticate": 'Basic realm="connector"'})


def forbidden(scope: str) -> ApiError:
    """403: the key is good, but does not carry the scope; says nothing about what exists."""
    return ApiError(403, f"Forbidden: this key does not have the scope {scope}.", code=220)


def no_company(company_id: str) -> ApiError:
    """404, the same for a company that does not exist and one the key may not see."""
    return ApiError(404, f"No company was found with ID {company_id}", service=QUERY_SERVICE)


def no_connection(connection_id: str) -> ApiError:
    """404 for a connection that is not there, not this company's, or deleted."""
    return ApiError(404, f"Data connection {connection_id} not found", service=QUERY_SERVICE, code=105)


def no_record(data_type: str, record_id: str) -> ApiError:
    """404 for a record that is not there."""
    return ApiError(404, f"No data available for {data_type} for ID {record_id}", code=110)


def never_synced() -> ApiError:
    """409 until the first sync has succeeded, never after."""
    return ApiError(409, "The data set has not been requested.", code=101)


def unreadable() -> ApiError:
    """503: the store cannot be read or written now. What is wrong with it is the operator's, and in the log."""
    return ApiError(
        503, "The data cannot be read at the moment; try again later.", headers={"Retry-After": "30"}
    )


def busy(seconds: int, words: str = "Too many requests") -> ApiError:
    """429 with the whole seconds to wait."""
    return ApiError(429, words, headers={"Retry-After": str(max(1, seconds))})
