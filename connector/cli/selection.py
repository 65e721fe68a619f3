"""``--company`` and ``--connection``: which of the configured merchants a command is for."""

import difflib
from collections.abc import Callable
from typing import Any, TypeVar

import click

from connector.config import Config
from connector.errors import ConfigError

F = TypeVar("F", bound=Callable[..., Any])


def selection_options(command: F) -> F:
    """Adds ``--company`` and ``--connection``."""
    connection = click.option(
        "--connection", metavar="ID", help="Only this connection, by id or merchant id."
    )
    company = click.option("--company", metavar="ID", help="Only this company, by id or name.")
    return company(connection(command))


def selected(config: Config, company: str | None, connection: str | None) -> tuple[str | None, str | None]:
    """The ids of what was asked for. Raises ConfigError naming the nearest that exists."""
    company_id = None if company is None else _company(config, company)
    connection_id = None if connection is None else _connection(config, connection, company_id)
    return company_id, connection_id


def _company(config: Config, asked: str) -> str:
    named = {name: one.id for one in config.companies for name in (one.name.casefold(), one.id.casefold())}
    if asked.casefold() not in named:
        raise _unknown("company", asked, [text for one in config.companies for text in (one.name, one.id)])
    return named[asked.casefold()]


def _connection(config: Config, asked: str, company_id: str | None) -> str:
    pairs = [one for company, one in config.pairs() if company_id in (None, company.id)]
    by_id = [one.id for one in pairs if one.id.casefold() == asked.casefold()]
    by_merchant = [one.id for one in pairs if one.merchant_id.casefold() == asked.casefold()]
    found = by_id or by_merchant
    if not found:
        raise _unknown("connection", asked, [text for one in pairs for text in (one.merchant_id, one.id)])
    if len(found) > 1:
        raise ConfigError(
            f"{asked} is the merchant of {len(found)} connections.", hint=f"Use an id: {', '.join(found)}"
        )
    return found[0]


def _unknown(kind: str, asked: str, known: list[str]) -> ConfigError:
    return ConfigError(f"The configuration has no {kind} '{asked}'.", hint=nearest(asked, known))


def nearest(asked: str, known: list[str]) -> str:
    """What to say of a name that is none: the one that was meant, or all there are."""
    close = difflib.get_close_matches(asked, known, n=1, cutoff=0.5)
    return f"Did you mean {close[0]}?" if close else f"There are: {', '.join(known)}"
