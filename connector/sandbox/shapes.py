"""The forms Clover's answers take where its documentation and its recorded answers disagree.

Each switch is independent. ``mixed`` lets every record choose by its id, in about the proportions seen in
the wild, so that a record always reads the same; any other value holds for all records.
"""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Shapes:
    """Defaults: sparse rows, a repeated cursor row, ``has_more`` missing at times, contradictions mixed in.

    cursor: whether the cursor's own row is repeated. has_more: ``overlong`` says true after the last full
    page, which an empty page follows. listing: ``nearly`` leaves some rows out of order. charge_rows: whether
    list rows of charges name their order. amount_captured:
    ``documented`` is on captured pre-authorisations only. tax: ``rates`` is neither line nor field.
    quantities: ``collapsed`` drops them all, so many orders cannot add up. window_limit: what happens to
    a window of more than 90 days. visibility_lag_seconds: how long after its creation a record is listed.
    unknown_cursor: status for a cursor that is gone, ``restart`` begins again with the newest.
    not_found: ``under_400`` answers 404's body under 400. permission_status: what a missing permission gets.
    """

    cursor: Literal["inclusive", "exclusive"] = "inclusive"
    has_more: Literal["present", "missing", "sometimes", "overlong"] = "sometimes"
    envelope: Literal["data", "elements", "bare"] = "data"
    listing: Literal["newest_first", "nearly"] = "nearly"
    charge_rows: Literal["full", "without_order", "mixed"] = "full"
    order_rows: Literal["sparse", "full", "mixed"] = "sparse"
    refund_rows: Literal["sparse", "full", "mixed"] = "sparse"
    captured: Literal["true", "false", "string", "mixed"] = "mixed"
    amount_captured: Literal["documented", "always", "missing"] = "documented"
    paid: Literal["present", "missing", "mixed"] = "mixed"
    order_amount: Literal["inclusive", "exclusive", "with_tip", "mixed"] = "mixed"
    charge_tip: Literal["outside", "inside", "mixed"] = "mixed"
    item_types: Literal["present", "missing", "mixed"] = "mixed"
    item_amount: Literal["unit", "total", "mixed"] = "mixed"
    quantities: Literal["present", "collapsed"] = "present"
    tax: Literal["line", "field", "both", "rates", "mixed"] = "mixed"
    discount_sign: Literal["negative", "positive", "mixed"] = "mixed"
    surcharge: Literal["elements", "array", "keyed"] = "elements"
    surcharge_on_order: bool = True
    embedded_refunds: Literal["present", "missing", "mixed"] = "mixed"
    amount_returned: Literal["all", "items_only"] = "all"
    loose_types: Literal["never", "rarely", "always"] = "rarely"
    absent: Literal["omitted", "null"] = "omitted"
    currency_case: Literal["documented", "lower", "upper"] = "documented"
    window_limit: Literal["refuse", "shorten"] | None = None
    visibility_lag_seconds: int = 0
    unknown_cursor: Literal[404, 400, "restart"] = 404
    not_found: Literal["documented", "under_400"] = "documented"
    permission_status: Literal[403, 401] = 403


PLAIN = Shapes(
    cursor="exclusive",
    has_more="present",
    listing="newest_first",
    order_rows="full",
    refund_rows="full",
    captured="true",
    paid="present",
    order_amount="inclusive",
    charge_tip="outside",
    item_types="present",
    item_amount="unit",
    tax="both",
    discount_sign="negative",
    embedded_refunds="present",
    loose_types="never",
)
"""No contradictions at all: a Clover that keeps to the better half of its documentation."""
