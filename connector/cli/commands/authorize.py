"""``connector authorize``: connect a merchant through Clover's consent page."""

import webbrowser

import click

from connector.cli.invocation import Invocation, pass_invocation
from connector.cli.selection import selected, selection_options


@click.command()
@selection_options
@click.option(
    "--port", default=8912, show_default=True, help="Where Clover's answer arrives on this machine."
)
@click.option("--timeout", default=300.0, show_default=True, help="Seconds to wait for the merchant.")
@click.option("--no-browser", is_flag=True, help="Only print the address; open it yourself.")
@pass_invocation
def authorize(
    invocation: Invocation,
    company: str | None,
    connection: str | None,
    port: int,
    timeout: float,
    no_browser: bool,
) -> int:
    """Open Clover's consent page in the browser and keep the tokens it grants, encrypted.

    For connections with an oauth section. The app's redirect address at Clover must be
    http://127.0.0.1:PORT/callback. The tokens are encrypted with CONNECTOR_KEY or the key_file of the
    configuration, which is made when it is missing.

    \b
    Example:
      connector authorize --connection MHT4QK2Z9WX61

    \b
    Exit codes: 0 connected, 1 the merchant did not agree, 2 config or call wrong
    """
    from connector.errors import ConfigError
    from connector.sync.connect.authorizing import authorize_connection
    from connector.sync.connect.connecting import selected_connections

    config = invocation.config(secrets_may_be_missing=True)
    company_id, connection_id = selected(config, company, connection)
    wanted = [one for _, one in selected_connections(config, company_id, connection_id) if one.oauth]
    if len(wanted) != 1:
        named = ", ".join(one.merchant_id for one in wanted) or "none has an oauth section"
        raise ConfigError(
            f"One connection must be named; {len(wanted)} fit ({named}).",
            hint="connector authorize --connection ID",
        )

    def show(url: str) -> None:
        click.echo(f"Open this address and choose the merchant {wanted[0].merchant_id}:\n  {url}", err=True)

    def stay(_url: str) -> None:
        """Open nothing."""

    merchant = authorize_connection(
        config,
        wanted[0],
        port=port,
        timeout=timeout,
        show=show,
        open_browser=stay if no_browser else webbrowser.open,
    )
    click.echo(f"Connected to merchant {merchant}. Next: connector sync --connection {wanted[0].id}")
    return 0
