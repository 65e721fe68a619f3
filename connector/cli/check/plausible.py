"""What ``connector check`` finds in a configuration that can be read and cannot be right; Clover is not asked."""

import os
import pwd
import re
import stat
from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from connector.cli.check.clover import Finding, existing, unwritable
from connector.cli.commands.init import example_merchant
from connector.clover.hosts import hosts_for
from connector.config import Config, Connection, secrets_in_file
from connector.schedule.alerts import stale_after
from connector.schedule.planner import longest_interval

# docs.clover.com, API usage and rate limits: of a token and of an app.
_TOKEN_LIMITS, _APP_LIMITS = (16, 5), (50, 10)
# docs.clover.com: the Ecommerce API is offered in these countries.
_COUNTRIES = frozenset({"USA", "CAN", "XXX"})
# Clover was founded then; nothing was sold through it before.
_FIRST_SALES = date(2010, 1, 1)
_NETWORK_FILES = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "fuse.sshfs", "afs", "ceph", "glusterfs"}
)


def examine_plausible(config: Config, path: Path, *, now: datetime) -> Iterator[Finding]:
    """Everything below. path: the configuration's own file."""
    for company, connection in config.enabled_pairs():
        yield from _examine_merchant(f"{company.name} {connection.merchant_id}", connection, now=now)
        yield from _examine_staleness(config, f"{company.name} {connection.merchant_id}", connection)
    yield from _examine_doubles(config)
    yield from _examine_secrets(config, path)
    yield from _examine_owner(config.store_directory, path)
    yield from _examine_limits(config)
    yield from _examine_places(config)
    if config.publish_to is None and config.fleet is None:
        yield from examine_readers(config.store_directory)


def _examine_merchant(subject: str, connection: Connection, *, now: datetime) -> Iterator[Finding]:
    if connection.merchant_id == example_merchant():
        yield Finding(
            subject,
            "failed",
            "merchant_id is that of config.example.yaml, which is nobody's",
            "Write your merchant's id: 13 letters and digits, in the address of the merchant's dashboard.",
        )
    elif not connection.base_url and not re.fullmatch(r"[A-Z0-9]{13}", connection.merchant_id):
        yield Finding(
            subject,
            "warning",
            "merchant_id is none as Clover makes them",
            "Compare it with the address of the merchant's dashboard: 13 letters and digits.",
        )
    today = now.astimezone(ZoneInfo(connection.timezone)).date()
    if connection.start_date > today:
        yield Finding(
            subject,
            "failed",
            f"start_date {connection.start_date} is in the future: nothing is read before it comes",
            "Write the first day whose sales you need.",
        )
    elif connection.start_date < _FIRST_SALES:
        yield Finding(
            subject,
            "warning",
            f"start_date {connection.start_date} is before Clover sold anything",
            "Write the first day whose sales you need; each empty year costs requests.",
        )
    if connection.country not in _COUNTRIES:
        yield Finding(
            subject,
            "warning",
            f"country is {connection.country}; Clover offers the Ecommerce API in USA and CAN only",
            "Correct country, or see with Clover that this merchant may use the API.",
        )
    yield from _examine_address(subject, connection)


def _examine_address(subject: str, connection: Connection) -> Iterator[Finding]:
    url = connection.base_url
    if url is None:
        return
    parts = urlsplit(url)
    if parts.scheme == "http" and not is_loopback(url):
        yield Finding(
            subject,
            "warning",
            "base_url sends the token without encryption",
            "Use https:// unless the network between here and there is yours.",
        )
    if parts.path.rstrip("/"):
        yield Finding(
            subject,
            "failed",
            f"base_url has the path {parts.path}, to which /v1/charges would be added",
            f"Write it without: base_url: {parts.scheme}://{parts.netloc}",
        )
    other = "sandbox" if connection.environment == "production" else "production"
    theirs = urlsplit(hosts_for(other).scl).hostname
    if parts.hostname == theirs:
        yield Finding(
            subject,
            "failed",
            f"base_url is Clover's host for {other}, and environment is {connection.environment}",
            f"Write environment: {other}, and leave base_url out.",
        )
    elif parts.hostname in _platform_hosts():
        yield Finding(
            subject,
            "failed",
            f"base_url {url} is Clover's platform API, which has no charges",
            "Leave base_url out; environment and region lead to the right hosts.",
        )


def _platform_hosts() -> set[str | None]:
    found = [hosts_for("sandbox"), *(hosts_for("production", region=region) for region in ("na", "eu", "la"))]
    return {urlsplit(url).hostname for one in found for url in (one.platform, one.authorize_url)}


