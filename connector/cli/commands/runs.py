"""``connector runs``: what each run did and how it ended."""

from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from connector.cli.invocation import Invocation, json_option, pass_invocation
from connector.cli.published import published_of
from connector.cli.selection import selected, selection_options
from connector.cli.terminal.output import console, json_text, say, table
from connector.cli.terminal.times import ago
from connector.errors import ConfigError
from connector.redaction import redact

_COLUMNS = (
    "run_id", "company_id", "connection_id", "kind", "started_at", "finished_at", "status", "requests", "retries",
    "throttled", "waited_seconds", "rows_read", "orders_inserted",
    "orders_updated", "orders_unchanged", "orders_held_back", "error_kind", "error", "snapshot_id",
)  # fmt: skip
Row = dict[str, Any]

if TYPE_CHECKING:
    import duckdb


@click.group(invoke_without_command=True)
@selection_options
@click.option("--failed", is_flag=True, help="Only runs that failed or were partly done.")
@click.option("--last", type=click.IntRange(1), default=20, show_default=True, help="How many, newest first.")
@json_option
@click.pass_context
def runs(
    context: click.Context,
    company: str | None,
    connection: str | None,
    failed: bool,
    last: int,
    as_json: bool,
) -> int:
    """List runs, newest first; `connector runs show ID` explains one.

    \b
    Examples:
      connector runs
      connector runs --failed --company "Juniper Goods"
      connector runs show 20261120T040000-1f2e3d4c
    """
    if context.invoked_subcommand is not None:
        return 0
    invocation = context.ensure_object(Invocation)
    config = invocation.config(secrets_may_be_missing=True)
    company_id, connection_id = selected(config, company, connection)
    wanted = "TRUE" if not failed else "status IN ('failed', 'partly_done')"
    found = _rows(
        published_of(invocation, config, company_id),
        f"{wanted} AND (? IS NULL OR company_id = ?) AND (? IS NULL OR connection_id = ?)",
        [company_id, company_id, connection_id, connection_id],
        most=last,
    )
    if as_json:
        click.echo(json_text({"runs": [_document(row) for row in found]}))
        return 0
    now = datetime.now(UTC)
    names = {one.id: company.name for company, one in config.pairs()}
    lines: list[tuple[str, ...]] = [
        (
            row["run_id"],
            names.get(row["connection_id"]) or str(row["company_id"]),
            row["kind"],
            f"{ago(_utc(row['started_at']), now)} ago",
            _took(row) or "",
            row["status"].replace("_", " "),
            f"{row['requests'] or 0:,}",
            f"{row['orders_inserted'] or 0:,}",
            f"{row['orders_updated'] or 0:,}",
            row["error_kind"] or "",
        )
        for row in found
    ]
    columns = ("run", "company", "kind", "began", "took", "status", "requests", "new", "changed", "error")
    numbers = frozenset({"took", "requests", "new", "changed"})
    words, spare = frozenset({"company"}), ("kind", "requests", "changed", "new")
    console().print(table(None, columns, lines, numbers=numbers, words=words, spare=spare))
    return 0


@runs.command("show")
@click.argument("run_id")
@click.option("--company", metavar="ID", help="Whose run it is, by id or name; needed in a fleet alone.")
@json_option
@pass_invocation
def show(invocation: Invocation, run_id: str, company: str | None, as_json: bool) -> int:
    """Everything known of one run, and what to type next if it failed. The beginning of the id is enough.

    \b
    Example:
      connector runs show 20261120T040000
    """
    config = invocation.config(secrets_may_be_missing=True)
    company_id, _ = selected(config, company, None)
    found = _rows(published_of(invocation, config, company_id), "starts_with(run_id, ?)", [run_id], most=3)
    if not found:
        raise ConfigError(f"There is no run {run_id}.", hint="connector runs")
    if len(found) > 1 and found[0]["run_id"] != run_id:
        raise ConfigError(
            f"Several runs begin with {run_id}.", hint="One of: " + ", ".join(row["run_id"] for row in found)
        )
    if as_json:
        click.echo(json_text(_document(found[0])))
        return 0
    names = {one.id: company.name for company, one in config.pairs()}
    _print_run(found[0], names.get(found[0]["connection_id"]) or found[0]["company_id"], datetime.now(UTC))
    return 0


