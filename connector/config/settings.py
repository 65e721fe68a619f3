"""What config.yaml may say: one model a section, each value checked where it is read.

How the file is read and how mistakes are explained is in ``connector.config.load``.
"""

import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PrivateAttr,
    SecretStr,
    StringConstraints,
    ValidationInfo,
    model_validator,
)

from connector.config import ids
from connector.config.fleet import FleetPlace, bucket_address, database_url, is_database
from connector.config.link import Link
from connector.config.sections import Alerts, Api, Limits, Metrics, Scheduler, Sync
from connector.config.values import (
    Country,
    Credential,
    Cron,
    Id,
    Name,
    Network,
    Secret,
    Section,
    TimeZone,
    WebAddress,
    none_as_empty,
)

# docs.clover.com, Ecommerce services APIs: one production host and one sandbox host.
_ECOMMERCE_HOSTS = {"production": "https://scl.clover.com", "sandbox": "https://scl-sandbox.dev.clover.com"}


def _store(value: str) -> str:
    if is_database(value):
        return database_url(value)
    kind = re.match(r"([A-Za-z][A-Za-z0-9+.-]+):", value)
    if kind and kind[1].lower() not in ("duckdb", "ducklake"):
        raise ValueError(
            f"'{value}' is an address, and the store is a directory on a local disk; write one such as ./data"
        )
    if value.startswith("~"):
        raise ValueError(f"'{value}' would be a directory of that very name; write the path out, without ~")
    return value


class OAuth(Section):
    """An app's OAuth v2 credentials for one merchant (docs.clover.com, Use OAuth).

    refresh_token: the first one; Clover makes each refresh token good for one use, so the newest pair is kept
    encrypted in the store. May be left out until ``connector authorize`` has fetched one.
    """

    client_id: Name
    client_secret: Secret | None = None
    refresh_token: Secret | None = None
    token_url: WebAddress | None = None
    refresh_url: WebAddress | None = None
    authorize_url: WebAddress | None = None