def _examine_staleness(config: Config, subject: str, connection: Connection) -> Iterator[Finding]:
    limit = stale_after(connection.schedule, config.alerts.stale_after_hours)
    if connection.schedule is None or limit is None:
        return
    interval = longest_interval(connection.schedule)
    if limit < interval:
        yield Finding(
            subject,
            "warning",
            f"is told to be stale after {_hours(limit)}, and its schedule leaves up to {_hours(interval)} between runs",
            "Set alerts.stale_after_hours higher, or leave it empty.",
        )


def _examine_doubles(config: Config) -> Iterator[Finding]:
    """A merchant that is read twice is in every figure twice; so is one whose token stands under two names."""
    merchants: dict[tuple[str, str], str] = {}
    tokens: dict[str, tuple[str, str]] = {}
    for company, connection in config.enabled_pairs():
        subject = f"{company.name} {connection.merchant_id}"
        key = (connection.ecommerce_url, connection.merchant_id.upper())
        if key in merchants:
            yield Finding(
                subject,
                "failed",
                f"the same merchant is read for {merchants[key]} too, so its sales count twice",
                "Keep one of the two connections.",
            )
        merchants.setdefault(key, company.name)
        token = connection.token.get_secret_value() if connection.token else None
        if token is not None and token in tokens and tokens[token][1] != connection.merchant_id:
            yield Finding(
                subject,
                "failed",
                f"its token is that of {' '.join(tokens[token])} too, and a token opens one merchant",
                "Give each connection the token of its own merchant.",
            )
        if token is not None:
            tokens.setdefault(token, (company.name, connection.merchant_id))


def _examine_secrets(config: Config, path: Path) -> Iterator[Finding]:
    connections = [connection for _, connection in config.pairs()]
    stand_ins = {
        ("companies", number, "connections", index)
        for number, company in enumerate(config.companies)
        for index, one in enumerate(company.connections)
        if one.base_url and is_loopback(one.base_url)
    } | {
        ("link", "apps", number)
        for number, app in enumerate(config.link.apps if config.link else ())
        if app.base_url and is_loopback(app.base_url)
    }
    is_open = bool(path.stat().st_mode & 0o044)
    for key_path, place in secrets_in_file(path):
        if any(key_path[:length] in stand_ins for length in (3, 4)):
            continue  # opens nothing but a stand-in on this machine
        name = str(key_path[-1])
        yield Finding(
            "secrets",
            "warning",
            f"{place}: {name} stands in the file itself"
            + (", which other users of this machine can read" if is_open else ""),
            f"Write {name}: ${{CLOVER_{name.upper()}}} and set that variable where the connector runs;"
            " a secret that others could read should be made anew at Clover.",
        )
    key_file = config.key_file
    if key_file is None or not any(one.oauth for one in connections):
        return
    if key_file.is_relative_to(config.store_directory):
        yield Finding(
            "secrets",
            "warning",
            f"key_file {key_file} lies in the store, so that a copy of the store holds the key to its OAuth pairs",
            "Move it elsewhere, and back it up apart from the store.",
        )
    if key_file.exists() and key_file.stat().st_mode & 0o077:
        yield Finding(
            "secrets", "failed", f"key_file {key_file} is open to other users", f"chmod 600 {key_file}"
        )


def _examine_owner(store: Path, path: Path) -> Iterator[Finding]:
    """Whether the user whose store it is can read the configuration; a file of another user's may be closed to it."""
    if not store.is_dir():
        return
    owner, file = store.stat().st_uid, path.stat()
    if owner in (0, file.st_uid) or file.st_mode & 0o004:
        return
    try:
        account = pwd.getpwuid(owner)
        name, groups = account.pw_name, os.getgrouplist(account.pw_name, account.pw_gid)
    except KeyError:
        name, groups = str(owner), [store.stat().st_gid]
    if not (file.st_mode & 0o040 and file.st_gid in groups):
        yield Finding(
            "config",
            "warning",
            f"{path} cannot be read by {name}, whose store it is: its service does not start",
            f"chgrp {store.stat().st_gid} {path} && chmod 640 {path}",
        )


