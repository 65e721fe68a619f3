"""Companies: list, get, create, update, delete, as Codat's platform API has them."""

import re
import uuid
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator

from connector.api.answer import examples
from connector.api.answer.body import json_answer
from connector.api.answer.companies import (
    company_view,
    one_company,
    visible_companies,
)
from connector.api.answer.errors import bad_query, forbidden
from connector.api.answer.openapi import documented
from connector.api.answer.params import CompanyId, Listing
from connector.api.answer.small_lists import SmallList
from connector.api.query import fields
from connector.api.query.fields import Field as Property
from connector.api.query.fields import Kind
from connector.api.query.rows import Row, matching
from connector.api.query.sql import QueryError
from connector.api.state import Call, Reads, Writes
from connector.control import companies as api_companies
from connector.control import webhooks as api_webhooks
from connector.control.companies import CompanyRow
from connector.control.file import stamp
from connector.control.pairs import give_up_pairs
from schemas.platform import Company
from schemas.wire import encode, members

router = APIRouter(tags=["Companies and connections"])
COMPANIES = SmallList(fields.COMPANIES, "Company")
_NOT_IN_NAMES = re.compile(r"[^\w \-'&@.,?!]|_")

Tags = dict[
    Annotated[str, StringConstraints(min_length=1, max_length=27)],
    Annotated[str, StringConstraints(max_length=100)],
]


class CompanyBody(BaseModel):
    """What a client says of a company. Characters Codat does not take in names are dropped."""

    model_config = ConfigDict(extra="ignore")

    name: Annotated[str, StringConstraints(max_length=500)] = Field(examples=["Corner Shop"])
    description: Annotated[str, StringConstraints(max_length=2000)] | None = None
    tags: Annotated[Tags, Field(max_length=10)] | None = None

    @field_validator("name")
    @classmethod
    def _named(cls, value: str) -> str:
        name = _NOT_IN_NAMES.sub("", value).strip()
        if not name:
            raise ValueError("has no letter or digit that a name may hold")
        return name


class CompanyPatch(CompanyBody):
    """The same, all of it optional."""

    name: Annotated[str, StringConstraints(max_length=500)] = ""

    @field_validator("name")
    @classmethod
    def _named(cls, value: str) -> str:
        return _NOT_IN_NAMES.sub("", value).strip()


class AnyTag(dict[str, Property]):
    """Tags are named by clients: any name can be asked for."""

    def get(self, name: str, default: Any = None) -> Any:  # noqa: ARG002 - dict's signature
        return Property(Kind.TEXT, "")


@router.get(
    "/companies",
    summary="List companies",
    description="The companies this key may see, with their connections.",
    operation_id="list-companies",
    **documented(examples.page_of(examples.COMPANY, "/companies"), 400),
)
def list_companies(
    call: Reads,
    request: Request,
    asked: Listing,
    tags: Annotated[
        str | None, Query(description="The same language over tags.", examples=["region=us"])
    ] = None,
) -> Response:
    """The one list whose paths reach into a list.

    ``dataConnections.status=PendingAuth`` means any of them.
    """
    companies = visible_companies(call)
    if tags:
        try:
            # "@" is no name a query can hold, so no tag can stand for the id.
            kept = matching([{**c.tags, "@": c.id} for c in companies], tags, AnyTag(), "Tags")
        except QueryError as exc:
            raise bad_query(exc.text, exc.position, "tags") from exc
        chosen = {row["@"] for row in kept}
        companies = [c for c in companies if c.id in chosen]
    rows = [members(company) for company in companies]
    return COMPANIES.page(call, request, rows, asked)


@router.post(
    "/companies",
    summary="Create a company",
    description="Needs a key with the scope write that may see all companies.",
    operation_id="create-company",
    **documented(examples.COMPANY, 400),
)
def create_company(call: Writes, request: Request, body: CompanyBody) -> Response:
    """Codat answers 200, not 201."""
    if call.reader.companies is not None:
        raise forbidden("write for all companies")
    row = CompanyRow(
        company_id=str(uuid.uuid4()),
        name=body.name,
        description=body.description,
        tags=body.tags or {},
        created=stamp(call.now()),
        created_by=call.reader.label,
        origin="api",
    )
    api_companies.create_company(call.state.control, row)
    call.company_id = row.company_id
    company = company_view(call, row, [], {})
    tell(call, "company.created", company, members(company))
    return json_answer(request, encode(company))


@router.get(
    "/companies/{companyId}",
    summary="Get a company",
    description="One company with its connections.",
    operation_id="get-company",
    **documented(examples.COMPANY),
)
def get_company(call: Reads, request: Request, company_id: CompanyId) -> Response:
    """404 for one that is absent and for one out of the key's sight, alike."""
    return json_answer(request, encode(one_company(call, company_id)))


@router.put(
    "/companies/{companyId}",
    summary="Replace a company",
    description="Name, description and tags as given; what is left out is removed.",
    operation_id="replace-company",
    **documented(examples.COMPANY, 400),
)
def replace_company(call: Writes, request: Request, company_id: CompanyId, body: CompanyBody) -> Response:
    """The full form."""
    row = call.company(company_id)
    changed = replace(row, name=body.name, description=body.description, tags=body.tags or {})
    api_companies.update_company(call.state.control, changed)
    return json_answer(request, encode(one_company(call, company_id)))


@router.patch(
    "/companies/{companyId}",
    summary="Update a company",
    description="Only what is given changes.",
    operation_id="update-company",
    **documented(examples.COMPANY, 400),
)
def update_company(call: Writes, request: Request, company_id: CompanyId, body: CompanyPatch) -> Response:
    """The partial form."""
    row = call.company(company_id)
    given = body.model_fields_set
    changed = replace(
        row,
        name=body.name or row.name,
        description=body.description if "description" in given else row.description,
        tags=(body.tags or {}) if "tags" in given else row.tags,
    )
    api_companies.update_company(call.state.control, changed)
    return json_answer(request, encode(one_company(call, company_id)))


@router.delete(
    "/companies/{companyId}",
    summary="Delete a company",
    description="The company and its connections leave the API, and the tokens of its merchants are removed. Of a"
    " company that was made through the API the scheduler erases everything else within minutes; of one in the"
    " operator's configuration his `connector forget` does.",
    operation_id="delete-company",
    **documented(None, status=204, about="Deleted."),
)
def delete_company(call: Writes, company_id: CompanyId) -> Response:
    """204 without body."""
    company = one_company(call, company_id)
    api_companies.delete_company(call.state.control, company_id, now=call.now())
    give_up_pairs(call.state.control, [connection.id for connection in company.data_connections])
    tell(call, "company.deleted", company, members(company))
    return Response(status_code=204)


def tell(call: Call, event_type: str, company: Company, payload: Row) -> None:
    """Note an event for the webhooks of a company."""
    api_webhooks.note_event(
        call.state.control,
        api_webhooks.event_id(event_type, company.id, call.correlation_id),
        event_type,
        {"referenceCompany": reference(company), **payload},
        now=call.now(),
        company_id=company.id,
        tags=company.tags,
    )


def reference(company: Company) -> Row:
    """A company as events name it."""
    about = {"id": company.id, "name": company.name, "description": company.description}
    return {k: v for k, v in about.items() if v is not None} | {
        "links": {"portal": company.redirect},
        "tags": dict(company.tags),
    }
