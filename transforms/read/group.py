"""From raw JSON to a group of records, each once.

A charge may be seen in the list of charges and in ``past_charges`` of its order, a refund in the list of refunds and
inside its charge (docs.clover.com, Get charges: the ten most recent). The view from the list wins member by member;
what only the embedded view says is kept. A refund that any view calls void is void. Whose a record is, the caller has
decided: an embedded view of a record that belongs elsewhere is left out.

Nothing here raises: a record that cannot be read becomes an issue ``unreadable`` and is left out of the group.
Several records under one id in the same list are one record; the one with the later text in canonical JSON wins, so
that the order of rows never matters.
"""

from collections.abc import Container, Iterable, Iterator, Mapping
from typing import Any, TypeVar

import orjson
from pydantic import ValidationError

from schemas.clover import Charge, Order, Refund
from schemas.loose import LooseModel, rows
from schemas.regular import read_regular
from transforms.model import Issue, OrderGroup, Severity

Row = Mapping[str, Any]
_Model = TypeVar("_Model", bound=LooseModel)


def parse_group(
    order: Row | None, charges: Iterable[Row], refunds: Iterable[Row], *, elsewhere: Container[str] = ()
) -> tuple[OrderGroup, list[Issue]]:
    """The group, and an issue of severity error for every record that could not be read. Never raises.

    elsewhere: ids of records that belong to another order, though this one or a charge of it shows them.
    """
    issues: list[Issue] = []
    charge_list, refund_list = _listed(charges), _listed(refunds)
    named = [_id(order), *(_id(row, "order") or _id(row) for row in charge_list)]
    order_id = next((name for name in named if name), "")
    parsed_order = None if order is None else _read(Order, order, "order", order_id, issues)
    past_charges = _own(_members(order, "past_charges"), "order", order_id, elsewhere)
    charge_rows = _merged(charge_list, past_charges, "charge", order_id, issues)
    refund_rows = _merged(
        refund_list,
        (
            {"charge": row["id"], **refund} if isinstance(refund, dict) else refund
            for row in charge_rows
            for refund in _own(_members(row, "refunds"), "charge", row["id"], elsewhere)
        ),
        "refund",
        order_id,
        issues,
    )
    parsed_charges = [_read(Charge, row, "charge", order_id, issues) for row in charge_rows]
    parsed_refunds = [_read(Refund, row, "refund", order_id, issues) for row in refund_rows]
    group = OrderGroup(
        order=parsed_order,
        charges=tuple(charge for charge in parsed_charges if charge is not None),
        refunds=tuple(refund for refund in parsed_refunds if refund is not None),
    )
    return group, issues


def _read(model: type[_Model], row: object, kind: str, order_id: str, issues: list[Issue]) -> _Model | None:
    try:
        return read_regular(model, row) or model.model_validate(row)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        # Keys inside free-form members could be anything, so only the names of fields of ours are told.
        where = ".".join(str(part) for part in first["loc"]) or "the record"
        detail = f"{kind} cannot be read: {where}: {first['msg']}"
    except (RecursionError, OverflowError, TypeError, ValueError):
        detail = f"{kind} cannot be read"
    issues.append(_unreadable(kind, _id(row), order_id, detail))
    return None


def _unreadable(kind: str, record_id: str | None, order_id: str, detail: str) -> Issue:
    return Issue(
        code="unreadable",
        severity=Severity.ERROR,
        detail=detail,
        order_id=order_id,
        record_kind=kind,
        record_id=record_id,
    )


def _id(row: object, name: str = "id") -> str | None:
    value = row.get(name) if isinstance(row, (dict, Mapping)) else None
    if type(value) is str:
        return value[:200] or None
    if isinstance(value, Mapping):
        value = value.get("id")
    if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
        return str(value)[:200] or None
    return None


def _members(row: object, name: str) -> list[Any]:
    found = row.get(name) if isinstance(row, (dict, Mapping)) else None
    if found is not None and type(found) is not list:
        found = rows(found)
    return found if isinstance(found, list) else []


def _own(
    members: Iterable[object], owner: str, owner_id: object, elsewhere: Container[str]
) -> Iterator[object]:
    """Embedded records without those that belong elsewhere, by the caller's word or their own."""
    for member in members:
        if _id(member) not in elsewhere and _id(member, owner) in (None, owner_id):
            yield member


def _listed(found: object) -> list[object]:
    return list(found) if isinstance(found, Iterable) and not isinstance(found, str | bytes | Mapping) else []


def _merged(
    listed: list[object], embedded: Iterable[object], kind: str, order_id: str, issues: list[Issue]
) -> list[dict[str, Any]]:
    """Every record once, in the order of their ids; embedded views first, so that listed ones overwrite them."""
    embedded = list(embedded)
    if not embedded:
        if not listed:
            return []
        if len(listed) == 1 and type(listed[0]) is dict and _id(listed[0]) is not None:
            return [listed[0]]
    by_id: dict[str, list[dict[str, Any]]] = {}
    seen_in_list: dict[str, list[dict[str, Any]]] = {}
    for views, found in ((by_id, embedded), (seen_in_list, listed)):
        for row in found:
            record_id = _id(row)
            if not isinstance(row, dict) or record_id is None:
                # An embedded bare id is a pointer to a record that is read elsewhere.
                if views is seen_in_list or isinstance(row, dict):
                    issues.append(
                        _unreadable(kind, None, order_id, f"{kind} cannot be read: id: Field required")
                    )
                continue
            views.setdefault(record_id, []).append(row)
    merged = []
    for record_id in sorted(by_id.keys() | seen_in_list.keys()):
        all_views = [*_sorted(by_id.get(record_id, [])), *_sorted(seen_in_list.get(record_id, []))]
        merged.append(all_views[0] if len(all_views) == 1 else _overlaid(all_views))
    return merged


def _sorted(views: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return views if len(views) < 2 else sorted(views, key=_text)


def _text(row: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(row, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS)
    except (TypeError, ValueError, RecursionError):
        return repr(sorted(row, key=str)).encode()


def _overlaid(views: list[dict[str, Any]]) -> dict[str, Any]:
    record: dict[str, Any] = {}
    for view in views:
        record.update({name: value for name, value in view.items() if value is not None and value != ""})
    if any(view.get("object") == "void_on_refund" for view in views):
        record["object"] = "void_on_refund"
    if any(view.get("voided") in (True, "true") for view in views):
        record["voided"] = True
    return record
