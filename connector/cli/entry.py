"""Where ``connector`` begins and ends: finds the command, turns every failure into words and an exit code."""

import difflib
import importlib
import os
import signal
import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from connector.cli.invocation import Invocation, global_options
from connector.cli.registry import COMMANDS
from connector.cli.terminal.stopping import Interruption
from connector.errors import ConnectorError

EXIT_CODES = """\b
Exit codes:
  0  done
  1  failed
  2  the configuration or the call is wrong
  3  partly done: some companies failed, or some records are held back
  4  another run holds the lock
  130 or 143  cut short by Ctrl-C or SIGTERM; what was loaded is kept"""


class CommandTable(click.Group):
    """A group whose commands are imported only when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        module, attribute, _help = COMMANDS[cmd_name]
        command: click.Command = getattr(importlib.import_module(module), attribute)
        _take_global_options(command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in COMMANDS and not args[0].startswith("-"):
            close = difflib.get_close_matches(args[0], COMMANDS, n=1, cutoff=0.5)
            meant = f"Did you mean {close[0]}?" if close else "connector --help lists them."
            raise click.UsageError(f"There is no command '{args[0]}'. {meant}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_module, _attribute, line) in COMMANDS.items()])


def _take_global_options(command: click.Command) -> None:
    """Give a command, and every command below it, the options that may stand anywhere."""
    names = {parameter.name for parameter in command.params}
    command.params += [option for option in global_options() if option.name not in names]
    for below in command.commands.values() if isinstance(command, click.Group) else ():
        _take_global_options(below)


def _version(context: click.Context, _parameter: click.Parameter, value: bool) -> None:
    if not value or context.resilient_parsing:
        return
    from importlib.metadata import PackageNotFoundError, version

    try:
        click.echo(f"connector {version('clover-codat-connector')}")
    except PackageNotFoundError:
        click.echo("connector, not installed: running from a checkout")
    context.exit()


@click.command(
    cls=CommandTable,
    params=[
        *global_options(),
        click.Option(
            ["--version"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_version,
            help="Print the version.",
        ),
    ],
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog=EXIT_CODES,
)
@click.pass_obj
def root(invocation: Invocation) -> None:
    """Clover Ecommerce sales in Codat's commerce schema, in DuckDB.

    Reads charges, orders and refunds from Clover, maps them to Codat orders, and publishes a read-only DuckDB
    file that analysts open and lenders read through a Codat-compatible API.

    \b
    New here?        connector demo
    Your own shop:   connector init, then fill in config.yaml, then
                     connector check && connector sync && connector status

    `connector COMMAND --help` explains a command, with examples.
    """
    invocation.start_logging()


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """The console script: run, and leave with the exit code."""
    interruption = Interruption()
    interruption.listen()
    sys.exit(run(arguments, interruption))


def run(arguments: Sequence[str] | None = None, interruption: Interruption | None = None) -> int:
    """Run one call and return its exit code; nothing but the code leaves here."""
    invocation = Invocation(interruption=interruption or Interruption())
    # Whatever is written holds sales and customers: for its owner alone, in every directory. What others should read
    # is given to them where it is made.
    umask = os.umask(0o077)
    try:
        return _run(arguments, invocation)
    finally:
        os.umask(umask)


def _run(arguments: Sequence[str] | None, invocation: Invocation) -> int:
    try:
        result = root.main(
            args=None if arguments is None else list(arguments),
            prog_name="connector",
            standalone_mode=False,
            obj=invocation,
        )
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader (`| head`) has seen enough. Without this Python would complain once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (Exception, KeyboardInterrupt) as error:
        # A signal comes out of the code it interrupts in many shapes: DuckDB makes a RuntimeError of it.
        number = invocation.interruption.number
        if number is not None or isinstance(error, KeyboardInterrupt | click.Abort):
            _report(
                invocation, "stopped", "Stopped. What was published before is as it was.", None, trace=False
            )
            return 128 + (number or signal.SIGINT)
        return _failed(invocation, error)
    return result if isinstance(result, int) else 0


def _failed(invocation: Invocation, error: Exception) -> int:
    match error:
        case ConnectorError():
            _report(invocation, error.kind, error.message, error.hint)
            return error.exit_code
        case click.ClickException():
            error.show()
            return 2
        case OSError():
            where = f" ({error.filename})" if error.filename else ""
            _report(
                invocation, "system", f"The system refused: {error.strerror or error}{where}.", _advice(error)
            )
        case _ if damaged := _damage_in(error):
            _report(
                invocation,
                "store",
                f"A file of the store is damaged: {damaged}. Nothing was changed.",
                "connector check says which; connector sync makes it anew from what is good.",
            )
        case _:
            _report(
                invocation,
                "bug",
                f"This should not happen: {type(error).__name__}.",
                "Run it again with --verbose and report what it prints. What was published before is as it was.",
            )
    return 1


def _damage_in(error: Exception) -> str | None:
    if "duckdb" not in sys.modules:  # not loaded for commands that read no store
        return None
    import duckdb

    from connector.ledger.database import damage_in

    return damage_in(error) if isinstance(error, duckdb.Error) else None


def _advice(error: OSError) -> str | None:
    import errno

    return {
        errno.ENOSPC: "Free some space on the disk that holds the store, then run the same command again.",
        errno.EACCES: "Check who owns the file or directory; run as the user who owns the store.",
        errno.EPERM: "Check who owns the file or directory; run as the user who owns the store.",
        errno.EROFS: "The file system is read-only; move the store, or remount it.",
    }.get(error.errno or 0)


def _report(invocation: Invocation, kind: str, message: str, hint: str | None, *, trace: bool = True) -> None:
    from connector.redaction import redact
    from connector.redaction import trace as calls_of

    message, hint = redact(message), redact(hint) if hint else None
    if invocation.verbose and trace and (error := sys.exception()) is not None:
        click.echo(calls_of(error), err=True)
    click.echo(f"Error: {message}", err=True)
    if hint:
        click.echo(f"Next:  {hint}", err=True)
    if invocation.json:
        from connector.cli.terminal.output import json_text

        click.echo(json_text({"error": {"kind": kind, "message": message, "hint": hint}}))
