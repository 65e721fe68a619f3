"""``connector serve``: the read API and the portal page, one process, stopped by Ctrl-C or SIGTERM."""

from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from connector.cli.invocation import Invocation, pass_invocation
from connector.cli.listening import listen

if TYPE_CHECKING:
    from pathlib import Path

    from connector.config import Config
    from connector.store.api_control import ControlFile


@click.command()
@click.option("--host", metavar="HOST", help="Address to listen on; default api.host of the config.")
@click.option(
    "--port", type=click.IntRange(0, 65535), help="Port; default api.port of the config. 0 takes a free one."
)
@click.option(
    "--public-url", metavar="URL", help="How clients reach this server, for links; default host and port."
)
@click.option(
    "--requests-per-minute",
    type=click.IntRange(1),
    default=60_000,
    show_default=True,
    help="Quota of each key.",
)
@pass_invocation
def serve(
    invocation: Invocation,
    host: str | None,
    port: int | None,
    public_url: str | None,
    requests_per_minute: int,
) -> int:
    """Serve the published data as Codat's API does, to holders of an API key.

    Reads the published file and never disturbs a sync; a new publication is served from the next request on.
    Webhooks are sent from here. Put a proxy with TLS before it when it listens on more than this machine.

    \b
    Examples:
      connector serve
      connector serve --host 0.0.0.0 --port 8080 --public-url https://data.example.com

    \b
    Exit codes: 0 stopped as asked, 2 the config is wrong, or the port is taken
    """
    from connector.api.app import create_app
    from connector.api.connections import Server, ServerConfig, room_for_connections
    from connector.api.state import ApiSettings
    from connector.logs import bound_repeats

    config = invocation.config(secrets_may_be_missing=True)
    host = host or config.api.host
    port = config.api.port if port is None else port
    open_control(config).close()
    server = listen(host, port, hint="Another program may use it: connector serve --port 8081")
    shown = f"[{host}]" if ":" in host else host
    url = (public_url or f"http://{shown}:{server.getsockname()[1]}").rstrip("/")
    app = create_app(
        ApiSettings(
            directory=store_directory(config),
            public_url=url,
            requests_per_minute=requests_per_minute,
            access_log_days=config.api.access_log_days,
        ),
        dispatch=True,
    )
    settings = ServerConfig(
        app,
        trusted_proxies=tuple(config.api.trusted_proxies),
        most_connections=room_for_connections(),
    )
    bound_repeats()
    click.echo(f"Serving {url}/ - Ctrl-C stops. Keys: connector keys create", err=True)
    # uvicorn ends in good order, and then sends itself the signal again that told it to.
    with server, suppress(KeyboardInterrupt):
        Server(settings).run(sockets=[server])
    return 0


def open_control(config: "Config") -> "ControlFile":
    """The control file of the store, with the config's companies and connections in it."""
    from connector.api.state import TABLES
    from connector.store.api_companies import take_from_config
    from connector.store.api_control import ControlFile

    control = ControlFile(store_directory(config), *TABLES)
    take_from_config(
        control,
        [(c.id, c.name, [connection.id for connection in c.connections]) for c in config.companies],
        now=datetime.now(UTC),
    )
    return control


def store_directory(config: "Config") -> "Path":
    """Where the store keeps its files."""
    from connector.store import open_store

    return open_store(config.store).directory
