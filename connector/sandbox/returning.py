"""Events that give money back, and that take the giving back back: refunds, item returns, voids."""

from collections.abc import Iterator, Sequence
from typing import Literal, Unpack

from connector.sandbox.model import Charge, Item, Moment, Order, Refund, RefundState
from connector.sandbox.selling import Selling
from connector.sandbox.shares import half_up
from connector.sandbox.terms import GivenBack

Lines = Sequence[tuple[Item, int]]
_GOODS_SIDE = ("goods", "discount", "tax", "shipping", "overpayment", "unallocated")


class Returning(Selling):
    """Refunds by amount or by item, in full or in part, that succeed, wait, fail or are voided."""

    def refund(
        self,
        at: Moment,
        order_id: str | None = None,
        amount: int | None = None,
        *,
        items: Sequence[int | tuple[int, int]] | None = None,
        charge_id: str | None = None,
        **how: Unpack[GivenBack],
    ) -> str:
        """Gives money back and gives the refund's id (the first, where split tenders need several).

        Without ``amount`` and ``items``: all that is left, tip inside. amount: tip inside, no lines named; what it
        holds beyond the goods of its charge is the tip of that charge.
        items: positions of lines, or (position, units), returned whole with their share of discount and
        tax; as Clover does, the first such return gives the whole tip back too unless ``tip_back`` says
        how much. Raises ValueError where more would be given back than was taken.
        """
        status, tip_back = how.get("status", "succeeded"), how.get("tip_back")
        with self.happening(at) as at_ms:
            charges = self._refundable(order_id, charge_id)
            order = charges[0].order
            page = charges[0].page
            lines = _lines(order, items) if order is not None and items is not None else []
            room = sum(charge.refundable for charge in charges)
            kept_tip = self.books.balance(page, "tip")
            if lines:
                goods = sum(_line_money(item, units) for item, units in lines)
                tip = kept_tip if tip_back is None else tip_back
                total = goods + tip
            else:
                total = room if amount is None else amount
                left = sum(self.books.balance(page, account) for account in _GOODS_SIDE)
                beyond = sum(_beyond_goods(charge, part) for charge, part in _parted(charges, total))
                tip = min(kept_tip, max(beyond, total - left)) if tip_back is None else tip_back
            if not 0 < total <= room:
                raise ValueError(f"Cannot refund {total}: {room} is left to give back.")
            if status != "succeeded" and total > charges[0].refundable:
                raise ValueError("A refund over several charges must succeed.")
            refunds = self._share_out(at_ms, charges, total, tip, lines, how)
            if status == "succeeded":
                self._give_back(at_ms, refunds)
            self._note(at_ms, f"refund_{status}", page, refunds[0].id, total)
            return refunds[0].id

    def pay_again(self, at: Moment, order_id: str, *, tip: int = 0) -> str:
        """Pays once more for an order that was returned in full; the new charge's id."""
        with self.happening(at) as at_ms:
            order = self.orders.by_id[order_id]
            taken = [charge for charge in order.charges if charge.captured]
            if not taken or any(charge.refundable for charge in taken):
                raise ValueError(f"Order {order_id} is not returned in full.")
            order.settled_charges = len(order.charges)
            charge_id = self.charge(at_ms, order_id, outcome="authorized", tip=tip)
            self._book_sale(at_ms, order, charge_id)
            self._take(at_ms, self.charges.by_id[charge_id], order.owed)
            self.charges.by_id[charge_id].preauthorized = False
            self._touch(at_ms, order)
            return charge_id

    def void(self, at: Moment, charge_id: str, *, how: Literal["refund", "gone"] = "refund") -> str:
        """Takes a charge back before it settles; the id of the refund that shows it, or of the charge.

        how: Clover may show a void as a refund marked VOID, or the charge may simply be gone.
        """
        with self.happening(at) as at_ms:
            charge = self._in_state(charge_id, "captured")
            if charge.refunds:
                raise ValueError(f"Charge {charge_id} has refunds already; it cannot be voided.")
            page = charge.page
            self._note(at_ms, f"void_{how}", page, charge_id, charge.amount)
            if how == "refund":
                refund_id = self.refund(at_ms, charge_id=charge_id)
                self.refunds.by_id[refund_id].void = True
                return refund_id
            self.books.reverse(page, at_ms, charge_id)
            charge.state, charge.captured, charge.vanished = "voided", 0, True
            self.charges.remove(charge)
            if charge.order is not None:
                charge.order.charges.remove(charge)
                charge.order.paid_at = None
            self._touch(at_ms, charge.order, charge)
            return charge_id

    def succeed_refund(self, at: Moment, refund_id: str) -> None:
        """A pending refund went through."""
        with self.happening(at) as at_ms:
            refund = self._pending(refund_id)
            refund.state = "succeeded"
            self._give_back(at_ms, [refund])
            self._note(at_ms, "refund_succeeded", refund.charge.page, refund_id, refund.amount)

    def fail_refund(self, at: Moment, refund_id: str, *, state: RefundState = "failed") -> None:
        """A refund, pending or already succeeded, failed after all; the money is back with the shop."""
        with self.happening(at) as at_ms:
            refund = self.refunds.by_id[refund_id]
            self._undo(at_ms, refund)
            refund.state = state
            self._note(at_ms, f"refund_{state}", refund.charge.page, refund_id, refund.amount)

    def void_refund(
        self, at: Moment, refund_id: str, *, shown_as: Literal["object", "flag", "gone"] = "object"
    ) -> None:
        """Cancels a refund. shown_as: ``void_on_refund``, ``voided: true``, or no longer in the list."""
        with self.happening(at) as at_ms:
            refund = self.refunds.by_id[refund_id]
            self._undo(at_ms, refund)
            refund.voided_as = shown_as
            if shown_as == "gone":
                self.refunds.remove(refund)
            self._note(at_ms, "refund_voided", refund.charge.page, refund_id, refund.amount)

    def _refundable(self, order_id: str | None, charge_id: str | None) -> list[Charge]:
        """The charges that can give money back, the latest first."""
        if charge_id is not None:
            charges = [self.charges.by_id[charge_id]]
        else:
            charges = [charge for charge in reversed(self.order(order_id or "").charges) if charge.refundable]
        if not charges or not any(charge.refundable for charge in charges):
            raise ValueError(f"Nothing was taken for {charge_id or order_id} that could be given back.")
        return charges

    def _share_out(
        self, at_ms: int, charges: list[Charge], total: int, tip: int, lines: Lines, how: GivenBack
    ) -> list[Refund]:
        refunds: list[Refund] = []
        parted = list(_parted(charges, total))
        own = [0 if lines else _beyond_goods(charge, amount) for charge, amount in parted]
        spare = max(tip - sum(own), 0)
        for (charge, amount), least in zip(parted, own, strict=True):
            second = at_ms // 1000 * 1000
            given = sum(refund.surcharge for refund in charge.refunds if refund.counts)
            last = amount == charge.refundable
            refund = Refund(
                id=self._ids.next(),
                seq=self._number(),
                created=second,
                modified=second,
                charge=charge,
                amount=amount,
                tip=min(tip, least + spare, amount),
                surcharge=charge.surcharge - given
                if last
                else half_up(charge.surcharge * amount, charge.captured + charge.tip),
                state=how.get("status", "succeeded"),
                reason=how.get("reason"),
                lines=() if refunds else tuple(lines),
            )
            charge.refunds.append(refund)
            self.refunds.add(refund)
            self._touch(at_ms, charge.order, charge)
            refunds.append(refund)
            tip -= refund.tip
            spare -= refund.tip - min(least, refund.tip)
        return refunds

    def _give_back(self, at_ms: int, refunds: list[Refund]) -> None:
        """Books refunds made together as one entry under the first one's id."""
        first = refunds[0]
        page, order = first.charge.page, first.charge.order
        amount = sum(refund.amount for refund in refunds)
        tip = sum(refund.tip for refund in refunds)
        surcharge = sum(refund.surcharge for refund in refunds)
        accounts = {"cash": -amount - surcharge, "tip": -tip, "surcharge": -surcharge}
        if first.lines:
            for item, units in first.lines:
                value, discount, tax = _line_parts(item, units)
                accounts["goods"] = accounts.get("goods", 0) - value
                accounts["discount"] = accounts.get("discount", 0) + discount
                accounts["tax"] = accounts.get("tax", 0) - tax
                item.returned += units
        else:
            accounts |= self._parts(page, order, amount - tip)
        self.books.post(page, at_ms, first.id, accounts, returned=True)
        for refund in refunds:
            self._touch(at_ms, order, refund.charge)
            refund.modified = at_ms // 1000 * 1000

    def _parts(self, page: str, order: Order | None, amount: int) -> dict[str, int]:
        """What a refund of an amount, tip out, gives back of what was sold.

        Money taken beyond what was owed goes first. All that is left reverses every line and service charge.
        Else the lines are unknown: the tax share is in proportion, rounded half up, the rest unallocated.
        """
        parts = {account: -self.books.balance(page, account) for account in _GOODS_SIDE}
        if -sum(parts.values()) == amount and not parts["unallocated"]:
            return parts
        over = min(amount, -parts["overpayment"])
        rest = amount - over
        if order is None or not order.owed:
            return {"overpayment": -over, "unallocated": -rest}
        left = -sum(parts.values()) + parts["overpayment"]
        tax = -parts["tax"] if rest == left else half_up(rest * order.tax, order.owed)
        tax = min(tax, rest)
        return {"overpayment": -over, "tax": -tax, "unallocated": tax - rest}

    def _undo(self, at_ms: int, refund: Refund) -> None:
        """A refund no longer counts: its entry is reversed, its lines are sold again."""
        if refund.counts:
            page = refund.charge.page
            if not any(entry[1] == refund.id for entry in self.books.entries(page)):
                raise ValueError("One of several refunds made together cannot be undone alone.")
            self.books.reverse(page, at_ms, refund.id)
            for item, units in refund.lines:
                item.returned -= units
        refund.modified = at_ms // 1000 * 1000
        self._touch(at_ms, refund.charge.order, refund.charge)

    def _pending(self, refund_id: str) -> Refund:
        refund = self.refunds.by_id[refund_id]
        if refund.state != "pending":
            raise ValueError(f"Refund {refund_id} is {refund.state}, not pending.")
        return refund