def _print_run(row: Row, company: str, now: datetime) -> None:
    """One run in words. What an earlier version did not record is left out."""
    say(f"{row['kind'].capitalize()} of {company}: {row['status'].replace('_', ' ')}.")
    began = _utc(row["started_at"])
    took = _took(row)
    requests = [_counted(row, "requests", ""), _counted(row, "retries", "tried again")]
    requests += [_counted(row, "throttled", "refused for their pace")]
    if row["waited_seconds"]:
        requests.append(f"waited {row['waited_seconds']:,.0f} s for Clover")
    read = [_counted(row["rows_read"] or {}, stream, stream) for stream in row["rows_read"] or {}]
    orders = [
        _counted(row, f"orders_{name}", word)
        for name, word in (("inserted", "new"), ("updated", "changed"), ("unchanged", "unchanged"),
                           ("held_back", "held back"))
    ]  # fmt: skip
    facts = {
        "run": row["run_id"],
        "began": f"{began:%Y-%m-%d %H:%M:%S} UTC, {ago(began, now)} ago",
        "took": took or "not finished",
        "requests": ", ".join(filter(None, requests)),
        "read": ", ".join(filter(None, read)),
        "orders": ", ".join(filter(None, orders)),
        "snapshot": "none made" if row["snapshot_id"] is None else str(row["snapshot_id"]),
    }
    for name, fact in facts.items():
        if fact:
            click.echo(f"  {name:9} {fact}")
    document = _document(row)
    if document["error"]:
        say(f"{document['error']}", indent="  ")
    if document["next"]:
        click.echo(f"  Next: {document['next']}")


def _counted(row: Row, column: str, word: str) -> str:
    return "" if row[column] is None else f"{row[column]:,} {word}".rstrip()


def _rows(
    opened: "AbstractContextManager[duckdb.DuckDBPyConnection]",
    condition: str,
    values: list[Any],
    *,
    most: int,
) -> list[Row]:
    with opened as published:
        rows = published.execute(
            f"SELECT {', '.join(_COLUMNS)} FROM ledger.sync_runs WHERE {condition}"  # noqa: S608
            " ORDER BY started_at DESC, run_id DESC LIMIT ?",
            [*values, most],
        ).fetchall()
    return [dict(zip(_COLUMNS, row, strict=True)) for row in rows]


def _document(row: Row) -> dict[str, Any]:
    from connector.schedule.advice import next_command

    failed = row["status"] == "failed"
    return {
        "runId": row["run_id"],
        "companyId": row["company_id"],
        "connectionId": row["connection_id"],
        "kind": row["kind"],
        "status": row["status"],
        "startedAt": _utc(row["started_at"]),
        "finishedAt": None if row["finished_at"] is None else _utc(row["finished_at"]),
        "requests": {name: row[name] for name in ("requests", "retries", "throttled")},
        "waitedSeconds": row["waited_seconds"],
        "rowsRead": row["rows_read"] or {},
        "orders": {name: row[f"orders_{name}"] for name in ("inserted", "updated", "unchanged")},
        "heldBack": row["orders_held_back"],
        "snapshotId": row["snapshot_id"],
        "errorKind": row["error_kind"],
        "error": None if row["error"] is None else redact(row["error"]),
        "next": next_command(row["error_kind"], company_id=row["company_id"]) if failed else None,
    }


def _took(row: Row) -> str | None:
    if row["finished_at"] is None:
        return None
    return f"{(row['finished_at'] - row['started_at']).total_seconds():,.0f} s"


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC)
