"""What ``connector check`` says of the section ``link``."""

import pytest

from connector.cli.check.linking import examine_link
from connector.config import Config

BASE = {
    "name": "Example",
    "start_date": "2026-01-01",
    "apps": [{"client_id": "A", "client_secret": "s3cret"}],
    "redirect_url": "https://data.example.com/link/callback",
    "redirects": ["https://www.example.com/done"],
}


def found(**changed):
    config = Config.model_validate({"store": "/tmp/x", "link": {**BASE, **changed}})
    return [(one.verdict, one.text) for one in examine_link(config)]


def test_a_section_in_order_is_one_line():
    [(verdict, text)] = found()
    assert (verdict, "data.example.com" in text) == ("ok", True)
    assert list(examine_link(Config.model_validate({"store": "/tmp/x"}))) == []


@pytest.mark.parametrize(
    ("changed", "verdict", "said"),
    [
        ({"redirect_url": "http://data.example.com/link/callback"}, "failed", "no TLS"),
        ({"logo": "/nowhere/logo.svg"}, "warning", "no logo"),
        ({"redirects": []}, "warning", "no redirects"),
        ({"schedule": None}, "warning", "no schedule"),
    ],
)
def test_what_merchants_would_stumble_over_is_said(changed, verdict, said):
    _first, (told, text) = found(**changed)
    assert told == verdict
    assert said in text


def test_this_machine_alone_needs_no_tls():
    assert len(found(redirect_url="http://127.0.0.1:8080/link/callback")) == 1
