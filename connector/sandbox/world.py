"""The shop as tests and the server see it: everything that can happen in it, one method an event.

    world = World()
    order_id = world.sell(at, [("Teapot", 1100), ("Strainer", 650)], tip=200)
    world.refund(later, order_id, items=[1])
    assert world.books.order(order_id).total_amount_minor == 1100

Times are passed in; the clock only moves with events. Methods may be called from any thread, also while the
server is listing.
"""

from connector.sandbox.model import Customer, Item, Moment
from connector.sandbox.returning import Returning
from connector.sandbox.terms import AnyItem


class World(Returning):
    """A merchant's shop with its books. ``seed`` decides the ids; the same events give the same bytes."""

    def add_customer(
        self,
        at: Moment,
        first_name: str | None,
        last_name: str | None,
        *,
        email: str = "ines.moreau@example.com",
        phone: str = "6175550147",
    ) -> str:
        """Somebody opens an account; the customer's id. Names may be missing, as they are at Clover."""
        with self.happening(at) as at_ms:
            second = at_ms // 1000 * 1000
            customer = Customer(self._ids.next(), first_name, last_name, email, phone, second, second)
            self.customers[customer.id] = customer
            self._note(at_ms, "customer_created", "", customer.id)
            return customer.id

    def change_customer(
        self, at: Moment, customer_id: str, *, email: str | None = None, last_name: str | None = None
    ) -> None:
        """A customer's e-mail or name changes; the orders made before keep what they were told."""
        with self.happening(at) as at_ms:
            customer = self.customers[customer_id]
            customer.email = email or customer.email
            customer.last_name = last_name or customer.last_name
            customer.modified = at_ms // 1000 * 1000
            self._note(at_ms, "customer_changed", "", customer_id)

    def edit_order(
        self,
        at: Moment,
        order_id: str,
        *,
        add: AnyItem | None = None,
        external_reference: str | None = None,
        note: str | None = None,
    ) -> None:
        """Somebody edits the order on a device: adds an untaxed line, a reference, a note. No new ``created``.

        A line added to a paid order is owed and not paid.
        """
        with self.happening(at) as at_ms:
            order = self.orders.by_id[order_id]
            if add is not None:
                line: Item = self._line(add, 0)
                order.items.append(line)
                self.books.post(order_id, at_ms, order_id, {"receivable": line.value, "goods": line.value})
            order.external_reference = external_reference or order.external_reference
            order.note = note or order.note
            self._touch(at_ms, order)
            self._note(at_ms, "order_edited", order_id, order_id)

    def change_tip(self, at: Moment, charge_id: str, tip: int) -> None:
        """The tip of a charge is adjusted before it settles."""
        with self.happening(at) as at_ms:
            charge = self._in_state(charge_id, "captured")
            more = tip - charge.tip
            charge.tip = tip
            self.books.post(charge.page, at_ms, charge_id, {"cash": more, "tip": more})
            self._touch(at_ms, charge.order, charge)
            self._note(at_ms, "tip_changed", charge.page, charge_id, tip)

    def delete_order(self, at: Moment, order_id: str) -> None:
        """Somebody deletes the order on the platform: it is gone from lists and reads, its charges stay."""
        with self.happening(at) as at_ms:
            order = self.orders.by_id[order_id]
            order.deleted_at = at_ms
            self.orders.remove(order)
            self._touch(at_ms, order)
            self.books.mark_deleted(order_id, at_ms)
            self._note(at_ms, "order_deleted", order_id, order_id)

    def note_dispute(self, at: Moment, charge_id: str, text: str = "Chargeback opened by the bank") -> None:
        """A remark about a dispute appears on a charge; no money moves by it."""
        with self.happening(at) as at_ms:
            charge = self.charges.by_id[charge_id]
            charge.note = text
            self._touch(at_ms, charge.order, charge)
            self._note(at_ms, "dispute_noted", charge.page, charge_id)
