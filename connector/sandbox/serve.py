"""The stand-in Clover by itself, for the command line: makes a shop, says where it is, serves until told."""

import time
from collections.abc import Callable
from threading import Event

from connector.sandbox.limits import RateLimits
from connector.sandbox.sandbox import Sandbox
from connector.sandbox.shapes import Shapes
from connector.sandbox.shop import generate_shop


def books_summary(sandbox: Sandbox) -> list[str]:
    """What the shop's own books say, a line a currency, in minor units."""
    totals = sandbox.world.books.totals()
    return [
        f"{currency}: {total.orders} paid orders, net sales {total.total_amount_minor}, "
        f"refunds {total.total_refund_minor}, tax {total.tax_net}, tips {total.gratuity_kept} (minor units)"
        for currency, total in sorted(totals.items())
    ]


def serve_forever(
    port: int = 0,
    orders: int = 1_000,
    seed: int = 1,
    *,
    days: int = 120,
    token: str | None = None,
    shapes: Shapes | None = None,
    limits: bool = True,
    say: Callable[[str], object] = print,
    stop: Event | None = None,
    clock: Callable[[], float] = time.time,
) -> None:
    """Serves a generated shop whose days end now, until ``stop`` is set or the user interrupts.

    Planned refunds and settlements happen as time passes. limits: Clover's rate limits, on by default.
    token: made up when left out; it opens this sandbox and nothing else, so it is printed.
    """
    stop = stop or Event()
    world = generate_shop(orders, seed, until=int(clock() * 1000), days=days)
    sandbox = Sandbox(
        {token: world} if token else world,
        shapes=shapes,
        limits=RateLimits() if limits else None,
        clock=clock,
    )
    with sandbox.start(port):
        say(f"Clover sandbox on {sandbox.base_url}")
        say(f"merchant_id: {world.merchant.id}")
        say(f"token: {sandbox.token}")
        for line in books_summary(sandbox):
            say(line)
        try:
            while not stop.wait(1.0):
                world.advance(int(clock() * 1000))
        except KeyboardInterrupt:
            say("Stopped.")