class Connection(Section):
    """One Clover merchant whose sales are read.

    credential: where the token is, instead of the token: ``env:NAME``, ``file:/path``, or ``kept``, an OAuth pair of
    the control data. enabled: whether it is read.
    """

    id: Id = ""
    source: Literal["clover-ecommerce"] = "clover-ecommerce"
    environment: Literal["production", "sandbox"] = "production"
    base_url: WebAddress | None = None
    merchant_id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
    merchant_name: Annotated[str, BeforeValidator(none_as_empty)] = ""
    country: Country
    currency: Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")] | None = None
    timezone: TimeZone
    token: Secret | None = None
    oauth: OAuth | None = None
    credential: Credential | None = None
    enabled: bool = True
    start_date: date
    schedule: Cron | None = None
    platform: Literal["auto", "off"] = "off"
    region: Literal["na", "eu", "la"] = "na"
    _place: str = PrivateAttr(default="")

    @model_validator(mode="after")
    def _made_whole(self, info: ValidationInfo) -> Self:
        secrets_needed = not (info.context or {}).get("secrets_may_be_missing", False)
        given = [name for name in ("token", "oauth", "credential") if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(f"has both {given[0]} and {given[1]}; keep the one you use")
        if not given and secrets_needed:
            raise ValueError("has no token; write token: ${CLOVER_TOKEN}, or an oauth section")
        if not self.id:
            _fill(self, "id", ids.connection_id(self.environment, self.merchant_id))
        return self

    @property
    def place(self) -> str:
        """Where in the configuration Clover's address is named, for messages; empty for one that was not loaded."""
        return self._place

    def note_place(self, place: str) -> None:
        """Say it, once, while the file is being loaded."""
        self._place = place

    def name_after(self, company: str) -> None:
        """Take the company's name where no merchant's was written, once, while it is being loaded."""
        if not self.merchant_name:
            _fill(self, "merchant_name", company)

    @property
    def ecommerce_url(self) -> str:
        """Where Clover's Ecommerce API is read, without a trailing slash."""
        return self.base_url or _ECOMMERCE_HOSTS[self.environment]


class Company(Section):
    """A business with one or more Clover merchants.

    fiscal_year_start: the month with which its fiscal year begins, 1 January to 12 December.
    """

    id: Id = ""
    name: Name
    fiscal_year_start: Annotated[int, Field(ge=1, le=12)] = 1
    connections: Annotated[list[Connection], Field(min_length=1)]
    _is_kept: bool = PrivateAttr(default=False)

    @property
    def is_kept(self) -> bool:
        """Whether it comes from the control data (``connector companies``) and not from the file."""
        return self._is_kept

    def note_kept(self) -> None:
        """Say so, once, while it is being read."""
        self._is_kept = True

    @model_validator(mode="after")
    def _made_whole(self) -> Self:
        if not self.id:
            _fill(self, "id", ids.company_id(self.connections[0].id))
        for connection in self.connections:
            connection.name_after(self.name)
        return self


class Config(Section):
    """All of config.yaml.

    store: an absolute directory after loading, or a URL as written: ``ducklake:…``, or a fleet's ``postgresql://…``.
    store_password, bucket, cache: of a fleet alone; see ``fleet``. cache and a bucket that is a directory are absolute
    after loading.

    publish_to: a directory for the published copies alone, absolute after loading; None keeps them in the store.
    publish_group, publish_mode: who may read them there; a group's name or number, the mode of the files in octal.
    key_file: holds the key that encrypts OAuth tokens at rest; absolute after loading, made when needed.
    raw_retention_days: how long Clover's own words are kept for mapping again; None keeps them for ever.
    private_networks: networks that alerts and webhooks may reach beside the public internet.
    link: how merchants connect themselves; None where only the operator connects them.
    """

    store: Annotated[Name, AfterValidator(_store)]
    store_password: Secret | None = None
    bucket: Annotated[Name, AfterValidator(bucket_address)] | None = None
    cache: Path | None = None
    publish_to: Path | None = None
    publish_group: Annotated[str, StringConstraints(pattern=r"^([a-z_][a-z0-9_-]*|\d+)$")] | None = None
    publish_mode: Literal["0400", "0440", "0444"] = "0440"
    companies: Annotated[list[Company], Field(min_length=1)] = Field(
        default=[]
    )  # left out: all are kept as data
    sync: Sync = Sync()
    limits: Limits = Limits()
    api: Api = Api()
    alerts: Alerts = Alerts()
    metrics: Metrics = Metrics()
    scheduler: Scheduler = Scheduler()
    link: Link | None = None
    key_file: Path | None = None
    raw_retention_days: Annotated[int, Field(ge=1)] | None = None
    private_networks: list[Network] = Field(default=[])

    @model_validator(mode="after")
    def _readers_have_a_place(self) -> Self:
        if self.publish_group is not None and self.publish_to is None:
            raise ValueError("publish_group says who may read in publish_to; write that directory too")
        return self

    @model_validator(mode="after")
    def _fleet_is_whole(self) -> Self:
        if not is_database(self.store):
            given = [
                name for name in ("store_password", "bucket", "cache") if getattr(self, name) is not None
            ]
            if given:
                raise ValueError(
                    f"{given[0]} belongs to a fleet, whose store is a database: store: postgresql://user@host/name"
                )
        elif self.bucket is None:
            raise ValueError(
                "a store in PostgreSQL needs a bucket for the data; write bucket: s3://merchants, or a directory that"
                " every host sees"
            )
        elif self.publish_to is not None:
            raise ValueError(
                "publish_to is of a store on one disk; in a fleet the bucket holds what is published"
            )
        return self

    @model_validator(mode="after")
    def _ids_are_unique(self) -> Self:
        companies: dict[str, str] = {}
        connections: dict[str, str] = {}
        for company in self.companies:
            if company.id in companies:
                raise ValueError(
                    f"companies '{companies[company.id]}' and '{company.name}' have the same id {company.id}"
                )
            companies[company.id] = company.name
        for company, connection in self.pairs():
            here = f"'{company.name}' (merchant {connection.merchant_id}, {connection.environment})"
            if connection.id in connections:
                raise ValueError(
                    f"connections of {connections[connection.id]} and {here} have the same id {connection.id}"
                )
            connections[connection.id] = here
        return self

    def pairs(self) -> Iterator[tuple[Company, Connection]]:
        """Every connection with the company it belongs to, in the order of the file."""
        for company in self.companies:
            for connection in company.connections:
                yield company, connection

    def enabled_pairs(self) -> Iterator[tuple[Company, Connection]]:
        """Those of ``pairs`` that are read."""
        return (pair for pair in self.pairs() if pair[1].enabled)

    @property
    def store_directory(self) -> Path:
        """The store as a directory; in a fleet the cache of this host. Only where there is one."""
        return Path(self.store) if self.fleet is None else self.fleet.cache

    @property
    def fleet(self) -> FleetPlace | None:
        """What the store of a fleet stands on; None for a store in a directory."""
        if not is_database(self.store):
            return None
        assert self.bucket is not None, "checked while loading"
        password = None if self.store_password is None else self.store_password.get_secret_value()
        return FleetPlace(self.store, self.bucket, self.cache or Path("cache"), password)

    def secrets(self) -> list[str]:
        """Every secret the file held, for the log's redaction. Keep it out of anything that is shown."""
        found: list[SecretStr | None] = [self.store_password]
        for _company, connection in self.pairs():
            found.append(connection.token)
            if oauth := connection.oauth:
                found += [oauth.client_secret, oauth.refresh_token]
        found += [app.client_secret for app in self.link.apps] if self.link else []
        return [secret.get_secret_value() for secret in found if secret is not None]


def _fill(section: Section, name: str, value: object) -> None:
    """Complete a section while it is being made, before anybody has seen it; afterwards it is frozen."""
    object.__setattr__(section, name, value)
