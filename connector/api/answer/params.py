"""The parameters routes share, each with the words and examples its OpenAPI shows."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Path, Query

from connector.api.answer.paging import DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE, PIN, PageRequest

CompanyId = Annotated[
    str,
    Path(
        alias="companyId",
        description="The company.",
        examples=["8a210b68-6988-11ed-a1eb-0242ac120002"],
    ),
]
ConnectionId = Annotated[
    str,
    Path(
        alias="connectionId",
        description="The connection of the company.",
        examples=["2e9d2c44-f675-40ba-8049-353bfcb5e171"],
    ),
]
PageNumber = Annotated[
    int, Query(alias="page", ge=1, le=1_000_000_000, description="Page to read, from 1.", examples=[1])
]
PageSize = Annotated[
    int,
    Query(
        alias="pageSize",
        ge=1,
        le=MAX_PAGE_SIZE,
        description="Records a page, 1 to 5000. Never clamped: anything else is a 400.",
        examples=[DEFAULT_PAGE_SIZE],
    ),
]
QueryText = Annotated[
    str | None,
    Query(
        alias="query",
        description=(
            "Codat's query language: `=` `!=` `~` `<` `>` `<=` `>=`, `&&`, `||`, `{ }`, dots into"
            " sub-objects; values need no quotes; under 2048 characters."
        ),
        examples=["modifiedDate>=2026-01-01 && totalAmount>100"],
    ),
]
OrderBy = Annotated[
    str | None,
    Query(
        alias="orderBy",
        description="One property; `-` before it for descending. Ties are broken by id.",
        examples=["-modifiedDate"],
    ),
]
PinnedTo = Annotated[
    int | None,
    Query(
        alias=PIN,
        ge=0,
        le=10**17,
        description=(
            "The snapshot that the first page came from; `next` and `previous` of a page carry it, so that pages"
            " fit together however long a client takes. Says nothing on page 1."
        ),
        examples=[42],
    ),
]
AsOf = Annotated[
    str | None,
    Query(
        alias="asOf",
        description="The state as it was known then: a snapshot id, or a time (UTC without zone).",
        examples=["2026-11-20T04:00:00Z"],
    ),
]
Epoch = Annotated[
    str | None,
    Query(
        alias="epoch",
        description=(
            "The epoch (`x-snapshot-epoch`) that the client's snapshot numbers are of. A 410 where the store was"
            " restored since, because later loads are numbered again then."
        ),
        examples=["0b8f6f7e-0c7b-4b1e-9d59-6a1f6a4f7c11"],
    ),
]


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of a list: which page of what, in which order."""

    page: PageRequest
    query: str | None
    order_by: str | None


# Coroutines, as all dependencies are: a function would go through the thread pool.
async def _paging(page: PageNumber = 1, page_size: PageSize = DEFAULT_PAGE_SIZE) -> PageRequest:
    return PageRequest(page, page_size)


async def _listing(
    page: PageNumber = 1,
    page_size: PageSize = DEFAULT_PAGE_SIZE,
    query: QueryText = None,
    order_by: OrderBy = None,
) -> Asked:
    return Asked(PageRequest(page, page_size), query, order_by)


Paging = Annotated[PageRequest, Depends(_paging)]
Listing = Annotated[Asked, Depends(_listing)]
