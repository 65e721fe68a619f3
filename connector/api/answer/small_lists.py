"""Lists that are held in memory: companies, connections, integrations, the history of reads."""

from collections.abc import Sequence
from dataclasses import dataclass

from fastapi import Request, Response

from connector.api.answer.body import json_answer
from connector.api.answer.errors import bad_query
from connector.api.answer.paging import Linked, envelope
from connector.api.answer.params import Asked
from connector.api.query.fields import Fields
from connector.api.query.ordering import read_order
from connector.api.query.rows import Row, matching, ordered
from connector.api.query.sql import QueryError
from connector.api.state import Call
from schemas.wire import encode


@dataclass(frozen=True, slots=True)
class SmallList:
    """What can be asked of one. model: Codat's word in error messages. order: unless another is asked for."""

    known: Fields
    model: str
    order: str = "id"

    def page(self, call: Call, request: Request, rows: Sequence[Row], asked: Asked) -> Response:
        """A page of the rows: filtered, ordered, cut, wrapped. Raises ApiError 400 that shows the place."""
        try:
            kept = matching(rows, asked.query, self.known, self.model)
        except QueryError as exc:
            raise bad_query(exc.text, exc.position, "query") from exc
        try:
            order = read_order(asked.order_by or self.order, self.known, self.model)
        except QueryError as exc:
            raise bad_query(exc.text, exc.position, "orderBy") from exc
        shown = ordered(kept, order)[asked.page.offset : asked.page.offset + asked.page.size]
        call.rows = len(shown)
        text = ",".join(encode(row).decode() for row in shown)
        return json_answer(request, envelope(text, Linked.by(request, asked.page), len(kept)))