def _lines(order: Order, items: Sequence[int | tuple[int, int]]) -> list[tuple[Item, int]]:
    lines = []
    for named in items:
        position, units = named if isinstance(named, tuple) else (named, None)
        item = order.items[position]
        units = item.quantity - item.returned if units is None else units
        if not 0 < units <= item.quantity - item.returned:
            raise ValueError(f"{item.name}: {units} cannot be returned.")
        lines.append((item, units))
    return lines


def _line_parts(item: Item, units: int) -> tuple[int, int, int]:
    """(value, discount share, tax share) of some units; all units together give exactly the line's."""
    before, after = item.returned, item.returned + units
    discount = half_up(item.discount * after, item.quantity) - half_up(item.discount * before, item.quantity)
    tax = half_up(item.tax * after, item.quantity) - half_up(item.tax * before, item.quantity)
    return item.price * units, discount, tax


def _line_money(item: Item, units: int) -> int:
    value, discount, tax = _line_parts(item, units)
    return value - discount + tax


def _parted(charges: list[Charge], total: int) -> Iterator[tuple[Charge, int]]:
    """Which charges give back how much of a total, the first as much as they can."""
    for charge in charges:
        part = min(total, charge.refundable)
        if part:
            yield charge, part
        total -= part


def _beyond_goods(charge: Charge, amount: int) -> int:
    """What of a refund of a charge is more than its goods that are left: its tip."""
    counted = [refund for refund in charge.refunds if refund.counts]
    goods = charge.captured - sum(refund.amount - refund.tip for refund in counted)
    tip = charge.tip - sum(refund.tip for refund in counted)
    return max(0, min(tip, amount - max(goods, 0)))
