"""Events that open orders and take money for them."""

from collections.abc import Sequence
from typing import Unpack, cast

from connector.sandbox.ids import die
from connector.sandbox.model import Charge, ChargeState, Item, Moment, Order
from connector.sandbox.records import Records
from connector.sandbox.shares import half_up, shares
from connector.sandbox.terms import AnyItem, Cart, Payment, Sale, Tendered, named

_RATE_BASE = 10_000_000  # rates are percent x 100 000


class Selling(Records):
    """Opens carts, charges them, authorises and captures, settles bank debits, voids."""

    def open_order(self, at: Moment, items: Sequence[AnyItem], **cart: Unpack[Cart]) -> str:
        """Opens a cart and gives the order's id; nothing is paid yet.

        items: Item, (name, unit price) or (name, unit price, quantity).
        """
        customer_id = cart.get("customer")
        customer = self.customers[customer_id] if customer_id else None
        tax, collapsed = cart.get("tax"), cart.get("collapsed", False)
        with self.happening(at) as at_ms:
            lines = [self._line(item, cart.get("tax_rate", 0)) for item in items]
            discounts = named(cart.get("discount", 0))
            off = sum(amount for _, amount in discounts)
            for line, share in zip(lines, shares(off, [line.value for line in lines]), strict=True):
                line.discount = share
            by_rate = [(line.value - line.discount) * line.rate for line in lines]
            if tax is None:
                tax = half_up(sum(by_rate), _RATE_BASE)
            weights = by_rate if any(by_rate) else [line.value - line.discount for line in lines]
            for line, share in zip(lines, shares(tax, weights), strict=True):
                line.tax = share
            second = at_ms // 1000 * 1000
            order = Order(
                id=self._ids.next(),
                seq=self._number(),
                created=second,
                modified=second,
                currency=cart.get("currency") or self.merchant.currency,
                items=lines,
                discounts=discounts,
                shipping=cart.get("shipping", 0),
                shipping_name=cart.get("shipping_name", "Ground"),
                tax=tax,
                customer=customer,
                email=cart.get("email") or (customer.email if customer else None),
                name=cart.get("name"),
                external_reference=cart.get("external_reference"),
                collapsed=collapsed,
                implicit=cart.get("implicit", False),
            )
            self.orders.add(order)
            self._all_orders[order.id] = order
            self.books.open(order.id, order.currency, ambiguous=collapsed)
            self._book_sale(at_ms, order, order.id)
            self._note(at_ms, "order_opened", order.id, order.id, order.owed)
            return order.id

    def charge(self, at: Moment, order_id: str, amount: int | None = None, **payment: Unpack[Payment]) -> str:
        """Takes money for an order and gives the charge's id. amount: what is still owed when left out."""
        outcome, currency = payment.get("outcome", "captured"), payment.get("currency")
        with self.happening(at) as at_ms:
            order = self.orders.by_id[order_id]
            due = order.owed - sum(charge.captured for charge in order.charges[order.settled_charges :])
            asked = due if amount is None else amount
            second = at_ms // 1000 * 1000
            charge = Charge(
                id=self._ids.next(),
                seq=self._number(),
                created=second,
                modified=second,
                order=order,
                currency=currency or order.currency,
                amount=asked,
                tax=half_up(order.tax * asked, order.owed) if order.owed and currency is None else 0,
                tip=payment.get("tip", 0),
                surcharge=payment.get("surcharge", 0),
                tender=payment.get("tender", "card"),
                state=outcome,
                preauthorized=outcome == "authorized",
                customer=order.customer,
                description=payment.get("description"),
                in_person=payment.get("in_person", False),
                partial_auth=payment.get("partial_auth", False),
                pays_alone=not order.charges and asked == order.owed,
            )
            order.charges.append(charge)
            self.charges.add(charge)
            if charge.currency != order.currency:
                self.books.mark_ambiguous(order.id)
            if outcome == "captured":
                self._take(at_ms, charge, asked)
            self._touch(at_ms, order, charge)
            self._note(at_ms, f"charge_{outcome}", order.id, charge.id, asked)
            return charge.id

    def sell(
        self,
        at: Moment,
        items: Sequence[AnyItem] = (("Beeswax candle", 1200, 2),),
        **sale: Unpack[Sale],
    ) -> str:
        """An order opened and paid in full; the order's id."""
        paid: Tendered = {
            "tip": sale.pop("tip", 0),
            "surcharge": sale.pop("surcharge", 0),
            "tender": sale.pop("tender", "card"),
        }
        pay_at = sale.pop("pay_at", None)
        with self.lock:
            order_id = self.open_order(at, items, **cast(Cart, sale))
            self.charge(at if pay_at is None else pay_at, order_id, **paid)
            return order_id

    def authorize(self, at: Moment, order_id: str, amount: int | None = None, *, tip: int = 0) -> str:
        """Reserves money on a card without taking it; the charge's id."""
        return self.charge(at, order_id, amount, tip=tip, outcome="authorized")

    def decline(self, at: Moment, order_id: str, amount: int | None = None) -> str:
        """An attempt the bank refused; the charge's id."""
        return self.charge(at, order_id, amount, outcome="failed")

    def pay_ach(self, at: Moment, order_id: str, amount: int | None = None) -> str:
        """A bank debit that settles or fails days later; the charge's id."""
        return self.charge(at, order_id, amount, tender="ach", outcome="pending")

    def pay_twice(self, at: Moment, order_id: str) -> str:
        """The same order paid in full once more by mistake; the second charge's id."""
        return self.charge(at, order_id, self.orders.by_id[order_id].owed)

    def capture(self, at: Moment, charge_id: str, amount: int | None = None) -> None:
        """Takes reserved money: all of it, less, or more, which is then an overpayment."""
        self._settle(at, charge_id, "authorized", amount)

    def settle_ach(self, at: Moment, charge_id: str) -> None:
        """The bank debit went through."""
        self._settle(at, charge_id, "pending", None)

    def fail_ach(self, at: Moment, charge_id: str) -> None:
        """The bank debit bounced before it settled."""
        with self.happening(at) as at_ms:
            charge = self._in_state(charge_id, "pending")
            charge.state = "failed"
            self._touch(at_ms, charge.order, charge)
            self._note(at_ms, "ach_failed", charge.page, charge.id, charge.amount)

    def charge_alone(
        self, at: Moment, amount: int, *, description: str = "Monthly plan", with_order: bool = False
    ) -> str:
        """A charge nobody opened an order for; the charge's id.

        with_order: Clover made an order without lines for it, as it says it always does; else the charge
        truly stands alone and its page in the books has the charge's id.
        """
        with self.happening(at) as at_ms:
            if with_order:
                order_id = self.open_order(at_ms, [Item(description, amount)], implicit=True)
                return self.charge(at_ms, order_id, description=description)
            second = at_ms // 1000 * 1000
            charge = Charge(
                id=self._ids.next(),
                seq=self._number(),
                created=second,
                modified=second,
                order=None,
                currency=self.merchant.currency,
                amount=amount,
                tax=0,
                tip=0,
                surcharge=0,
                tender="card",
                state="captured",
                description=description,
            )
            self.charges.add(charge)
            self.books.open(charge.id, charge.currency)
            self.books.post(charge.id, at_ms, charge.id, {"receivable": amount, "goods": amount})
            self._take(at_ms, charge, amount)
            self._note(at_ms, "charge_captured", charge.id, charge.id, amount)
            return charge.id

    def _line(self, item: AnyItem, tax_rate: int) -> Item:
        if isinstance(item, Item):
            line = item
        else:
            line = Item(item[0], item[1], item[2] if len(item) == 3 else 1, rate=tax_rate)
        product = line.product or self._products.get(line.name)
        if product is None:
            product = self._products[line.name] = self._ids.next()
        line.product = product
        line.line_id = self._ids.next()
        return line

    def _book_sale(self, at_ms: int, order: Order, record: str) -> None:
        goods = sum(item.value for item in order.items)
        accounts = {
            "receivable": order.owed,
            "goods": goods,
            "discount": -order.discount,
            "shipping": order.shipping,
            "tax": order.tax,
        }
        self.books.post(order.id, at_ms, record, accounts)

    def _take(self, at_ms: int, charge: Charge, amount: int) -> None:
        """Money came in: books it and, when the order is paid in full by it, says when that was."""
        charge.state = "captured"
        charge.captured = amount
        page, order = charge.page, charge.order
        due = self.books.balance(page, "receivable")
        if order is not None and charge.currency != order.currency:
            amount = due  # settles in the merchant's currency, at a rate Clover does not publish
        owed = min(amount, max(due, 0))
        accounts = {
            "cash": amount + charge.tip + charge.surcharge,
            "receivable": -owed,
            "overpayment": amount - owed,
            "tip": charge.tip,
            "surcharge": charge.surcharge,
        }
        self.books.post(page, at_ms, charge.id, accounts)
        if order is not None and owed == due:
            order.paid_at = at_ms + 1 + die(order.id, 998, "paid")

    def _settle(self, at: Moment, charge_id: str, state: ChargeState, amount: int | None) -> None:
        with self.happening(at) as at_ms:
            charge = self._in_state(charge_id, state)
            taken = charge.amount if amount is None else amount
            self._take(at_ms, charge, taken)
            self._touch(at_ms, charge.order, charge)
            self._note(at_ms, "charge_captured", charge.page, charge.id, taken)

    def _in_state(self, charge_id: str, state: ChargeState) -> Charge:
        charge = self.charges.by_id[charge_id]
        if charge.state != state:
            raise ValueError(f"Charge {charge_id} is {charge.state}, not {state}.")
        return charge
