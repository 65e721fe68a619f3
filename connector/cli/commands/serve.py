"""``connector serve``: the read API and the portal, in one or more processes, stopped by Ctrl-C or SIGTERM."""

import os
import socket
import tempfile
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial, wraps
from pathlib import Path
from typing import TYPE_CHECKING

import click

from connector.cli.invocation import Invocation, pass_invocation
from connector.cli.processes.listening import listen
from connector.cli.processes.scheduling import scheduling
from connector.cli.processes.workers import run_workers

if TYPE_CHECKING:
    from connector.config import Config
    from connector.control.database import ControlDatabase


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen and how clients get there; None takes the config's."""

    host: str | None
    port: int | None
    public_url: str | None


def _address_options(command: Callable[..., int]) -> Callable[..., int]:
    @click.option("--host", metavar="HOST", help="Address to listen on; default api.host of the config.")
    @click.option(
        "--port",
        type=click.IntRange(0, 65535),
        help="Port; default api.port of the config. 0 takes a free one.",
    )
    @click.option(
        "--public-url", metavar="URL", help="How clients reach this server, for links; default host and port."
    )
    @wraps(command)
    def with_address(
        *given: object, host: str | None, port: int | None, public_url: str | None, **more: object
    ) -> int:
        return command(*given, address=Address(host, port, public_url), **more)

    return with_address


@click.command()
@_address_options
@click.option(
    "--requests-per-minute",
    type=click.IntRange(1),
    default=60_000,
    show_default=True,
    help="Quota of each key.",
)
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="Processes that answer; each may take some 300 MB, and two cores.",
)
@click.option(
    "--schedule", "schedules", is_flag=True, help="Run the schedule here too, instead of connector schedule."
)
@pass_invocation
def serve(
    invocation: Invocation, address: Address, requests_per_minute: int, workers: int, schedules: bool
) -> int:
    """Serve the published data to holders of an API key: as Codat's API does, and as pages for people.

    Reads the published file and never disturbs a sync; a new snapshot is served from the next request on.
    Webhooks are sent from here, and merchants connect themselves here where the config has a section `link`.
    Put a proxy with TLS before it when it listens on more than this machine.

    \b
    Examples:
      connector serve
      connector serve --host 0.0.0.0 --port 8080 --public-url https://data.example.com
      connector serve --workers 4
      connector serve --schedule

    \b
    Exit codes: 0 stopped as asked, 2 the config is wrong, or the port is taken, 4 another scheduler holds the store
    """
    config = invocation.config(secrets_may_be_missing=True)
    if schedules and workers > 1:
        raise click.UsageError("--schedule goes with one worker; with more, run connector schedule beside.")
    host = address.host or config.api.host
    port = config.api.port if address.port is None else address.port
    with ExitStack() as held:
        shared = None
        if workers > 1:
            shared = held.enter_context(tempfile.TemporaryDirectory(prefix="connector-serve-"))
            # Read when prometheus_client is imported, which is below: then each worker's figures are added up.
            os.environ["PROMETHEUS_MULTIPROC_DIR"] = shared
        server = _listening(config, host, port)
        held.enter_context(server)
        shown = f"[{host}]" if ":" in host else host
        url = (address.public_url or f"http://{shown}:{server.getsockname()[1]}").rstrip("/")
        work = partial(_answer, config, server, url, requests_per_minute, shared)
        if schedules:
            held.enter_context(scheduling(invocation))
        click.echo(f"Serving {url}/ - Ctrl-C stops. Keys: connector keys create", err=True)
        if workers == 1:
            work()
        else:
            run_workers(workers, work)
    return 0


def _listening(config: "Config", host: str, port: int) -> socket.socket:
    open_control(config).close()
    return listen(host, port, hint="Another program may use it: connector serve --port 8081")


def _answer(
    config: "Config", server: socket.socket, url: str, requests_per_minute: int, shared: str | None
) -> None:
    """Answer what comes in on ``server`` until told to stop. shared: a directory of all workers."""
    from connector.api.door.connections import Server, ServerConfig, room_for_connections
    from connector.api.state import ApiSettings
    from connector.cli.processes.planned import PlannedConnections
    from connector.control.place import control_place
    from connector.link.app import create_app
    from connector.link.linking import linking_of
    from connector.logs import bound_repeats

    app = create_app(
        ApiSettings(
            directory=store_directory(config),
            control=control_place(config),
            fleet=config.fleet,
            public_url=url,
            requests_per_minute=requests_per_minute,
            access_log_days=config.api.access_log_days,
            private_networks=config.private_networks,
            planned=PlannedConnections(config),
            shared=None if shared is None else Path(shared),
        ),
        linking_of(config),
        dispatch=True,
    )
    settings = ServerConfig(
        app, trusted_proxies=tuple(config.api.trusted_proxies), most_connections=room_for_connections()
    )
    bound_repeats()
    # uvicorn ends in good order, and then sends itself the signal again that told it to.
    with suppress(KeyboardInterrupt):
        Server(settings).run(sockets=[server])


def open_control(config: "Config") -> "ControlDatabase":
    """The control data of the store, with the config's companies and connections in it."""
    from connector.api.state import TABLES
    from connector.control.companies import take_from_config
    from connector.control.place import control_place
    from connector.control.place import open_control as open_control_data

    control = open_control_data(control_place(config), *TABLES)
    take_from_config(
        control,
        [(c.id, c.name, [one.id for one in c.connections]) for c in config.companies if not c.is_kept],
        now=datetime.now(UTC),
    )
    return control


def store_directory(config: "Config") -> Path:
    """Where the store keeps its files; in a fleet the cache of this host."""
    from connector.ledger import open_store

    return open_store(config.store, fleet=config.fleet).directory
