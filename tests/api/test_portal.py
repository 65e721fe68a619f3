"""The portal: who gets in, what they see, and that it is what the views say."""

import re
from decimal import Decimal
from html.parser import HTMLParser

import pytest

from connector.control import keys as api_keys
from connector.control.access_log import read_access_log

HOME = "/portal"


class Seen(HTMLParser):
    """What a reader sees: tables by id, forms, links, all text, and every element that could run or load something."""

    def __init__(self, text):
        super().__init__()
        self.tables, self.links, self.forms, self.text, self.scripts = {}, [], [], [], []
        self._table = self._cell = None
        self._silent = 0
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if tag == "table":
            self._table = self.tables.setdefault(attrs.get("id"), [])
        elif tag == "tr" and self._table is not None:
            self._table.append([])
        elif tag in ("td", "th") and self._table is not None:
            self._table[-1].append("")
            self._cell = True
        elif tag == "a":
            self.links.append(attrs.get("href"))
        elif tag == "form":
            self.forms.append({"": attrs})
        elif tag == "input" and self.forms:
            self.forms[-1][attrs.get("name")] = attrs.get("value")
        elif tag in ("script", "style", "iframe", "img", "object"):
            self.scripts.append((tag, attrs))
        self._silent += tag in ("script", "style")

    def handle_endtag(self, tag):
        if tag == "table":
            self._table = None
        elif tag in ("td", "th"):
            self._cell = None
        self._silent -= tag in ("script", "style")

    def handle_data(self, data):
        if not self._silent:
            self.text.append(data)
        if self._cell and self._table is not None:
            self._table[-1][-1] += data

    def rows(self, name):
        return [[" ".join(cell.split()) for cell in row] for row in self.tables[name]]


def key_of(portal, *scopes, companies=None, **more):
    return api_keys.create_key(
        portal.state.control,
        "lender",
        now=portal.state.settings.clock(),
        companies=companies,
        scopes=scopes or ("read",),
        **more,
    )


def sign_in(portal, secret, **fields):
    portal.client.cookies.clear()
    return portal.client.post(f"{HOME}/sign-in", data={"key": secret, **fields})


@pytest.fixture
def lender(portal):
    """Signed in with a key of one company that may read and see Clover's records."""
    key, secret = key_of(portal, "read", "lineage", companies=[portal.store.shop.id])
    assert sign_in(portal, secret).status_code == 303
    return key


@pytest.fixture
def operator(portal):
    key, secret = key_of(portal, "read", "write", "lineage")
    assert sign_in(portal, secret).status_code == 303
    return key


def seen(portal, path, status=200, **params):
    answer = portal.client.get(path, params=params)
    assert answer.status_code == status, answer.text
    return Seen(answer.text)


def company_path(portal):
    return f"{HOME}/companies/{portal.store.ids[0]}"


def orders_path(portal):
    company, connection = portal.store.ids
    return f"{HOME}/companies/{company}/connections/{connection}/orders"


def pages(portal):
    return [
        HOME,
        company_path(portal),
        f"{company_path(portal)}/sync",
        orders_path(portal),
        f"{orders_path(portal)}/{portal.store.odd_order}",
        f"{HOME}/webhooks",
    ]


def test_every_page_opens(portal, operator):
    for path in [*pages(portal), f"{HOME}/keys", f"{HOME}/api"]:
        seen(portal, path)
