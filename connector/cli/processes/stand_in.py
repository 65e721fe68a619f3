"""The bundled stand-in Clover as the commands use it: one made-up shop behind one token, on loopback."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from connector.cli.processes.listening import listening_errors
from schemas.iso import ALPHA_3

TOKEN = "stand-in-token"  # noqa: S105 - opens nothing but the stand-in
NEWEST_SALE = datetime(2026, 11, 22, tzinfo=UTC)
"""The shop's last sale is before this, whenever it is generated, so that the same seed is the same shop."""

DAYS = 120
SECOND_SHOP = 60
"""Orders of the shop that is there to be connected."""


@dataclass(frozen=True, slots=True)
class StandIn:
    """How to reach it and whose shop it is; the words a config needs."""

    base_url: str
    token: str
    merchant_id: str
    merchant_name: str
    country: str
    timezone: str
    start_date: date
    client_id: str
    client_secret: str


@contextmanager
def stand_in(
    *,
    orders: int,
    seed: int,
    port: int = 0,
    now: datetime | None = None,
    gift_cards: int = 0,
    asks: bool = False,
) -> Iterator[StandIn]:
    """A running stand-in with a generated shop; stopped on leaving. port: 0 takes a free one. gift_cards: their orders.

    asks: its consent page asks, and there is a second shop that nobody has connected yet.
    now: aware; a machine whose clock is before ``NEWEST_SALE`` gets a shop that ends with its yesterday, because
    nothing is read from the future. ConfigError when the port cannot be had.
    """
    from connector.sandbox import Merchant, Sandbox
    from connector.sandbox.shop import generate_shop

    today = (now or datetime.now(UTC)).replace(hour=0, minute=0, second=0, microsecond=0)
    until = min(NEWEST_SALE, today)
    worlds = {TOKEN: (world := generate_shop(orders, seed, until, days=DAYS, gift_cards=gift_cards))}
    if asks:
        other = Merchant(id="MSECONDSHOP01", name="Second Shop")
        worlds["second-stand-in-token"] = generate_shop(
            SECOND_SHOP, seed + 1, until, days=DAYS, merchant=other
        )
    with listening_errors("127.0.0.1", port, hint="Another program may use it: connector sandbox --port 0"):
        started = Sandbox(worlds).start(port)
    with started as sandbox:
        sandbox.access.asks = asks
        yield StandIn(
            base_url=sandbox.base_url,
            token=TOKEN,
            merchant_id=world.merchant.id,
            merchant_name=world.merchant.name,
            country=ALPHA_3[world.merchant.country],
            timezone=world.merchant.timezone,
            start_date=(until - timedelta(days=DAYS)).date(),
            client_id=sandbox.access.client_id,
            client_secret=sandbox.access.client_secret,
        )
