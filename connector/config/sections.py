"""Sections of config.yaml that stand by themselves: how much, how fast, where, who is told."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from connector.config.values import Name, Network, Port, Section, WebAddress


class Sync(Section):
    """How much is read again, and which orders are published.

    overlap_hours: each run begins this long before the stored cursor, because Clover lists by creation time
    and may show a record late. window_days: the span asked for at first; it grows to 89 where little was sold.
    """

    overlap_hours: Annotated[int, Field(ge=0, le=24 * 31)] = 24
    window_days: Annotated[int, Field(ge=1, le=89)] = 7
    unpaid_orders: Literal["exclude", "include"] = "exclude"

    @property
    def overlap(self) -> timedelta:
        return timedelta(hours=self.overlap_hours)


class Limits(Section):
    """How fast Clover is asked.

    Clover allows 16 requests a second and 5 at a time for a token, 50 and 10 for an app (docs.clover.com, API
    usage and rate limits); the defaults stay below.
    """

    requests_per_second: Annotated[float, Field(gt=0, le=10_000)] = 15
    concurrent_requests: Annotated[int, Field(ge=1, le=1000)] = 5
    app_requests_per_second: Annotated[float, Field(gt=0, le=10_000)] = 45
    app_concurrent_requests: Annotated[int, Field(ge=1, le=1000)] = 9


class Api(Section):
    """Where the read API listens, and what it keeps.

    trusted_proxies: networks of the proxies before it, whose X-Forwarded-For is believed; nobody else's is.
    access_log_days: how long it is kept who read what.
    """

    host: Name = "127.0.0.1"
    port: Port = 8080
    trusted_proxies: list[Network] = Field(default=[])
    access_log_days: Annotated[int, Field(ge=1, le=36_500)] = 90


class Alerts(Section):
    """Who is told when a run fails, when nothing has succeeded for too long, and when it works again.

    stale_after_hours: how long is too long; None takes twice the longest interval of the connection's schedule.
    """

    webhook_url: WebAddress | None = None
    stale_after_hours: Annotated[float, Field(gt=0)] | None = None


class Metrics(Section):
    """textfile: figures of the runs for Prometheus' node exporter, absolute after loading; None writes none.

    company_names: whether businesses may be named there beside their ids.
    """

    textfile: Path | None = None
    company_names: bool = False


class Scheduler(Section):
    """How ``connector schedule`` spreads its runs.

    jitter_seconds: longest delay of a tick, each connection its own. side_by_side: runs at once; one that takes
    long gives its place away. grace_seconds: how long runs may take to end after SIGTERM.
    """

    jitter_seconds: Annotated[int, Field(ge=0, le=3600)] = 60
    side_by_side: Annotated[int, Field(ge=1, le=64)] = 8
    grace_seconds: Annotated[int, Field(ge=0, le=3600)] = 25
