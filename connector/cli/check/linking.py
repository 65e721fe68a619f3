"""What ``connector check`` says of the section ``link``: what merchants would stumble over."""

from collections.abc import Iterator

from connector.cli.check.clover import Finding
from connector.cli.check.plausible import is_loopback
from connector.config import REGIONS, Config


def examine_link(config: Config) -> Iterator[Finding]:
    """Nothing is asked of Clover: whether an app is known there is seen when the first merchant agrees."""
    link = config.link
    if link is None:
        return
    regions = ", ".join(REGIONS[app.region] for app in link.apps)
    yield Finding("link", "ok", f"merchants of {regions} come back to {link.redirect_url}")
    if not link.redirect_url.startswith("https:") and not is_loopback(link.redirect_url):
        yield Finding(
            "link",
            "failed",
            f"redirect_url {link.redirect_url} has no TLS, and Clover's codes would pass over it",
            "Put a proxy with TLS before connector serve, and write its https:// address.",
        )
    if link.logo is not None and not link.logo.is_file():
        yield Finding(
            "link", "warning", f"there is no logo at {link.logo}", "Correct link.logo, or leave it out."
        )
    if not link.redirects:
        yield Finding(
            "link",
            "warning",
            "no redirects: merchants are led back nowhere afterwards",
            "Write the page of yours on which they should end into link.redirects.",
        )
    if link.schedule is None:
        yield Finding(
            "link",
            "warning",
            "no schedule: merchants who connect are read once, and then only when a client asks",
            'Write link.schedule, for example "*/30 * * * *".',
        )
