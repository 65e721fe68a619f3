"""``connector evidence``: a connection's data in one signed file, and the offline check of such a file."""

import base64
from datetime import UTC, datetime
from pathlib import Path

import click

from connector.cli.invocation import Invocation, json_option, pass_invocation
from connector.cli.selection import selected
from connector.cli.terminal.output import json_text
from connector.errors import ConfigError


@click.group()
def evidence() -> None:
    """Sealed evidence: orders, figures, reconciliation and lineage of a snapshot, hashed, signed, checked offline."""


@evidence.command()
@click.option(
    "--to", "target", type=click.Path(path_type=Path, dir_okay=False), required=True, metavar="FILE",
    help="The file to write; one that is there is replaced.",
)  # fmt: skip
@click.option(
    "--company", metavar="ID", help="The company, by id or name; may be left out where there is one."
)
@click.option("--connection", metavar="ID", help="The connection, by id or merchant id.")
@click.option(
    "--snapshot", type=click.IntRange(0), metavar="N", help="The state at this snapshot; default the newest."
)
@json_option
@pass_invocation
def make(
    invocation: Invocation,
    target: Path,
    company: str | None,
    connection: str | None,
    snapshot: int | None,
    as_json: bool,
) -> None:
    """Seal one connection in a file. The key is made on first use: <store>/evidence.key.

    \b
    Examples:
      connector evidence make --to juniper.zip
      connector evidence make --to juniper.zip --company "Juniper Goods" --snapshot 41

    \b
    Exit codes: 0 done, 1 nothing published yet, 2 no such company, connection or snapshot
    """
    from connector.api.evidence.key import fingerprint, public_half, signing_key
    from connector.api.evidence.seal import Evidence, seal
    from connector.api.reading import Reading
    from connector.api.reads.runs import snapshot_up_to, states_of
    from connector.api.routes.evidence import quality_members
    from connector.ledger.connection_state import UNKNOWN
    from connector.ledger.published import Published

    config = invocation.config(secrets_may_be_missing=True)
    company_id, connection_id = selected(config, company, connection)
    pairs = [
        (owner, one)
        for owner, one in config.pairs()
        if company_id in (None, owner.id) and connection_id in (None, one.id)
    ]
    if len(pairs) != 1:
        raise ConfigError(
            f"{len(pairs)} connections fit; an evidence file holds one.",
            hint="Add --company or --connection: " + ", ".join(one.id for _, one in pairs),
        )
    [(owner, one)] = pairs
    directory = config.store_directory
    published = Published(directory)
    draft = target.with_name(f".{target.name}.new")
    try:
        with published.open() as publication:
            state = states_of(publication).get(one.id, UNKNOWN)
            newest = state.newest_snapshot or 0
            asked = newest if snapshot is None else snapshot
            found = snapshot_up_to(publication, one.id, asked) if asked <= newest else None
            if found is None:
                raise ConfigError(f"This connection has no snapshot {asked}; its newest is {newest}.")
            quality = Reading(publication, state, owner.id, one.id, found).quality
            wanted = Evidence(owner.id, owner.name, one.id, found, quality_members(quality))
            key = signing_key(directory)
            with draft.open("wb") as file:
                draft.chmod(0o600)  # it holds somebody's books
                manifest = seal(publication, wanted, file, key=key, at=datetime.now(UTC))
        draft.replace(target)
    finally:
        published.close()
        draft.unlink(missing_ok=True)
    print_of = fingerprint(public_half(key))
    if as_json:
        click.echo(json_text({"file": str(target), "fingerprint": print_of, "manifest": manifest}))
        return
    orders = manifest["files"]["orders.ndjson"]["lines"]
    click.echo(f"{target}: {orders} orders of {owner.name} at snapshot {found}, signed by key {print_of}")


@evidence.command()
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option(
    "--key", metavar="KEY", help="The public key (base64) or its fingerprint, as the operator gave it to you."
)
@json_option
@click.pass_context
def verify(context: click.Context, file: Path, key: str | None, as_json: bool) -> None:
    """Check an evidence file: signature, every hash, and that the figures are those of the orders.

    Needs no store, no configuration and no network. Without --key it proves that nothing was changed since it was
    sealed, and shows the key that sealed it; whose key that is, only the operator can tell.

    \b
    Examples:
      connector evidence verify juniper.zip --key 5f0c…
      connector evidence verify juniper.zip --json

    \b
    Exit codes: 0 sound, 1 changed, damaged or signed by another key, 2 no evidence file
    """
    from connector.api.evidence.check import check_evidence

    checked = check_evidence(file, key=key)
    manifest = checked.manifest
    if as_json:
        answer = {
            "sound": checked.is_sound,
            "fingerprint": checked.fingerprint,
            "keyCompared": key is not None,
            "faults": checked.faults,
            "manifest": manifest,
        }
        click.echo(json_text(answer))
    else:
        for fault in checked.faults:
            click.echo(f"wrong: {fault}")
        if checked.is_sound:
            company = manifest["company"]["name"]
            click.echo(
                f"sound: {checked.orders} orders of {company} at snapshot {manifest['snapshotId']},"
                f" sealed {manifest['sealedAt']}"
            )
        known = "as you said" if key is not None and checked.is_sound else "compare it with the operator's"
        click.echo(f"signed by key {checked.fingerprint or '(none)'} ({known})")
    if not checked.is_sound:
        context.exit(1)


@evidence.command()
@json_option
@pass_invocation
def key(invocation: Invocation, as_json: bool) -> None:
    """Show the public key that signs this store's evidence files, to give to those who check them.

    \b
    Examples:
      connector evidence key

    \b
    Exit codes: 0 done, 2 the key file cannot be used
    """
    from connector.api.evidence.key import fingerprint, public_half, signing_key

    config = invocation.config(secrets_may_be_missing=True)
    public = public_half(signing_key(config.store_directory))
    text = base64.b64encode(public).decode()
    if as_json:
        click.echo(json_text({"algorithm": "Ed25519", "publicKey": text, "fingerprint": fingerprint(public)}))
        return
    click.echo(f"public key   {text}")
    click.echo(f"fingerprint  {fingerprint(public)}")
