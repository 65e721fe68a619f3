"""What one call of ``connector`` was given: the global options, and the config and store they lead to."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from connector.cli.terminal.stopping import Interruption

if TYPE_CHECKING:
    from connector.config import Config
    from connector.errors import StoreError
    from connector.ledger import Store
    from connector.logs import LogFormat

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(slots=True)
class Invocation:
    """The global options. ``json``: standard output holds one JSON document and nothing else."""

    config_path: Path = Path("config.yaml")
    log_format: "LogFormat | None" = None
    verbose: bool = False
    json: bool = False
    interruption: Interruption = field(default_factory=Interruption)

    def config(self, *, secrets_may_be_missing: bool = False, all_or_none: bool = False) -> "Config":
        """The checked configuration with the companies kept as data; its secrets are hidden in logs from here on.

        all_or_none: raises StoreError when the control data cannot be read; else those of the file, if it has any, are
        read on, and the log says so.
        """
        from connector.config import load_config
        from connector.control.kept import with_kept
        from connector.control.place import control_place
        from connector.errors import StoreError
        from connector.redaction import remember_secrets

        config = load_config(self.config_path, secrets_may_be_missing=secrets_may_be_missing)
        remember_secrets(config.secrets())
        try:
            return with_kept(config, control_place(config))
        except StoreError as error:
            if all_or_none or not config.companies or config.fleet is not None:
                raise
            self._say_unreadable(error)
            return config

    def _say_unreadable(self, error: "StoreError") -> None:
        from connector.logs import get_logger

        get_logger(__name__).error(
            "control.unreadable",
            error=error.message,
            hint=error.hint,
            effect="companies that are kept as data are passed over",
        )

    def store(self, config: "Config") -> "Store":
        """The store the configuration names."""
        from connector.ledger import PublishTo, open_store

        publish_to = None
        if config.publish_to is not None:
            publish_to = PublishTo(config.publish_to, config.publish_group, int(config.publish_mode, 8))
        return open_store(config.store, publish_to=publish_to, fleet=config.fleet)

    def start_logging(self) -> None:
        """Set logging up as the options given so far say."""
        from connector.logs import configure_logging

        configure_logging(self.log_format, verbose=self.verbose)


pass_invocation = click.make_pass_decorator(Invocation, ensure=True)


def json_option(command: F) -> F:
    """``--json`` for commands that can answer with one JSON document."""

    def chosen(context: click.Context, _parameter: click.Parameter, value: bool) -> bool:
        context.ensure_object(Invocation).json = value
        return value

    return click.option(
        "--json", "as_json", is_flag=True, callback=chosen, help="Print one JSON document and nothing else."
    )(command)


def global_options() -> list[click.Option]:
    """``--config``, ``--log-format`` and ``--verbose``; they may stand before or after the command's name."""

    def remember(context: click.Context, parameter: click.Parameter, value: object) -> None:
        # Before and after the command are two parses: only what was really given may overwrite.
        source = context.get_parameter_source(parameter.name or "")
        invocation = context.ensure_object(Invocation)
        given = source in (click.core.ParameterSource.COMMANDLINE, click.core.ParameterSource.ENVIRONMENT)
        on_command = context.parent is not None
        if not given or (on_command and source is click.core.ParameterSource.ENVIRONMENT):
            return
        setattr(invocation, parameter.name or "", value)
        if on_command:
            invocation.start_logging()

    return [
        click.Option(
            ["--config", "config_path"],
            type=click.Path(path_type=Path),
            envvar="CONNECTOR_CONFIG",
            metavar="PATH",
            help="The configuration; default ./config.yaml, or CONNECTOR_CONFIG.",
            expose_value=False,
            callback=remember,
        ),
        click.Option(
            ["--log-format"],
            type=click.Choice(["console", "json"]),
            help="Log lines on standard error; default console on a terminal, json elsewhere.",
            expose_value=False,
            callback=remember,
        ),
        click.Option(
            ["--verbose"],
            is_flag=True,
            default=None,
            help="More log lines, and tracebacks.",
            expose_value=False,
            callback=remember,
        ),
    ]
