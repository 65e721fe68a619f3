"""``connector demo``: the whole way, from a stand-in Clover to a published file, in one command."""

from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import click

from connector.cli.invocation import Invocation, json_option, pass_invocation
from connector.cli.processes.stand_in import StandIn, stand_in
from connector.cli.terminal.output import json_text
from connector.cli.terminal.progress import watching
from connector.cli.terminal.reconciliation import print_reconciliation
from connector.cli.terminal.summary import print_failures, print_next, print_runs, print_store
from connector.errors import ConfigError
from connector.files import replace_private

NEXT = ('query "FROM monthly_sales ORDER BY month"', "status", "dictionary orders")

MADE_BY = "connector demo"

MARK = "# Written by connector demo; running it again rewrites this file.\n"


@click.command()
@click.option(
    "--dir",
    "directory",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("demo"),
    show_default=True,
    help="Where config and store are kept.",
)
@click.option(
    "--serve", "serving", is_flag=True, help="Keep the sandbox and the read API running, until Ctrl-C."
)
@click.option(
    "--orders", type=click.IntRange(1, 1_000_000), default=500, show_default=True, help="The shop's size."
)
@click.option("--seed", type=int, default=1, show_default=True, help="Another seed is another shop.")
@json_option
@pass_invocation
def demo(
    invocation: Invocation, directory: Path, serving: bool, orders: int, seed: int, as_json: bool
) -> int:
    """Try everything against the bundled sandbox; no account at Clover is needed.

    Starts the stand-in Clover on loopback, writes a config into ./demo, syncs, reconciles, prints a summary
    and stops. Running it again changes nothing: the same shop is read and every order is known.

    \b
    Examples:
      connector demo
      connector demo --orders 5000 --dir /tmp/demo
      connector demo --serve

    With --serve it also shows the link of a made-up applicant: open it, agree on the stand-in's consent page, and the
    second shop is read within seconds.

    \b
    Exit codes: 0 done and reconciled, 1 failed, 2 --dir holds somebody's config, 3 partly done, 4 another run
    """
    invocation.config_path = directory / "config.yaml"
    _refuse_foreign_config(invocation.config_path)
    with stand_in(orders=orders, seed=seed, asks=True) as clover:
        directory.mkdir(parents=True, exist_ok=True)
        replace_private(invocation.config_path, demo_config(clover, orders=orders, seed=seed).encode())
        code = _sync_and_reconcile(invocation, as_json=as_json)
        if serving and code in (0, 3):
            _serve(invocation, clover)
    return code


def demo_config(clover: StandIn, *, orders: int, seed: int) -> str:
    """The text of the demo's config.yaml: made to be read, and to be edited into a real one."""
    port = urlsplit(clover.base_url).port
    return f"""{MARK}
store: ./data
companies:
  - name: {clover.merchant_name}
    connections:
      - source: clover-ecommerce
        environment: sandbox
        # The stand-in; without this line Clover's own sandbox would be asked. It has stopped with the demo, so that
        # a sync is refused here. To start the same shop again, in another terminal:
        #   connector sandbox --port {port} --orders {orders} --seed {seed}
        base_url: {clover.base_url}
        merchant_id: {clover.merchant_id}
        country: {clover.country}
        timezone: {clover.timezone}
        # Opens the stand-in and nothing else.
        token: {clover.token}
        start_date: {clover.start_date.isoformat()}
# The stand-in has no limits; leave this section out for Clover.
limits: {{requests_per_second: 1000, app_requests_per_second: 1000}}
# Merchants connect themselves: `connector demo --serve` shows a link to try it with the stand-in's second shop.
link:
  name: Demo Lending
  redirect_url: http://127.0.0.1:8080/link/callback
  start_date: {clover.start_date.isoformat()}
  apps:
    - {{environment: sandbox, base_url: "{clover.base_url}", client_id: {clover.client_id},
       client_secret: {clover.client_secret}}}
"""


def _sync_and_reconcile(invocation: Invocation, *, as_json: bool) -> int:
    from connector.sync.many import sync_all
    from connector.sync.reconcile.run import reconcile_all
    from connector.sync.runtime import Runtime

    config = invocation.config()
    store = invocation.store(config)
    with watching(log_format=invocation.log_format, verbose=invocation.verbose) as progress:
        runtime = Runtime.of(config, store)
        # A merchant who connected himself in an earlier demo did so at a stand-in that has stopped.
        report = sync_all(runtime, company=config.companies[0].id, progress=progress)
        checked = reconcile_all(runtime, company=config.companies[0].id, progress=progress)
    if as_json:
        click.echo(json_text({"sync": report.as_json(), "reconcile": checked.as_json()}))
    else:
        print_runs(report, invocation.config_path)
        print_store(report, config.store)
        click.echo()
        print_reconciliation(checked)
        if not print_failures(report, invocation.config_path):
            print_next(NEXT, invocation.config_path)
    return report.exit_code or checked.exit_code


def _refuse_foreign_config(path: Path) -> None:
    if path.exists() and not path.read_text(encoding="utf-8", errors="replace").startswith(MARK):
        raise ConfigError(
            f"{path} was not written by the demo; nothing was touched.",
            hint="Choose another --dir, or remove it.",
        )


def _serve(invocation: Invocation, clover: StandIn) -> None:
    from connector.cli.entry import run

    click.echo(f"The stand-in Clover listens on {clover.base_url}; Ctrl-C stops everything.", err=True)
    click.echo(
        f"To connect its second shop as a merchant would, open this link:\n  {_link(invocation)}", err=True
    )
    run(["--config", str(invocation.config_path), "serve", "--schedule"])


def _link(invocation: Invocation) -> str:
    """The link of a new applicant, made as a client of the API makes one; the one of an earlier demo goes.

    What that one had connected was a stand-in that has stopped.
    """
    import uuid

    from connector.cli.commands.serve import open_control
    from connector.control import companies
    from connector.control.companies import CompanyRow, ConnectionRow
    from connector.control.file import stamp
    from connector.ledger.interface import now_utc
    from connector.link.linking import linking_of

    config, now = invocation.config(), now_utc()
    company_id, connection_id = str(uuid.uuid4()), str(uuid.uuid4())
    with closing(open_control(config)) as control:
        for earlier in companies.list_companies(control):
            if earlier.created_by == MADE_BY:
                companies.delete_company(control, earlier.company_id, now=now)
        applicant = CompanyRow(company_id, "First Applicant", None, {}, stamp(now), MADE_BY, origin="api")
        companies.create_company(control, applicant)
        waiting = ConnectionRow(connection_id, company_id, "PendingAuth", stamp(now), origin="api")
        companies.create_connection(control, waiting)
    linking = linking_of(config)
    assert linking is not None, "the demo's config has the section"
    return linking.address(company_id, connection_id, now)
