"""Refund lines: which goods, service charges and tips a refund gave back.

What of a refund is tip is decided by its charge: a charge gives back its goods first, and what a refund holds beyond
them is that charge's surcharge or tip, at most what is left of either. So a charge of a split payment that is
refunded whole gives back its own tip, and never goods that another charge paid for. A refund that names no charge
draws on the tips of all.

Refunds are taken in time order against what is left of the sale. For each, the first that fits:

1. exactly the money collected beyond what was owed: ``Refund of Overpayment``;
2. exactly all that is left, with or without the tip (or a surcharge): every sale line not yet reversed is reversed,
   and every service charge has a line ``Refund of <its name>``;
3. items that Clover says were returned, if their amounts make up the refund, with or without the tip: one line each,
   ``refund_<line id>``, the price of the sale, a share of its discount and tax. Clover's ``amount_refunded`` of an
   item may be its price or what was paid for it; the one that makes up the refund is taken. What the refund holds
   beyond the goods is tip, at most the tip charged, then an amount without items;
4. otherwise an amount without items: one line ``refund_<refund id>`` whose tax is the refund times order tax over
   order total, halves up. The refund that returns the last of an order takes the tax that is left.

Money beyond what was owed goes back before goods do. A refund of more than is left reverses what is left, then the
tip, then surcharges; the rest is a line too, so that no refund is without a line, and is reported as beyond what was
captured. When part of the goods was already given back as an amount without items, nobody knows which, so the rest
goes back as an amount too; so does an order with a line below zero, whose reverse would not be a refund. Part of a
single unit goes back with quantity -1 at the price given back. A line given back twice carries ``_<refund id>`` the
second time.

An amount without items is of goods before it is of gift cards, which may have been spent: what goods do not explain any
more is a line of its own.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple

from msgspec import Struct

from schemas.commerce import TaxComponentRef
from schemas.money import divide_half_up, to_decimal
from transforms.order.line import Line, LineKind, effective_rate, unit_price
from transforms.order.service_charges import Charged, Fee
from transforms.order.sold import SoldLine, choices, paid_for, parts_of, price_of, proportional, whole_units


class GivenBack(Struct, frozen=True):
    """A refund that counts. amount: minor units, positive, without its surcharges (what for, minor units).

    charge_id: whose money it is; None where nobody says.
    """

    id: str
    amount: int
    surcharges: tuple[tuple[Charged, int], ...] = ()
    charge_id: str | None = None


class ChargeLeft(Struct):
    """What of a charge was not given back yet, minor units: what paid for goods, its tip, its surcharges."""

    goods: int
    tip: int
    surcharge: int


class FeeLeft(Struct):
    """A service charge and what of it was not given back yet."""

    fee: Fee
    total: int
    tax: int


class _Parts(NamedTuple):
    """What a refund takes of a line, minor units."""

    net: int
    tax: int
    discounts: list[tuple[str, int]]
    taxes: list[tuple[TaxComponentRef, int]]


@dataclass(slots=True)
class Returns:
    """The state of an order while its refunds are worked through. Minor units.

    tax_total over goods_total is the share of tax in an amount without items.
    """

    exponent: int
    goods_total: int
    tax_total: int
    sold: list[SoldLine] = field(default_factory=list)
    shipping: list[FeeLeft] = field(default_factory=list)
    surcharges: list[FeeLeft] = field(default_factory=list)
    overpaid: int = 0
    charges: dict[str, ChargeLeft] = field(default_factory=dict)
    goods: int = 0
    tax: int = 0
    lines: list[Line] = field(default_factory=list)
    estimates: list[tuple[str, int]] = field(default_factory=list)
    beyond: int = 0
    tip_returned: int = 0
    _unallocated: bool = False
    _fee_returned: int = 0
    _cards_back: int = 0
    _ids: set[str] = field(default_factory=set)

    def sell(
        self, lines: Iterable[tuple[Line, int, int]], shipping: Iterable[Fee], goods: int, tax: int
    ) -> None:
        """Goods go to the buyer. lines: (line, its list value, what Clover says was returned of that value)."""
        for line, value, returned in lines:
            self.lines.append(line)
            self._ids.add(line.id)
            self.sold.append(
                SoldLine(
                    line,
                    line.quantity,
                    line.net,
                    line.tax,
                    list(line.discounts),
                    list(line.taxes),
                    value,
                    returned,
                )
            )
        self.shipping += [FeeLeft(fee, fee.total, fee.tax) for fee in shipping]
        self.goods += goods
        self.tax += tax

    @property
    def tip(self) -> int:
        """The tips not given back yet, of all charges."""
        return sum(charge.tip for charge in self.charges.values())

    def give_back(self, refund: GivenBack) -> None:
        """Work through one refund: the goods, then the surcharges it names."""
        lines, tip = len(self.lines), self.tip_returned
        charge = self.charges.get(refund.charge_id or "")
        if charge is not None:
            charge.surcharge = max(charge.surcharge - sum(amount for _, amount in refund.surcharges), 0)
        if refund.amount > 0:
            self._give_back(refund, refund.amount)
            if charge is not None:
                charge.goods -= refund.amount - (self.tip_returned - tip) - self._fee_returned
        for charged, amount in refund.surcharges:
            self._surcharge(refund, charged, amount)
        for line in self.lines[lines:]:
            line.refund_id = refund.id

    def _give_back(self, refund: GivenBack, amount: int) -> None:
        self._fee_returned = 0
        if self.overpaid and amount == self.overpaid:
            self._overpayment(refund, amount)
            return
        left = max(self.goods, 0)
        surcharge = 0 if refund.surcharges else sum(fee.total for fee in self.surcharges)
        least_tip, least_fee = self._beyond_its_goods(refund, amount, surcharge)
        charge = self.charges.get(refund.charge_id or "")
        # Only a whole tip or surcharge tells that all goods went back; part of one may be a coincidence.
        tips = (0, charge.tip if charge is not None else 0, self.tip)
        fees = (0, min(charge.surcharge, surcharge) if charge is not None else 0, surcharge)
        for extra_tip, extra_fee, extra_over in _extras(tips, fees, self.overpaid):
            if extra_tip < least_tip or extra_fee < least_fee:
                continue
            if left and amount == left + extra_tip + extra_fee + extra_over:
                self._everything(refund)
                self._extras_back(refund, extra_tip, extra_fee, extra_over)
                return
        if self._known_items(refund, amount, least_tip, least_fee):
            return
        over = min(self.overpaid, amount - least_tip - least_fee)
        if over:
            self._overpayment(refund, over)
            amount -= over
        if amount - least_tip - least_fee < left:
            if amount - least_tip - least_fee:
                self._amount(refund, amount - least_tip - least_fee)
            self._extras_back(refund, least_tip, least_fee, 0)
        elif amount:
            if left:
                self._everything(refund)
            self._excess(refund, amount - left, surcharge, least_fee)

    def _beyond_its_goods(self, refund: GivenBack, amount: int, surcharge: int) -> tuple[int, int]:
        """(tip, surcharge) that a refund holds beyond what its charge took for goods."""
        charge = self.charges.get(refund.charge_id or "")
        if charge is None:
            return 0, 0
        beyond = max(amount - max(charge.goods, 0), 0)
        fee = min(charge.surcharge, surcharge)
        if beyond == fee:
            return 0, fee
        tip = min(beyond, charge.tip)
        return tip, min(beyond - tip, fee)

    def _excess(self, refund: GivenBack, excess: int, surcharge: int, least_fee: int = 0) -> None:
        tip = min(excess - least_fee, self.tip)
        fee = min(excess - tip, surcharge)
        self._extras_back(refund, tip, fee, 0)
        rest = excess - tip - fee
        if rest:
            self.beyond += rest
            self.lines.append(self._amount_line(f"refund_{refund.id}", refund, rest, 0))

    def _extras_back(self, refund: GivenBack, tip: int, fee: int, over: int) -> None:
        self._tip_back(refund, tip)
        for left in self.surcharges:
            part = min(left.total, fee)
            if part:
                self._surcharge(refund, left.fee.charged, part)
                self._fee_returned += part
                fee -= part
        if over:
            self._overpayment(refund, over)

    def _tip_back(self, refund: GivenBack, tip: int) -> None:
        """The tip of the refund's charge, then those of the others, the latest first."""
        self.tip_returned += tip
        own = self.charges.get(refund.charge_id or "")
        for charge in ([] if own is None else [own]) + list(reversed(self.charges.values())):
            part = min(charge.tip, tip)
            charge.tip -= part
            tip -= part

    def _surcharge(self, refund: GivenBack, charged: Charged, amount: int) -> None:
        if amount <= 0:
            return
        rest = amount
        for left in sorted(self.surcharges, key=lambda candidate: candidate.fee.charged != charged):
            part = min(left.total, rest)
            left.total -= part
            rest -= part
        self.beyond += rest
        name = f"Refund of {charged.name}"
        self.lines.append(self._amount_line(name, refund, amount, 0, kind="service_charge"))

    def _overpayment(self, refund: GivenBack, amount: int) -> None:
        self.overpaid -= amount
        self.lines.append(self._amount_line("Refund of Overpayment", refund, amount, 0, kind="overpayment"))

    def _everything(self, refund: GivenBack) -> None:
        """All that is left of goods and shipping."""
        if self._unallocated or any(sold.total < 0 for sold in self.sold):
            self._amount(refund, self.goods)
            return
        for sold in self.sold:
            if sold.total or sold.quantity > 0:
                self._reverse_rest(refund, sold)
        for fee in self.shipping:
            if fee.total or fee.tax:
                self.lines.append(
                    self._amount_line(
                        f"Refund of {fee.fee.charged.name}", refund, fee.total, fee.tax, kind="service_charge"
                    )
                )
                fee.total = fee.tax = 0
        self.goods = 0
        self.tax = 0

    def _amount(self, refund: GivenBack, amount: int) -> None:
        """An amount of which nobody knows the goods."""
        if amount == self.goods:
            tax = self.tax
        else:
            tax = divide_half_up(amount * self.tax_total, self.goods_total) if self.goods_total > 0 else 0
            tax = max(min(tax, self.tax), min(self.tax, 0))
        tax = min(tax, amount)
        if self.tax_total:
            self.estimates.append((refund.id, tax))
        cards = self._cards_in(amount)
        self.goods -= amount
        self.tax -= tax
        self._unallocated = True
        tax_of_cards = max(tax - (amount - cards), 0)
        if amount != cards or not cards:
            self.lines.append(
                self._amount_line(f"refund_{refund.id}", refund, amount - cards, tax - tax_of_cards)
            )
        if cards:
            self._cards_back += cards
            self.lines.append(
                self._amount_line(f"refund_{refund.id}", refund, cards, tax_of_cards, kind="gift_card")
            )

    def _cards_in(self, amount: int) -> int:
        """What of an amount of which nobody knows the goods is of gift cards: what no other goods are left for."""
        sold = sum(sold.total for sold in self.sold if sold.line.kind == "gift_card")
        left = max(sold - self._cards_back, 0)
        return max(min(amount - max(self.goods - left, 0), left), 0)

    def _amount_line(
        self, line_id: str, refund: GivenBack, amount: int, tax: int, kind: LineKind = "amount"
    ) -> Line:
        return Line(
            id=self._free_id(line_id, refund),
            quantity=Decimal(-1),
            unit_price=to_decimal(amount - tax, self.exponent),
            net=-(amount - tax),
            tax=-tax,
            tax_percentage=effective_rate(tax, amount - tax),
            kind=kind,
        )

    def _free_id(self, line_id: str, refund: GivenBack) -> str:
        name, count = line_id, 1
        while name in self._ids:
            name = f"{line_id}_{refund.id}" if count == 1 else f"{line_id}_{refund.id}_{count}"
            count += 1
        self._ids.add(name)
        return name

    # Items that Clover says were returned ------------------------------------------------------------------

    def _known_items(self, refund: GivenBack, amount: int, least_tip: int, least_fee: int) -> bool:
        known = [sold for sold in self.sold if sold.returned > 0 and sold.total > 0]
        if not known:
            return False
        # Clover adds the order's whole tip to the first item that is returned, whichever charge pays it back.
        found = self._made_up_of(known, amount - least_fee, self.tip)
        if found is None:
            return False
        parts, beyond = found
        if sum(total for _, total in parts) > self.goods or beyond < least_tip:
            return False
        for sold, total in parts:
            sold.returned = 0 if total >= paid_for(sold) or total >= price_of(sold) else sold.returned - total
            self._reverse_part(refund, sold, total)
            self.goods -= total
        tip = min(beyond, self.tip)
        self._extras_back(refund, tip, least_fee, 0)
        rest = beyond - tip
        over = min(self.overpaid, rest)
        if over:
            self._overpayment(refund, over)
            rest -= over
        if 0 < rest <= self.goods:
            self._amount(refund, rest)
        elif rest:
            self._excess(refund, rest, 0)
        return True

    def _made_up_of(
        self, known: list[SoldLine], amount: int, tip: int
    ) -> tuple[list[tuple[SoldLine, int]], int] | None:
        """The returned items behind a refund with the total given back of each, and what the refund holds beyond."""
        for chosen in choices(known):
            for total_of in (paid_for, price_of):
                whole = sum(total_of(sold) for sold in chosen)
                if amount == whole or (tip and amount == whole + tip):
                    return [(sold, total_of(sold)) for sold in chosen], amount - whole
        for total_of in (paid_for, price_of):
            whole = sum(total_of(sold) for sold in known)
            if whole < amount <= whole + tip:
                return [(sold, total_of(sold)) for sold in known], amount - whole
        if len(known) == 1 and amount < paid_for(known[0]):
            return [(known[0], amount)], 0
        whole = sum(paid_for(sold) for sold in known)
        return ([(sold, paid_for(sold)) for sold in known], amount - whole) if whole < amount else None

    def _reverse_rest(self, refund: GivenBack, sold: SoldLine) -> None:
        quantity = sold.quantity if sold.quantity > 0 else Decimal(1)
        rest = _Parts(sold.net, sold.tax, list(sold.discounts), list(sold.taxes))
        self._reverse(refund, sold, quantity, rest)

    def _reverse_part(self, refund: GivenBack, sold: SoldLine, total: int) -> None:
        """Give back ``total`` of a line: whole units where it comes to that, else part of the price of one."""
        if total >= sold.total:
            before = sold.tax
            self._reverse_rest(refund, sold)
            self.tax -= before
            return
        units = whole_units(sold, total)
        net, tax, discounts = parts_of(sold, total, units, self.exponent)
        taxes = list(
            zip(
                (ref for ref, _ in sold.taxes),
                proportional(tax, [part for _, part in sold.taxes]),
                strict=True,
            )
        )
        self.tax -= tax
        self._reverse(refund, sold, units, _Parts(net, tax, discounts, taxes))

    def _reverse(self, refund: GivenBack, sold: SoldLine, units: Decimal | None, parts: _Parts) -> None:
        net, tax, discounts, taxes = parts
        price = None if units is None else unit_price(units, net, self.exponent, sold.line.unit_price)
        quantity = Decimal(1) if units is None or price is None else units
        self.lines.append(
            Line(
                id=self._free_id(f"refund_{sold.line.id}", refund),
                quantity=-quantity,
                unit_price=to_decimal(net, self.exponent) if price is None else price,
                net=-net,
                tax=-tax,
                discounts=[(name, -amount) for name, amount in discounts if amount],
                taxes=[(component, -amount) for component, amount in taxes],
                tax_percentage=sold.line.tax_percentage,
                product=sold.line.product,
                kind=sold.line.kind,
            )
        )
        if units is not None:
            sold.quantity -= units
        sold.net -= net
        sold.tax -= tax
        sold.discounts = [
            (name, amount - back) for (name, amount), (_, back) in zip(sold.discounts, discounts, strict=True)
        ]
        sold.taxes = [
            (component, amount - back)
            for (component, amount), (_, back) in zip(sold.taxes, taxes, strict=True)
        ]


def _extras(tips: Iterable[int], fees: Iterable[int], over: int) -> Iterator[tuple[int, int, int]]:
    """What a refund of all that is left may hold beside the goods: (tip, surcharge, overpayment).

    tips, fees: none, that of its charge, and those of all.
    """
    for extra_over in dict.fromkeys((0, over)):
        for extra_fee in dict.fromkeys(fees):
            for extra_tip in dict.fromkeys(tips):
                yield extra_tip, extra_fee, extra_over
