"""``connector forget``: a company's data, removed everywhere."""

import click

from connector.cli.invocation import Invocation, json_option, pass_invocation
from connector.cli.terminal.output import bytes_text, json_text


@click.command()
@click.option("--company", required=True, metavar="ID", help="The company's id, or its name in the config.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@pass_invocation
def forget(invocation: Invocation, company: str, yes: bool, as_json: bool) -> int:
    """Remove a company for good: orders with all their history, raw payloads, published copies, runs, OAuth pairs,
    requests, alerts and the log of who read it, of which only a number without names is kept.

    Afterwards every file of the store is searched for the company's ids and those of its records; exit 1 when
    anything is left. It says first what room on the disk it needs, and makes that room on a full one. Backups, and
    what others have copied, must be deleted where they are.

    \b
    Example:
      connector forget --company 8a210b68-6988-11ed-a1eb-0242ac120002

    \b
    Exit codes: 0 nothing is left, 1 something is, 2 no such company, 4 it is being read at this moment
    """
    from connector.ledger.interface import now_utc
    from connector.ledger.keep.forget import room_to_forget
    from connector.schedule.after_runs import write_metrics
    from connector.schedule.forget_company import forget_company, ids_of
    from connector.schedule.history import past_of

    config = invocation.config(secrets_may_be_missing=True)
    store = invocation.store(config)
    by_name = {one.name.casefold(): one.id for one in config.companies}
    company_id = by_name.get(company.casefold(), company)
    ids = ids_of(config, store.store_of(company_id), company_id)
    needed, free = room_to_forget(store.directory)
    click.echo(
        f"Needs up to {bytes_text(needed)} of disk while it runs; {bytes_text(free)} are free.", err=True
    )
    if free < needed:
        click.echo(
            "The company's payloads, older copies, and then one of the two files of the ledger that hold the same go"
            " first to make that room.",
            err=True,
        )
    if not yes:
        click.confirm(
            f"Remove company {company_id} with {len(ids.connection_ids)} connection(s) for good?",
            abort=True,
            err=True,
        )
    forgotten = forget_company(config, store, company_id, now=now_utc())
    write_metrics(config, store, [], past_of(config, store, now_utc()), now=now_utc())
    is_configured = any(one.id == company_id and not one.is_kept for one in config.companies)
    if as_json:
        click.echo(
            json_text(
                {
                    "companyId": company_id,
                    "connectionIds": list(ids.connection_ids),
                    "removed": dict(forgotten.removed),
                    "searchedFor": len(forgotten.ids.words),
                    "room": {"neededBytes": needed, "freeBytes": free},
                    "left": [trace.where for trace in forgotten.traces],
                    "stillInConfig": is_configured,
                }
            )
        )
    else:
        for place, count in forgotten.removed.items():
            if count:
                click.echo(f"  {count:>8,}  {place}")
        for trace in forgotten.traces:
            click.echo(f"LEFT: {trace.where}", err=True)
        if not forgotten.traces:
            click.echo(
                f"Searched every file of the store for {len(forgotten.ids.words)} ids: nothing is left."
            )
        if is_configured:
            click.echo("Next: take the company out of the config, or the next sync reads it again.")
    return 1 if forgotten.traces else 0
