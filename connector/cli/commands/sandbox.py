"""``connector sandbox``: the stand-in Clover by itself."""

import threading
from contextlib import suppress

import click

from connector.cli.processes.stand_in import StandIn, stand_in


@click.command()
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8787, show_default=True, help="0 takes a free one."
)
@click.option(
    "--orders", type=click.IntRange(0, 1_000_000), default=1000, show_default=True, help="The shop's size."
)
@click.option("--seed", type=int, default=1, show_default=True, help="Another seed is another shop.")
@click.option(
    "--gift-cards",
    type=click.IntRange(0, 10_000),
    default=0,
    help="Orders more, of gift cards; platform: auto finds them.",
)
def sandbox(port: int, orders: int, seed: int, gift_cards: int) -> None:
    """Run the stand-in Clover by itself on 127.0.0.1, until Ctrl-C or SIGTERM.

    It answers like Clover's Ecommerce API, its OAuth and its platform API, for one made-up shop. Point a
    connection's base_url at it to try a configuration without an account.

    \b
    Examples:
      connector sandbox
      connector sandbox --port 9000 --orders 20000 --seed 7
      connector sandbox --gift-cards 50
    """
    with (
        stand_in(orders=orders, seed=seed, port=port, gift_cards=gift_cards) as clover,
        suppress(KeyboardInterrupt),
    ):
        click.echo(connection_of(clover))
        click.echo("Running. Ctrl-C stops it.", err=True)
        threading.Event().wait()


def connection_of(clover: StandIn) -> str:
    """The entry of config.yaml that reads this stand-in."""
    return f"""\
connections:
  - merchant_id: {clover.merchant_id}
    merchant_name: {clover.merchant_name}
    environment: sandbox
    base_url: {clover.base_url}
    country: {clover.country}
    timezone: {clover.timezone}
    token: {clover.token}
    start_date: {clover.start_date.isoformat()}"""