def _examine_limits(config: Config) -> Iterator[Finding]:
    if all(connection.base_url for _, connection in config.pairs()):
        return
    limits = config.limits
    for name, given, most in (
        ("requests_per_second", limits.requests_per_second, _TOKEN_LIMITS[0]),
        ("concurrent_requests", limits.concurrent_requests, _TOKEN_LIMITS[1]),
        ("app_requests_per_second", limits.app_requests_per_second, _APP_LIMITS[0]),
        ("app_concurrent_requests", limits.app_concurrent_requests, _APP_LIMITS[1]),
    ):
        if given > most:
            yield Finding(
                "limits",
                "warning",
                f"{name} is {given:g}, and Clover allows {most}: it will refuse, and runs wait",
                f"Leave limits.{name} out, or set it to {most} or less.",
            )
    if config.sync.overlap_hours == 0:
        yield Finding(
            "sync",
            "warning",
            "overlap_hours is 0: what Clover shows late is found by deep re-reads only, days later",
            "Leave sync.overlap_hours out.",
        )


def _examine_places(config: Config) -> Iterator[Finding]:
    if config.api.host not in ("127.0.0.1", "::1", "localhost") and not config.api.trusted_proxies:
        yield Finding(
            "api",
            "warning",
            f"api.host {config.api.host} is reached from other machines, and connector serve speaks no TLS",
            "Put a proxy with TLS before it and name it in api.trusted_proxies, or listen on 127.0.0.1.",
        )
    if (textfile := config.metrics.textfile) is not None:
        if textfile.suffix != ".prom":
            yield Finding(
                "metrics",
                "warning",
                f"{textfile.name} is not read: node exporter's collector reads *.prom only",
                f"metrics: {{textfile: {textfile.with_suffix('.prom')}}}",
            )
        if (shut := unwritable(textfile.parent)) is not None:
            yield Finding(
                "metrics",
                "warning",
                f"{shut} cannot be written, so there will be no figures",
                "Correct metrics.textfile, or the owner of its directory.",
            )
    if (kind := _file_system(existing(config.store_directory))) in _NETWORK_FILES:
        yield Finding(
            "store",
            "failed",
            f"{config.store_directory} is on {kind}, where locks and renames do not keep what is written whole",
            "Set `store` to a directory on a local disk.",
        )


def examine_readers(directory: Path) -> Iterator[Finding]:
    """Who but the owner can open the published file: meant are those whom the directory's own mode lets in.

    For a store that publishes inside itself; ``examine_place`` looks at ``publish_to``.
    """
    if not directory.is_dir():
        return
    mode, owner, group = directory.stat().st_mode, directory.stat().st_uid, directory.stat().st_gid
    for who, bits, needed in (("its group", mode >> 3 & 7, 0o5), ("every user", mode & 7, 0o5)):
        if bits and bits & needed != needed:
            yield Finding(
                "readers",
                "warning",
                f"{directory} lets {who} in by half (mode {stat.S_IMODE(mode):04o}): nobody opens a file in it so",
                f"chmod {'750' if who == 'its group' else '700'} {directory}",
            )
            return
    if mode & 0o055 == 0:
        yield Finding(
            "readers",
            "ok",
            f"only its owner can open {directory}; analysts with other accounts cannot",
            "For analysts: publish_to: /srv/commerce and publish_group: analysts; the store itself stays closed.",
        )
        return
    for above in directory.absolute().parents:
        found = above.stat()
        may_pass = found.st_mode & 0o001 or (found.st_gid == group and found.st_mode & 0o010)
        if not may_pass:
            yield Finding(
                "readers",
                "warning",
                f"{directory} lets others in, and {above} on the way to it does not: analysts cannot open the file",
                f"Move the store, e.g. to /srv, or: chmod o+x {above}",
            )
            return
    for private in ("raw", "credentials"):
        if (directory / private).is_dir() and (directory / private).stat().st_mode & 0o077:
            yield Finding(
                "readers",
                "warning",
                f"{directory / private} is open to others, and holds what Clover sent word by word",
                f"chmod -R go-rwx {directory / private}",
            )
    whose = "every user" if mode & 0o005 else f"group {group}"
    yield Finding("readers", "ok", f"{whose} can open the published file, user {owner} alone can write")


def is_loopback(address: str) -> bool:
    """Whether an address leads to this machine by its text."""
    host = urlsplit(address).hostname or ""
    return host in ("localhost", "::1") or host.startswith("127.")


def _file_system(path: Path) -> str | None:
    """The kind of file system that holds a path, as Linux names it; None elsewhere."""
    try:
        lines = Path("/proc/mounts").read_text(errors="replace").splitlines()
    except OSError:
        return None
    mounts: Mapping[str, str] = {
        fields[1].replace("\\040", " "): fields[2] for line in lines if len(fields := line.split()) > 2
    }
    resolved = path.resolve()
    return next((mounts[str(one)] for one in (resolved, *resolved.parents) if str(one) in mounts), None)


def _hours(span: timedelta) -> str:
    return f"{span.total_seconds() / 3600:g} h"
