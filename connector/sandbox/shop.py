"""A whole shop made from a seed: months of ordinary sales with all that happens to orders afterwards.

The same seed gives the same bytes. What would happen after ``until`` is planned in the world and happens in
``advance``, so that later syncs find refunds, captures and settlements of orders they already know.
"""

import gc
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from itertools import groupby
from random import Random

from connector.sandbox.catalog import COUPONS, FIRST_NAMES, LAST_NAMES, PRODUCTS, RATES, UNTAXED
from connector.sandbox.ids import die
from connector.sandbox.model import Item, Moment, Tender, as_ms
from connector.sandbox.records import Merchant
from connector.sandbox.world import World

_DAY_MS = 86_400_000
_HOUR_MS = 3_600_000
_MINUTE_MS = 60_000
_REGULARS = 60  # one regular in so many orders
_EVENTFUL = 93  # orders in a thousand to which something happens after they are paid
_TENDERS: tuple[Tender, ...] = ("card", "card", "card", "card", "card", "card", "paypal", "giftCard", "cash")


def generate_shop(
    orders: int,
    seed: int = 1,
    until: Moment = 1795305600000,
    *,
    days: int = 120,
    merchant: Merchant | None = None,
    gift_cards: int = 0,
) -> World:
    """A world with so many orders, opened over the ``days`` before ``until`` (2026-11-22 by default).

    About one order in twelve is refunded in some way; one in forty is never paid. A few customers come every month
    for the same thing. gift_cards: so many orders more, in which a gift card was sold, as only the platform tells.
    """
    end = as_ms(until)
    world = World(merchant, seed=seed)
    random = Random(f"shop-{seed}")  # noqa: S311 - repeatable on purpose
    start = end - days * _DAY_MS
    customers = _people(world, random, start, max(1, min(5_000, orders // 5)))
    world.advance(end)
    collecting = gc.isenabled()
    gc.disable()  # nothing here becomes garbage in cycles, and looking for it doubles the time
    try:
        times = sorted(start + int(random.random() * (end - start)) for _ in range(orders))
        for at, habit in zip(times, _habits(times, customers[: orders // _REGULARS]), strict=True):
            _one_order(world, random, at, customers, habit)
        _sell_gift_cards(world, gift_cards, start, end)
    finally:
        if collecting:
            gc.enable()
    return world


def _sell_gift_cards(world: World, orders: int, start: int, end: int) -> None:
    """Cards alone and beside goods, some of them cheaper; one in three goes back, by its line, in part, or whole."""
    random = Random(f"gift-cards-{orders}")  # noqa: S311 - repeatable on purpose
    for number in range(orders):
        at = start + (end - start) * (2 * number + 1) // (2 * orders)
        value = random.choice((2_500, 5_000, 10_000))
        items = [Item("Gift card", value, random.choice((1, 1, 2)), is_revenue=False)]
        if number % 2:
            name, price = PRODUCTS[random.randrange(len(PRODUCTS))]
            items.append(Item(name, price, rate=RATES[0]))
        discount = ("Card week", value // 10) if number % 5 == 4 else 0
        order_id = world.sell(at, items, discount=discount, tip=200 if number % 7 == 6 else 0)
        back = at + random.randrange(1, 20) * _DAY_MS
        if number % 9 == 2:
            world.later(back, partial(world.refund, back, order_id, items=[0]))
        elif number % 9 == 5:
            world.later(back, partial(world.refund, back, order_id, value // 2))
        elif number % 9 == 8:
            world.later(back, partial(world.refund, back, order_id))


def _people(world: World, random: Random, start: int, count: int) -> list[str]:
    return [
        world.add_customer(
            start - random.randrange(300) * _DAY_MS,
            random.choice(FIRST_NAMES),
            random.choice(LAST_NAMES),
            email=f"buyer{number}@example.com",
            phone=f"617555{number:04d}",
        )
        for number in range(count)
    ]


def _habits(times: list[int], regulars: list[str]) -> Iterator[tuple[str, int] | None]:
    """For each order whose habit it is, with the product it is for: every regular has one order a month, UTC."""
    for _, month in groupby(times, key=lambda at: datetime.fromtimestamp(at / 1_000, UTC).strftime("%Y-%m")):
        for number, _ in enumerate(month):
            regular, is_other = divmod(number, 2)
            if is_other and regular < len(regulars):
                yield regulars[regular], regular % len(PRODUCTS)
            else:
                yield None


def _one_order(
    world: World, random: Random, at: int, customers: list[str], habit: tuple[str, int] | None
) -> None:
    """One order or stand-alone charge and what becomes of it."""
    roll = random.random()
    if roll < 0.006:
        world.charge_alone(at, random.randrange(500, 9_900), with_order=roll < 0.004)
        return
    order_id = _open(world, random, at, customers, habit)
    if roll < 0.020:  # a cart nobody paid
        return
    if roll < 0.032:
        world.decline(at + _MINUTE_MS, order_id)
        if roll < 0.026:
            world.later(at + 5 * _MINUTE_MS, lambda: world.charge(at + 5 * _MINUTE_MS, order_id))
        return
    paid_at = at + (random.randrange(2, 300) * _MINUTE_MS if roll > 0.9 else 45_000)
    for low, pay in _WAYS_TO_PAY:
        if roll < low:
            pay(world, random, paid_at, order_id)
            return
    owed = world.order(order_id).owed
    tip = owed * random.choice((10, 15, 18, 20)) // 100 if random.random() < 0.18 else 0
    surcharge = (owed * 3 + 50) // 100 if random.random() < 0.03 else 0
    tender = random.choice(_TENDERS)

    def pay_in_full() -> None:
        world.charge(paid_at, order_id, tip=tip, surcharge=surcharge, tender=tender)
        if die(order_id, 1_000, "luck") < _EVENTFUL:
            _afterwards(world, paid_at, order_id)

    world.later(paid_at, pay_in_full)


def _open(world: World, random: Random, at: int, customers: list[str], habit: tuple[str, int] | None) -> str:
    yen = random.random() < 0.004
    rate = 0 if yen or random.random() < 0.1 else random.choice(RATES)
    items: list[Item] = []
    for _ in range(random.choice((1, 1, 1, 2, 2, 3, 4))):
        name, price = PRODUCTS[random.randrange(len(PRODUCTS))]
        quantity = random.choice((1, 1, 1, 1, 2, 2, 3, 6))
        if habit and not items:
            name, price = PRODUCTS[habit[1]]
        items.append(Item(name, price, quantity, rate=0 if name in UNTAXED else rate))
    goods = sum(item.value for item in items)
    discount: tuple[str, int] | int = 0
    if random.random() < 0.15:
        discount = (random.choice(COUPONS), max(1, goods * random.choice((5, 10, 15, 20)) // 100))
    units = sum(item.quantity for item in items)
    shipping = 0 if yen or random.random() < 0.6 else random.choice((495, 795, 1_250))
    shipping_name = random.choice(("Ground", "Express", "Livraison à domicile"))
    customer = random.choice(customers) if random.random() < 0.65 else None
    return world.open_order(
        at,
        items,
        discount=discount,
        shipping=shipping,
        shipping_name=shipping_name,
        currency="JPY" if yen else None,
        customer=habit[0] if habit else customer,
        email=f"guest{random.randrange(10**6)}@example.com" if random.random() < 0.8 else None,
        external_reference=f"WEB-{random.randrange(10**7)}" if random.random() < 0.25 else None,
        collapsed=units > len(items) and random.random() < 0.003,
    )


def _split(world: World, random: Random, at: int, order_id: str) -> None:
    owed = world.order(order_id).owed
    first = max(1, owed * random.choice((25, 40, 50)) // 100)
    leaves_open = random.random() < 0.05
    world.later(at, lambda: world.charge(at, order_id, first, tender="giftCard"))
    if not leaves_open:
        tip = random.choice((0, 0, 0, 300))
        world.later(at + _MINUTE_MS, lambda: world.charge(at + _MINUTE_MS, order_id, tip=tip))


def _authorised(world: World, random: Random, at: int, order_id: str) -> None:
    """Reserved, then mostly captured some days later: all of it, less, rarely more."""
    owed = world.order(order_id).owed
    amount = random.choice((None, None, None, owed * 98 // 100, owed + 200))
    wait = random.randrange(1, 6) * _DAY_MS + random.randrange(_DAY_MS)
    captured = random.random() < 0.85

    def reserve() -> None:
        charge_id = world.authorize(at, order_id)
        if captured:
            world.later(at + wait, lambda: world.capture(at + wait, charge_id, amount))

    world.later(at, reserve)


def _bank_debit(world: World, random: Random, at: int, order_id: str) -> None:
    settled = at + random.randrange(2, 6) * _DAY_MS
    fails = random.random() < 0.08

    def debit() -> None:
        charge_id = world.pay_ach(at, order_id)
        settle = world.fail_ach if fails else world.settle_ach
        world.later(settled, lambda: settle(settled, charge_id))

    world.later(at, debit)


def _twice(world: World, random: Random, at: int, order_id: str) -> None:
    """Paid twice by mistake; the second payment goes back a little later."""
    back = at + random.randrange(1, 48) * _HOUR_MS

    def pay() -> None:
        world.charge(at, order_id)
        second = world.pay_twice(at + _MINUTE_MS, order_id)
        world.later(back, lambda: world.refund(back, charge_id=second, reason="duplicate"))

    world.later(at, pay)


_WAYS_TO_PAY: tuple[tuple[float, Callable[[World, Random, int, str], None]], ...] = (
    (0.062, _split),
    (0.082, _authorised),
    (0.102, _bank_debit),
    (0.104, _twice),
)


def _afterwards(world: World, paid_at: int, order_id: str) -> None:
    """Refunds, returns, voids, edits, deletions: weeks later as a rule, but a void within minutes.

    Luck of the order's own, so that it does not matter when and in which thread it is paid.
    """
    random = Random(f"luck-{order_id}")  # noqa: S311 - repeatable on purpose
    roll = random.random() * _EVENTFUL / 1_000
    at = paid_at + random.randrange(1, 40 * 24) * _HOUR_MS + random.randrange(_HOUR_MS)
    order = world.order(order_id)
    charge = order.charges[-1]
    if roll < 0.030:
        amount = max(1, charge.amount * random.choice((10, 25, 33, 50)) // 100)
        world.later(at, lambda: world.refund(at, order_id, amount, reason="requested_by_customer"))
    elif roll < 0.052:
        position = random.randrange(len(order.items))
        item = order.items[position]
        if item.value - item.discount + item.tax > 0:
            world.later(at, lambda: world.refund(at, order_id, items=[position]))
    elif roll < 0.072:
        again = random.random() < 0.05

        def return_all() -> None:
            world.refund(at, order_id, reason=random.choice((None, "duplicate", "fraudulent")))
            if again:
                world.later(at + _HOUR_MS, lambda: world.pay_again(at + _HOUR_MS, order_id))

        world.later(at, return_all)
    elif roll < 0.077:
        soon = paid_at + 10 * _MINUTE_MS
        gone = random.random() < 0.33
        world.later(soon, lambda: world.void(soon, charge.id, how="gone" if gone else "refund"))
    elif roll < 0.085:
        _troubled_refund(world, random, at, order_id, max(1, charge.amount // 4))
    elif roll < 0.088:
        amount = max(1, charge.amount // 20)
        for number in range(random.choice((2, 3, 12))):
            when = at + number * _HOUR_MS
            world.later(when, partial(world.refund, when, order_id, amount))
    elif roll < 0.091:
        world.later(at, lambda: world.edit_order(at, order_id, external_reference="EDITED", note="Device"))
    elif roll < 0.092:
        world.later(at, lambda: world.note_dispute(at, charge.id))
    elif roll < 0.0925:
        world.later(at, lambda: world.delete_order(at, order_id))


def _troubled_refund(world: World, random: Random, at: int, order_id: str, amount: int) -> None:
    """A refund that waits, fails or is cancelled."""
    kind = random.randrange(4)
    then = at + 2 * _DAY_MS

    def give() -> None:
        waits = kind in (0, 1)
        refund_id = world.refund(at, order_id, amount, status="pending" if waits else "succeeded")
        if kind == 0:
            world.later(then, lambda: world.succeed_refund(then, refund_id))
        elif kind in (1, 2):
            world.later(then, lambda: world.fail_refund(then, refund_id))
        else:
            flag = die(refund_id, 2, "shown") == 0
            world.later(
                then, lambda: world.void_refund(then, refund_id, shown_as="flag" if flag else "object")
            )

    world.later(at, give)
