"""From the configuration to a live connection: token, pace and archive of one merchant."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

import httpx

from connector.clover.archive import RawArchive
from connector.clover.auth.tokens import StaticToken, TokenSource
from connector.clover.hosts import hosts_for
from connector.clover.http.client import CloverClient
from connector.clover.http.pacing import AppPacer, Pacer
from connector.clover.http.reach import Patience
from connector.clover.platform import MerchantProfile
from connector.config import Company, Config, Connection
from connector.config.environment import referenced
from connector.errors import ConfigError
from connector.ledger.stored import StoredMerchant
from connector.redaction import remember_secrets
from connector.sync.read.clover import CloverAccess
from connector.sync.read.platform import Witness, call_witness
from schemas.iso import ALPHA_3, UNKNOWN_COUNTRY
from transforms.model import Merchant

# Seconds until the first answer, for somebody who waits: together with a start less than fifteen. What a run can do
# without, the platform, gets less.
FIRST_ANSWER, FIRST_ANSWER_BESIDE = 7.0, 2.0


@dataclass(slots=True)
class Pace:
    """The pacers of one process: one for the app, one for each token, shared by all its runs.

    is_watched: somebody waits for the runs, and hears soon of a Clover that does not answer at all.
    """

    config: Config
    is_watched: bool = False
    app: AppPacer = field(init=False)
    _patience: dict[tuple[str, float], Patience] = field(default_factory=dict)
    _tokens: dict[str, Pacer] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def __post_init__(self) -> None:
        self.app = _app_pacer(self.config)

    def of(self, connection: Connection) -> Pacer:
        """The pacer of a connection's token."""
        limits = self.config.limits
        with self._lock:
            if connection.id not in self._tokens:
                self._tokens[connection.id] = Pacer(
                    limits.requests_per_second, limits.concurrent_requests, app=self.app, name=connection.id
                )
            return self._tokens[connection.id]

    def patience(self, url: str, seconds: float = FIRST_ANSWER) -> Patience:
        """How long the first answer from an address may take; one for all connections that are read there."""
        with self._lock:
            key = (url, seconds)
            if key not in self._patience:
                self._patience[key] = Patience(seconds if self.is_watched else None)
            return self._patience[key]

    def change(self, config: Config) -> None:
        """Other limits, also for runs under way."""
        limits = config.limits
        with self._lock:
            self.config = config
            self.app.change(self.app.budget, limits.app_requests_per_second, limits.app_concurrent_requests)
            for pacer in self._tokens.values():
                self.app.change(pacer.budget, limits.requests_per_second, limits.concurrent_requests)


def _app_pacer(config: Config) -> AppPacer:
    """The app's pace, of this process alone or of all hosts of a fleet."""
    limits = config.limits
    if config.fleet is None:
        return AppPacer(limits.app_requests_per_second, limits.app_concurrent_requests)
    from connector.clover.http.fleet_pacing import FleetAppPacer

    return FleetAppPacer(config.fleet, limits.app_requests_per_second, limits.app_concurrent_requests)


def token_source(config: Config, connection: Connection, patience: Patience | None = None) -> TokenSource:
    """Where the bearer token of a connection comes from. Raises ConfigError when it has none.

    patience: for the first answer of Clover's OAuth address.
    """
    if connection.token is not None:
        return StaticToken(connection.token.get_secret_value(), connection_id=connection.id)
    if connection.credential is not None and connection.credential != "kept":
        secret = referenced(connection.credential)
        remember_secrets([secret])
        return StaticToken(secret, connection_id=connection.id)
    if connection.oauth is None and connection.credential is None:
        raise ConfigError(
            f"Connection {connection.id} has no token.", hint="Set its token, or run connector authorize."
        )
    from connector.sync.connect.oauth import oauth_source

    return oauth_source(config, connection, patience)


@contextmanager
def witnessed(
    config: Config,
    connection: Connection,
    pace: Pace,
    *,
    transport: httpx.BaseTransport | None = None,
) -> Iterator[Witness | None]:
    """The merchant's platform API for one run, or None where it is switched off or the token may not read it."""
    if connection.platform == "off":
        yield None
        return
    url = hosts_for(connection.environment, connection.base_url, region=connection.region).platform
    client = CloverClient(
        url,
        token_source(config, connection, pace.patience("oauth", FIRST_ANSWER_BESIDE)),
        pacer=pace.of(connection),
        transport=transport,
        sleep=pace.app.sleep,
        patience=pace.patience(url, FIRST_ANSWER_BESIDE),
        named_in=connection.place,
    )
    with client:
        yield call_witness(client, connection.merchant_id)


@contextmanager
def connected(
    config: Config,
    connection: Connection,
    pace: Pace,
    *,
    run_id: str,
    raw_directory: Path | None,
    transport: httpx.BaseTransport | None = None,
) -> Iterator[CloverAccess]:
    """A merchant's Clover for one run. raw_directory: where every answer is kept, None to keep none (dry runs)."""
    with ExitStack() as stack:
        archive = None
        if raw_directory is not None:
            archive = stack.enter_context(RawArchive(raw_directory, connection.id, run_id))
        client = CloverClient(
            connection.ecommerce_url,
            token_source(config, connection, pace.patience("oauth", FIRST_ANSWER_BESIDE)),
            pacer=pace.of(connection),
            archive=archive,
            transport=transport,
            sleep=pace.app.sleep,
            patience=pace.patience(connection.ecommerce_url),
            named_in=connection.place,
        )
        stack.callback(client.close)
        yield CloverAccess(client, config.limits.concurrent_requests, config.sync.window_days)


def merchant_of(
    connection: Connection, profile: MerchantProfile | None = None, before: StoredMerchant | None = None
) -> Merchant:
    """Whose books these are: the configuration's words, else the platform's, else those of the last run.

    Left out in the configuration are: a merchant_name that was not written, the country XXX, a currency that was
    not written. before: so that a run to which the platform does not answer changes nothing.
    """
    name = connection.merchant_name
    country, currency = connection.country, connection.currency
    if "merchant_name" not in connection.model_fields_set:
        name = (profile and profile.name) or (before and before.name) or name
    if country == UNKNOWN_COUNTRY:
        told = ALPHA_3.get(((profile and profile.country) or "").upper())
        country = told or (before and before.country) or country
    return Merchant(
        merchant_id=connection.merchant_id,
        merchant_name=name,
        country=country,
        currency=currency or (profile and profile.currency) or (before and before.currency) or None,
        timezone=connection.timezone,
    )


def selected_connections(
    config: Config, company: str | None, connection: str | None
) -> list[tuple[Company, Connection]]:
    """The connections that a call asks for. Raises ConfigError when nothing matches."""
    named = [
        (owner, candidate)
        for owner, candidate in config.pairs()
        if company in (None, owner.id) and connection in (None, candidate.id)
    ]
    chosen = [pair for pair in named if pair[1].enabled]
    if named and not chosen:
        raise ConfigError(
            f"All {len(named)} connections that this asks for are disabled.",
            hint="connector companies enable ID",
        )
    if not named and company is None and connection is None:
        raise ConfigError(
            "There is no company to read: none in the configuration, and none is kept as data.",
            hint="connector companies add --help, or see config.example.yaml",
        )
    if not chosen:
        asked = connection or company
        raise ConfigError(
            f"The configuration has no company or connection {asked!r}.", hint="See: connector status"
        )
    return chosen
