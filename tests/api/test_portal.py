"""The portal: who gets in, what they see, and that it is what the views say."""

import re
from decimal import ROUND_HALF_UP, Decimal
from html.parser import HTMLParser

import pytest

from connector.control import keys as api_keys
from connector.control.access_log import read_access_log

HOME = "/portal"
ABSENT = "\N{EN DASH}"
CENT = Decimal("0.01")


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
    answer = portal.client.get(path, params=params or None)
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


# --- the way in ---


def test_a_key_opens_the_portal_with_a_cookie_that_scripts_and_other_sites_cannot_use(portal):
    _key, secret = key_of(portal, companies=[portal.store.shop.id])
    answer = sign_in(portal, f"  {secret}\n", next=f"{HOME}/webhooks")
    assert (answer.status_code, answer.headers["location"]) == (303, f"{HOME}/webhooks")
    cookie = answer.headers["set-cookie"]
    assert {"HttpOnly", "SameSite=lax", f"Path={HOME}"} <= {part.strip() for part in cookie.split(";")}
    assert secret not in cookie
    assert "Secure" not in cookie, "the portal is served over http here"
    kept = portal.state.control.rows("SELECT * FROM portal_sessions")
    token = portal.client.cookies["connector_portal"]
    assert not any(token in str(tuple(row)) for row in kept), "only its hash is kept"


def test_the_cookie_is_for_tls_alone_where_the_portal_is_reached_by_it(portal_copy, builders):
    with builders.portal_client(portal_copy, public_url="https://data.example.com") as server:
        _key, secret = api_keys.create_key(server.state.control, "x", now=server.state.settings.clock())
        answer = server.client.post(f"{HOME}/sign-in", data={"key": secret})
        assert "Secure" in answer.headers["set-cookie"]


@pytest.mark.parametrize("wrong", ["", "cck_nobody_x", "x" * 5000, "ключ"])
def test_a_wrong_key_stays_outside_and_is_told_nothing(portal, wrong):
    portal.state.failures = type(portal.state.failures)()
    answer = sign_in(portal, wrong)
    assert answer.status_code == 401
    assert "set-cookie" not in answer.headers
    assert "not known, has expired or was revoked" in answer.text
    assert "www-authenticate" not in answer.headers, "a browser would ask for a password of its own"


def test_wrong_keys_are_counted_with_those_of_the_api_and_then_refused(portal):
    from connector.api.door.limits import MOST_FAILURES

    portal.state.failures = type(portal.state.failures)()
    for _ in range(MOST_FAILURES):
        portal.state.failures.add("testclient")
    refused = sign_in(portal, "cck_nobody_x")
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "60")
    _key, secret = key_of(portal)
    assert sign_in(portal, secret).status_code == 303, "a good key from the same address is let in"
    portal.state.failures = type(portal.state.failures)()


def test_who_is_not_signed_in_is_asked_to_and_comes_back(portal):
    portal.client.cookies.clear()
    for path in [*pages(portal), f"{HOME}/keys", f"{HOME}/no/such/page"]:
        answer = portal.client.get(path, params={"x": "1"})
        assert answer.status_code == 303, path
        assert answer.headers["location"].startswith(f"{HOME}/sign-in?next=%2Fportal")
        assert answer.headers["cache-control"] == "no-store"
    page = seen(portal, f"{HOME}/sign-in", next=f"{company_path(portal)}?by=day")
    assert page.forms[0]["next"] == f"{company_path(portal)}?by=day"


@pytest.mark.parametrize(
    "elsewhere",
    [
        "https://evil.example/", "//evil.example/", "/\\evil.example", "/portal/\\evil", "javascript:alert(1)",
        "/companies", "/portalx", "/portal/sign-in", "/portal/x\r\nSet-Cookie: a=b", "",
    ],
)  # fmt: skip
def test_signing_in_leads_nowhere_but_into_the_portal(portal, elsewhere):
    _key, secret = key_of(portal)
    assert sign_in(portal, secret, next=elsewhere).headers["location"] == HOME


def test_a_revoked_key_ends_its_session_at_the_next_request(portal, lender):
    seen(portal, HOME)
    assert api_keys.revoke_key(portal.state.control, lender.key_id, now=portal.state.settings.clock())
    assert portal.client.get(HOME).status_code == 303


def test_a_session_ends_after_half_an_hour_of_nothing_and_after_a_day_of_work(portal_copy, builders):
    from datetime import timedelta
    from types import SimpleNamespace

    clock = SimpleNamespace(now=builders.PORTAL_NOW)
    with builders.portal_client(portal_copy, clock=lambda: clock.now) as server:
        _key, secret = api_keys.create_key(server.state.control, "x", now=clock.now)
        client = server.client

        def is_open():
            return client.get(HOME).status_code == 200

        client.post(f"{HOME}/sign-in", data={"key": secret})
        clock.now += timedelta(minutes=29)
        assert is_open()
        clock.now += timedelta(minutes=29)
        assert is_open(), "it was used meanwhile"
        clock.now += timedelta(minutes=30)
        assert not is_open()
        client.post(f"{HOME}/sign-in", data={"key": secret})
        for _ in range(23):
            clock.now += timedelta(minutes=20)
            assert is_open()
        clock.now += timedelta(minutes=20)
        assert not is_open(), "eight hours are over"
        client.post(f"{HOME}/sign-in", data={"key": secret})
        kept = server.state.control.rows("SELECT * FROM portal_sessions WHERE key_id = ?", (_key.key_id,))
        assert len(kept) == 1, "ended sessions are removed"


def test_signing_out_ends_the_session_wherever_a_copy_of_it_is(portal, lender):
    token = portal.client.cookies["connector_portal"]
    [form] = [form for form in seen(portal, HOME).forms if form[""]["action"].endswith("sign-out")]
    answer = portal.client.post(f"{HOME}/sign-out", data={"form_token": form["form_token"]})
    assert answer.headers["location"] == f"{HOME}/sign-in"
    portal.client.cookies.set("connector_portal", token, path=HOME)
    assert portal.client.get(HOME).status_code == 303


@pytest.mark.parametrize("path", ["sign-out", "companies/{company}/refresh", "webhooks/w/resend"])
def test_a_form_of_another_site_or_another_session_changes_nothing(portal, operator, path):
    address = f"{HOME}/{path.format(company=portal.store.ids[0])}"
    good = seen(portal, HOME).forms[0]["form_token"]
    asked = portal.state.control.rows("SELECT count(*) FROM refresh_requests")[0][0]
    for fields, headers in (
        ({}, {}),
        ({"form_token": ""}, {}),
        ({"form_token": "0" * 32 + "." + "0" * 64}, {}),
        ({"form_token": good[:-1] + ("0" if good[-1] != "0" else "1")}, {}),
        ({"form_token": good}, {"Sec-Fetch-Site": "cross-site"}),
        ({"form_token": good}, {"Sec-Fetch-Site": "same-site"}),
        ({"form_token": good}, {"Origin": "https://evil.example"}),
        ({"form_token": good}, {"Origin": "null"}),
    ):
        answer = portal.client.post(address, data=fields, headers=headers)
        assert answer.status_code == 403, (fields, headers)
    assert portal.state.control.rows("SELECT count(*) FROM refresh_requests")[0][0] == asked
    assert portal.client.get(HOME).status_code == 200, "and nobody was signed out"


def test_another_site_cannot_sign_somebody_in(portal):
    _key, secret = key_of(portal)
    portal.client.cookies.clear()
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}):
        answer = portal.client.post(f"{HOME}/sign-in", data={"key": secret}, headers=headers)
        assert answer.status_code == 403
        assert "set-cookie" not in answer.headers


def test_a_session_is_no_key_of_the_api_and_a_key_no_session(portal, lender):
    assert portal.client.get("/companies").status_code == 401
    portal.client.cookies.clear()
    _key, secret = key_of(portal)
    assert portal.client.get(HOME, headers={"Authorization": f"Bearer {secret}"}).status_code == 303


def test_form_tokens_never_repeat_and_are_of_one_session(portal, lender):
    tokens = {seen(portal, HOME).forms[0]["form_token"] for _ in range(5)}
    assert len(tokens) == 5, "text that others choose is compressed beside them"


# --- what the key may see ---


def test_what_the_key_may_not_see_does_not_exist(portal, lender):
    rival = portal.store.rival
    shown = seen(portal, HOME)
    assert "Rival Traders" not in "".join(shown.text)
    connection = rival.connections[0].id
    for path in (
        f"companies/{rival.id}",
        f"companies/{rival.id}/sync",
        f"companies/{rival.id}/connections/{connection}/orders",
        f"companies/{rival.id}/connections/{connection}/orders.csv",
        f"companies/{rival.id}/connections/{connection}/orders/x",
        f"companies/{portal.store.ids[0]}/connections/{connection}/orders",
        "keys",
    ):
        hidden = portal.client.get(f"{HOME}/{path}")
        absent = portal.client.get(f"{HOME}/{path}".replace(rival.id, "nobody").replace(connection, "none"))
        assert hidden.status_code == absent.status_code == 404, path
        assert "Rival" not in hidden.text
        words = [re.sub(r"[0-9a-f-]{32,36}|nobody|none", "ID", text) for text in (hidden.text, absent.text)]
        assert words[0] == words[1], "the same words"
    answer = portal.client.post(
        f"{HOME}/companies/{rival.id}/refresh", data={"form_token": shown.forms[0]["form_token"]}
    )
    assert answer.status_code == 403, "this key may not write at all"


def test_a_key_does_only_what_its_scopes_allow(portal):
    _key, secret = key_of(portal, "write")
    sign_in(portal, secret)
    for path in pages(portal):
        assert portal.client.get(path).status_code == 403, path
    _key, secret = key_of(portal, "read")
    sign_in(portal, secret)
    token = seen(portal, HOME).forms[0]["form_token"]
    answer = portal.client.post(f"{company_path(portal)}/refresh", data={"form_token": token})
    assert answer.status_code == 403
    page = seen(portal, f"{orders_path(portal)}/{portal.store.odd_order}")
    assert "keys with the scope lineage" in "".join(page.text)
    assert not portal.client.get(f"{company_path(portal)}/sync").text.count("Ask for a refresh")
    assert f"{HOME}/keys" not in page.links


def test_every_page_is_in_the_access_log_as_an_answer_of_the_api_is(portal, lender):
    for path in pages(portal):
        seen(portal, path)
    portal.state.access_log.flush()
    rows = read_access_log(portal.state.control, key_id=lender.key_id)
    routes = {row.route: row for row in rows}
    assert {"/portal", "/portal/companies/{companyId}", "/portal/companies/{companyId}/sync"} <= routes.keys()
    orders = routes["/portal/companies/{companyId}/connections/{connectionId}/orders"]
    assert (orders.company_id, orders.connection_id) == portal.store.ids
    assert orders.rows == 50
    assert orders.snapshot_id is not None
    assert routes["/portal/sign-in"].method == "POST"


def test_a_quota_counts_pages_and_signing_in(portal):
    _key, secret = key_of(portal, "read", requests_per_minute=3)
    sign_in(portal, secret)
    answers = [portal.client.get(HOME) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert sign_in(portal, secret).status_code == 429
    assert "Too many requests" in answers[2].text
    assert "retry-after" in answers[2].headers


def test_the_link_of_a_company_leads_to_its_page(portal, lender):
    _key, secret = key_of(portal, companies=[portal.store.shop.id])
    [company] = portal.client.get("/companies", headers={"Authorization": f"Bearer {secret}"}).json()[
        "results"
    ]
    for url in (company["redirect"], company["dataConnections"][0]["linkUrl"]):
        path = url.removeprefix(portal.state.settings.public_url)
        answer = portal.client.get(path)
        assert answer.status_code == 303
        page = seen(portal, answer.headers["location"])
        assert portal.store.shop.name in "".join(page.text)
    assert portal.client.get("/").headers["location"] == HOME
    portal.client.cookies.clear()
    answer = portal.client.get("/", params={"companyId": "../x?y#z"})
    assert answer.headers["location"] == f"{HOME}/companies/..%2Fx%3Fy%23z"


# --- the figures ---

COLUMNS = (
    "gross_sales", "discounts", "returns", "net_sales", "service_charges", "tax", "total_sales", "tips",
    "overpayments", "gift_cards_sold", "receivable", "amount_collected",
)  # fmt: skip


def asked(portal, sql, *values):
    with portal.state.published.open() as publication:
        found = publication.cursor.execute(sql, list(values))
        return found.fetchall()


def written(amount, currency):
    places = {"JPY": 0}.get(currency, 2)
    return f"{amount:,.{places}f}"


@pytest.mark.parametrize(("by", "view"), [("month", "monthly_sales"), ("day", "daily_sales")])
def test_every_figure_of_the_bridge_is_that_of_the_view(portal, lender, by, view):
    company = portal.store.ids[0]
    page = seen(portal, company_path(portal), by=by, **{"from": "2026-07-01", "to": "2026-11-22"})
    columns = ", ".join(f'"{name}"' for name in COLUMNS)
    found = asked(
        portal,
        f'SELECT currency, "{by}", orders, {columns}, new_customers, returning_customers FROM {view}'
        f" WHERE company_id = ? AND \"{by}\" >= DATE '2026-07-01' ORDER BY 1, 2",
        company,
    )
    currencies = {row[0] for row in found}
    assert "USD" in currencies
    for currency in currencies:
        mine = {row[1]: row[2:] for row in found if row[0] == currency}
        rows = page.rows(f"bridge-table-{currency}")
        body, foot = rows[1:-1], rows[-1]
        shown = {row[0].replace(" so far", ""): row[1:] for row in body}
        label = "%Y-%m" if by == "month" else "%Y-%m-%d"
        for start, (orders, *amounts, new, returning) in mine.items():
            row = shown.pop(start.strftime(label))
            assert row[0] == str(orders)
            assert row[1:13] == [written(amount, currency) for amount in amounts]
            average = (amounts[0] - amounts[1]) / orders if orders else None
            assert row[13] == (
                ABSENT
                if average is None
                else written(average.quantize(Decimal("0.01"), ROUND_HALF_UP), currency)
            )
            assert row[14:] == [str(new), str(returning)]
        assert all(
            row[0] == "0" and set(row[1:13]) == {written(Decimal(0), currency)} for row in shown.values()
        )
        totals = [sum(row[1 + place] for row in mine.values()) for place in range(len(COLUMNS))]
        assert foot[1:14] == [
            str(sum(row[0] for row in mine.values())), *(written(total, currency) for total in totals)
        ]  # fmt: skip
        assert written(totals[3], currency) in page.text
    money = asked(
        portal,
        "SELECT currency, sum(net_amount) FROM payments_by_day WHERE company_id = ? AND \"day\" >= DATE '2026-07-01'"
        " GROUP BY 1",
        company,
    )
    for currency, amount in money:
        assert page.rows(f"bridge-table-{currency}")[-1][13] == written(amount, currency), (
            "the money that moved"
        )


def test_returns_payments_and_products_are_those_of_the_views(portal, lender):
    company = portal.store.ids[0]
    page = seen(portal, company_path(portal), **{"from": "2026-07-01", "to": "2026-11-30"})
    happened = dict(
        asked(
            portal,
            'SELECT "month", "returns" FROM monthly_sales WHERE company_id = ? AND currency = ?',
            company,
            "USD",
        )
    )
    ordered = dict(
        asked(
            portal,
            'SELECT "month", "returns" FROM monthly_sales_by_order_date WHERE company_id = ? AND currency = ?',
            company,
            "USD",
        )
    )
    refunds = {
        month: (count, amount)
        for month, count, amount in asked(
            portal,
            "SELECT date_trunc('month', \"day\")::DATE, sum(refunds)::BIGINT, sum(refunded_amount) FROM daily_refunds"
            " WHERE company_id = ? AND currency = 'USD' GROUP BY 1",
            company,
        )
    }
    expected = [
        [
            f"{month:%Y-%m}", written(happened.get(month, 0), "USD"), written(ordered.get(month, 0), "USD"),
            str(refunds.get(month, (0, 0))[0]), written(refunds.get(month, (0, 0))[1], "USD"),
        ]
        for month in sorted(happened.keys() | ordered.keys() | refunds.keys())
        if happened.get(month) or ordered.get(month) or month in refunds
    ]  # fmt: skip
    assert page.rows("returns-table-USD")[1:] == expected
    assert len(expected) > 2
    ways = asked(
        portal,
        "SELECT payment_type, sum(charges)::BIGINT, sum(charged_amount), sum(refunds)::BIGINT, sum(refunded_amount),"
        " sum(net_amount) FROM payments_by_day WHERE company_id = ? AND currency = 'USD'"
        " AND \"day\" >= DATE '2026-07-01' GROUP BY 1 ORDER BY 3 DESC",
        company,
    )
    assert page.rows("payments-table-USD")[1:] == [
        [
            one[0],
            f"{one[1]:,}",
            written(one[2], "USD"),
            f"{one[3]:,}",
            written(one[4], "USD"),
            written(one[5], "USD"),
        ]
        for one in ways
    ]
    best = asked(
        portal,
        "SELECT sum(net_sales) FROM product_sales WHERE company_id = ? AND currency = 'USD'"
        " AND \"month\" >= DATE '2026-07-01' AND product_id <> '(none)' GROUP BY product_id ORDER BY 1 DESC LIMIT 10",
        company,
    )
    assert [row[2] for row in page.rows("products-table-USD")[1:]] == [written(one, "USD") for (one,) in best]


def test_the_list_of_companies_says_what_the_views_say(portal, operator):
    page = seen(portal, HOME)
    rows = {row[0]: row for row in page.rows(None)[1:]}
    assert len(rows) == 2
    for company in (portal.store.shop, portal.store.rival):
        row = rows[" ".join(company.name.split())]
        [(net, gross, discounts, returns)] = asked(
            portal,
            'SELECT sum(net_sales), sum(gross_sales), sum(discounts), sum("returns") FROM daily_sales'
            " WHERE company_id = ? AND currency = 'USD' AND \"day\" BETWEEN DATE '2026-10-24' AND DATE '2026-11-22'",
            company.id,
        )
        assert f"{written(net, 'USD')} USD" in row[3]
        assert "to 2026-11-22" in row[3]
        share = int(returns / (gross - discounts) * 10000)
        assert f"{share // 100}.{share % 100:02d} %" in row[4]
        [(held, issues)] = asked(
            portal, "SELECT held_back, open_issues FROM data_quality WHERE company_id = ?", company.id
        )
        assert row[6].endswith(("record", "records")) or not held
        assert row[7] == str(issues)
        assert "to the cent" in row[5]


def test_an_earlier_state_is_shown_as_it_was_and_what_was_restated_is_marked(portal, lender):
    company = portal.store.ids[0]
    first, newest = [
        row[0]
        for row in asked(portal, "SELECT snapshot_id FROM snapshots WHERE company_id = ? ORDER BY 1", company)
    ][:2]
    page = seen(portal, company_path(portal), asOf=str(first), **{"from": "2026-07-01"})
    columns = ", ".join(f'"{name}"' for name in COLUMNS)
    then = {
        f"{row[0]:%Y-%m}": row
        for row in asked(
            portal,
            f'SELECT "month", orders, {columns} FROM monthly_sales_as_of(?)'
            " WHERE company_id = ? AND currency = 'USD'",
            first,
            company,
        )
    }
    now = {
        f"{row[0]:%Y-%m}": row[1:]
        for row in asked(
            portal,
            'SELECT "month", net_sales, amount_collected FROM monthly_sales'
            " WHERE company_id = ? AND currency = 'USD'",
            company,
        )
    }
    marked = 0
    for row in page.rows("bridge-table-USD")[1:-1]:
        month = row[0].split()[0]
        known = then.get(month)
        if known is None:
            assert row[1] == "0"
            continue
        assert row[1] == str(known[1])
        assert row[2:14] == [written(amount, "USD") for amount in known[2:]]
        assert (row[15], row[17]) == (written(now[month][0], "USD"), written(now[month][1], "USD"))
        difference = now[month][0] - known[5]
        assert row[16] == ("+" if difference > 0 else "") + written(difference, "USD")
        if "restated" in row[0]:
            marked += 1
        if month < "2026-11" and difference:
            assert "restated" in row[0]
        if month >= "2026-11":
            assert "so far" in row[0], "that month was not over then"
    assert marked == 0, "a refund of later is booked when it happened: closed months stay"
    days = seen(
        portal, company_path(portal), asOf=str(first), by="day", **{"from": "2026-10-20", "to": "2026-11-10"}
    )
    known = dict(
        asked(
            portal,
            "SELECT \"day\", net_sales FROM daily_sales_as_of(?) WHERE company_id = ? AND currency = 'USD'"
            " AND \"day\" BETWEEN DATE '2026-10-20' AND DATE '2026-11-10'",
            first,
            company,
        )
    )
    shown = {row[0][:10]: row[5] for row in days.rows("bridge-table-USD")[1:-1] if row[1] != "0"}
    assert shown == {day.isoformat(): written(net, "USD") for day, net in known.items()}
    same = seen(portal, company_path(portal), asOf=str(newest), **{"from": "2026-07-01"})
    assert not any("As known at snapshot" in text for text in same.text), "the newest is now"


def test_a_closed_month_that_is_another_now_is_marked_with_its_difference(portal_copy, builders):
    """An order of September was there at the first sync and is found deleted, with its money, by the second."""
    import duckdb

    company, connection = portal_copy.ids
    file = (portal_copy.directory / "commerce.duckdb").resolve()
    with duckdb.connect(str(file)) as con:
        con.execute("SET TimeZone = 'UTC'")
        first, newest = con.execute(
            "SELECT min(snapshot_id), max(snapshot_id) FROM ledger.snapshots WHERE company_id = ?", [company]
        ).fetchone()
        [(order_id,)] = con.execute(
            "SELECT order_id FROM ledger.order_versions WHERE company_id = ? AND replaced_by IS NULL"
            " AND snapshot_id = ?"
            " AND created_local_date BETWEEN DATE '2026-09-05' AND DATE '2026-09-25' AND total_refund = 0"
            " AND total_amount > 0 AND len(payments) = 1 AND currency = 'USD' ORDER BY 1 LIMIT 1",
            [company, first],
        ).fetchall()
        key = [connection, order_id]
        con.execute(
            "INSERT INTO ledger.order_versions SELECT * REPLACE (? AS snapshot_id, TRUE AS is_deleted)"
            " FROM ledger.order_versions WHERE connection_id = ? AND order_id = ?",
            [newest, *key],
        )
        con.execute(
            "UPDATE ledger.order_versions SET replaced_by = ?"
            " WHERE connection_id = ? AND order_id = ? AND NOT is_deleted",
            [newest, *key],
        )
        con.execute(
            "UPDATE ledger.postings SET replaced_by = ? WHERE connection_id = ? AND order_id = ?",
            [newest, *key],
        )
    with builders.portal_client(portal_copy) as server:
        _key, secret = api_keys.create_key(server.state.control, "x", now=server.state.settings.clock())
        server.client.post(f"{HOME}/sign-in", data={"key": secret})
        answer = server.client.get(
            f"{HOME}/companies/{company}", params={"asOf": first, "from": "2026-07-01"}
        )
        with server.state.published.open() as publication:
            ask = publication.cursor.execute
            [(then,)] = ask(
                "SELECT net_sales FROM monthly_sales_as_of(?) WHERE company_id = ? AND \"month\" = '2026-09-01'"
                " AND currency = 'USD'",
                [first, company],
            ).fetchall()
            [(now,)] = ask(
                "SELECT net_sales FROM monthly_sales WHERE company_id = ? AND \"month\" = '2026-09-01'"
                " AND currency = 'USD'",
                [company],
            ).fetchall()
    assert now < then
    rows = {row[0].split()[0]: row for row in Seen(answer.text).rows("bridge-table-USD")[1:-1]}
    assert "restated" in rows["2026-09"][0]
    assert (rows["2026-09"][5], rows["2026-09"][15]) == (written(then, "USD"), written(now, "USD"))
    assert rows["2026-09"][16] == written(now - then, "USD")
    assert [month for month, row in rows.items() if "restated" in row[0]] == ["2026-09"]
    [behind] = Seen(answer.text).rows("restated-table")[1:]
    assert behind[:3] == [order_id, "2026-09", "deleted since"]
    assert behind[4] == written(now - then, "USD"), "the orders explain the difference to the cent"


def test_a_file_that_another_version_published_is_said_to_be_one(portal_copy, builders):
    import duckdb

    with duckdb.connect(str((portal_copy.directory / "commerce.duckdb").resolve())) as con:
        con.execute("DROP VIEW main.monthly_sales")
    with builders.portal_client(portal_copy) as server:
        _key, secret = api_keys.create_key(server.state.control, "x", now=server.state.settings.clock())
        server.client.post(f"{HOME}/sign-in", data={"key": secret})
        answer = server.client.get(f"{HOME}/companies/{portal_copy.ids[0]}")
        assert answer.status_code == 409
        assert "the next sync makes it anew" in answer.text


@pytest.mark.parametrize(
    "wrong",
    [
        {"by": "year"}, {"from": "yesterday"}, {"asOf": "2026-01-01"}, {"from": "2026-13-01"}, {"to": "0001-01-01"},
        {"asOf": "x"}, {"asOf": "0"}, {"from": "2026-02-01", "to": "2026-01-01"}, {"by": "day", "from": "2020-01-01"},
    ],
)  # fmt: skip
def test_what_cannot_be_shown_is_said(portal, lender, wrong):
    page = seen(portal, company_path(portal), 400, **wrong)
    assert "This cannot be asked" in page.text


# --- orders ---


def test_orders_can_be_queried_and_a_wrong_query_is_shown_with_its_place(portal, lender):
    page = seen(portal, orders_path(portal), query="totalRefund<0", orderBy="totalAmount")
    ids = [row[0] for row in page.rows(None)[1:]]
    headers = {"Authorization": f"Bearer {key_of(portal, companies=[portal.store.shop.id])[1]}"}
    company, connection = portal.store.ids
    api = portal.client.get(
        f"/companies/{company}/connections/{connection}/data/commerce-orders",
        params={"query": "totalRefund<0", "orderBy": "totalAmount", "pageSize": 50}, headers=headers,
    ).json()  # fmt: skip
    assert ids == [order["orderNumber"] for order in api["results"]]
    assert ids
    wrong = seen(portal, orders_path(portal), 400, query="totalRefund<<0")
    assert any("at character" in text for text in wrong.text)
    assert wrong.forms[1]["query"] == "totalRefund<<0", "and can be mended where it stands"


def test_later_pages_stay_on_the_snapshot_of_the_first(portal, lender):
    page = seen(portal, orders_path(portal))
    [further] = [link for link in page.links if link.endswith("page=2")]
    newest = asked(
        portal, "SELECT max(snapshot_id) FROM snapshots WHERE company_id = ?", portal.store.ids[0]
    )[0][0]
    assert f"pinnedTo={newest}" in further
    ids, number = [row[0] for row in page.rows(None)[1:]], 2
    while further:
        page = seen(portal, further)
        ids += [row[0] for row in page.rows(None)[1:]]
        number += 1
        further = next((link for link in page.links if link.endswith(f"page={number}")), None)
    [(orders,)] = asked(portal, "SELECT count(*) FROM orders WHERE company_id = ?", portal.store.ids[0])
    assert len(ids) == len(set(ids)) == orders


def test_the_export_is_the_view_on_the_page(portal, lender):
    import csv
    import io

    answer = portal.client.get(
        f"{orders_path(portal)}.csv", params={"query": "totalRefund<0", "orderBy": "id"}
    )
    assert answer.headers["content-disposition"] == 'attachment; filename="orders.csv"'
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    found = asked(
        portal,
        "SELECT order_id, total_amount, total_refund FROM orders WHERE company_id = ? AND total_refund < 0 ORDER BY 1",
        portal.store.ids[0],
    )
    assert [(row["id"], Decimal(row["totalAmount"]), Decimal(row["totalRefund"])) for row in rows] == found
    everything = portal.client.get(f"{orders_path(portal)}.csv").text
    assert "<script>" in everything, "a file for a spreadsheet holds the text itself"
    assert portal.client.get(f"{orders_path(portal)}.csv", params={"query": "x<<"}).status_code == 400


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx"])
def test_a_spreadsheet_takes_no_stored_text_for_a_formula(text):
    from connector.portal.orders import Document, _cell

    document = Document(orderNumber=text, customerRef=Document(name=text), totalRefund=Decimal("-1.50"))
    assert _cell(document, "orderNumber") == f"'{text}"
    assert _cell(document, "customer") == f"'{text}"
    assert _cell(document, "totalRefund") == "-1.50"


def test_an_order_shows_each_total_with_its_arithmetic_and_the_records_behind_it(portal, lender):
    page = seen(portal, f"{orders_path(portal)}/{portal.store.odd_order}")
    text = " ".join(" ".join(page.text).split())
    headers = {"Authorization": f"Bearer {key_of(portal, 'read', 'lineage')[1]}"}
    company, connection = portal.store.ids
    base = f"/companies/{company}/connections/{connection}/data/commerce-orders/{portal.store.odd_order}"
    lineage = portal.client.get(f"{base}/lineage", headers=headers).json()
    order = portal.client.get(base, headers=headers).json()
    assert all(rule["agrees"] for rule in lineage["totals"])
    for rule in lineage["totals"]:
        assert written(Decimal(str(rule["value"])), "USD") in text
        for part in rule["parts"]:
            assert written(Decimal(str(part["amount"])), "USD") in text
    assert len(lineage["sources"]) >= 3
    for source in lineage["sources"]:
        assert f"#record-{source['kind']}-{source['id']}" in page.links
    lines = page.rows("lines-table")
    assert [row[-1] for row in lines[1:-1]] == [
        written(Decimal(str(line["totalAmount"])), "USD")
        for line in [*order["orderLineItems"], *order.get("serviceCharges", [])]
    ]
    assert lines[-1][-1] == written(Decimal(str(order["totalAmount"])), "USD")
    paid = sum(Decimal(str(p["amount"])) for p in order["payments"] if p["status"] == "Paid")
    assert page.rows("payments-table")[-1][-1] == f"{written(paid, 'USD')} USD"


def test_versions_stand_side_by_side_and_open_as_they_were(portal, lender):
    [(order_id,)] = asked(
        portal,
        "SELECT order_id FROM order_changes WHERE company_id = ? AND total_name = 'total_refund'"
        " AND NOT is_deleted ORDER BY 1 LIMIT 1",
        portal.store.ids[0],
    )
    page = seen(portal, f"{orders_path(portal)}/{order_id}")
    rows = {row[0]: row[1:] for row in page.rows("versions-table")}
    known = asked(
        portal,
        "SELECT snapshot_id, total_refund, total_amount FROM ledger.order_versions WHERE order_id = ? ORDER BY 1",
        order_id,
    )
    assert rows["Refunded"] == [written(row[1], "USD") for row in known]
    assert rows["Total"] == [written(row[2], "USD") for row in known]
    assert rows["State"] == ["replaced", "current"]
    before = seen(portal, f"{orders_path(portal)}/{order_id}", asOf=str(known[0][0]))
    assert before.rows("lines-table")[-1][-1] == written(known[0][2], "USD")
    assert f"As known at snapshot {known[0][0]}. " in before.text
    seen(portal, f"{orders_path(portal)}/none", 404)


# --- stored text, safe pages ---


def test_stored_text_is_text_everywhere(portal, operator, builders):
    for path in [*pages(portal), f"{HOME}/keys"]:
        text = portal.client.get(path).text
        assert "<script>alert" not in text, path
        page = Seen(text)
        assert all(
            tag == "script" and attrs["src"].startswith(f"{HOME}/static/") for tag, attrs in page.scripts
        )
        assert not re.search(r"<[^>]*\s(?:on[a-z]+|style)=", text), "no script and no style in attributes"
        assert not re.findall(r"(?:src|href|action)=\"(?!/|#)", text), "nothing from outside"
    order = portal.client.get(f"{orders_path(portal)}/{portal.store.odd_order}").text
    for stored in (builders.MARKUP, builders.ENDLESS, builders.RIGHT_TO_LEFT):
        assert any(stored in text for text in Seen(order).text), stored
    searched = portal.client.get(HOME, params={"q": '"><script>alert(1)</script>'})
    assert "<script>alert" not in searched.text
    failed = portal.client.get(f"{HOME}/companies/%3Cscript%3Ealert(1)%3C%2Fscript%3E")
    assert failed.status_code == 404
    assert "<script>alert" not in failed.text


def test_every_page_forbids_itself_what_it_does_not_need(portal, operator):
    for path in [*pages(portal), f"{HOME}/nothing", f"{HOME}/sign-in", f"{HOME}/api"]:
        headers = portal.client.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["cache-control"] == "no-store"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["content-type"].startswith("text/html")


def test_the_first_view_is_small(portal, operator):
    """Page, style, script and icon together, as they travel, are under 150 kB."""
    for path in pages(portal):
        page = portal.client.get(path)
        parts = set(re.findall(r'(?:src|href)="(/portal/static/[^"]+)"', page.text))
        assert len(parts) == 4
        answers = [page, *(portal.client.get(part) for part in parts)]
        assert all("immutable" in answer.headers["cache-control"] for answer in answers[1:])
        assert sum(int(answer.headers["content-length"]) for answer in answers) < 150_000, path


# --- sync and access ---


def test_a_refresh_is_asked_for_once_and_shown_as_waiting(portal_copy, builders):
    with builders.portal_client(portal_copy) as server:
        now = server.state.settings.clock()
        _key, secret = api_keys.create_key(
            server.state.control, "x", now=now, companies=[portal_copy.shop.id], scopes=("read", "write")
        )
        server.client.post(f"{HOME}/sign-in", data={"key": secret})
        path = f"{HOME}/companies/{portal_copy.shop.id}"
        for _ in range(2):
            [form] = [
                f for f in Seen(server.client.get(f"{path}/sync").text).forms if "refresh" in f[""]["action"]
            ]
            answer = server.client.post(form[""]["action"], data={"form_token": form["form_token"]})
            assert (answer.status_code, answer.headers["location"]) == (303, f"{path}/sync")
        waiting = server.state.control.rows(
            "SELECT requested_by FROM refresh_requests WHERE company_id = ?", (portal_copy.shop.id,)
        )
        assert [row[0] for row in waiting] == [_key.key_id]
        page = server.client.get(f"{path}/sync").text
        assert "Waits for the next sync." in page
        assert "data-reload" in page


def test_runs_are_shown_with_what_they_cost(portal, lender):
    page = seen(portal, f"{company_path(portal)}/sync")
    found = asked(
        portal,
        "SELECT kind, requests, orders_inserted, orders_updated FROM sync_runs WHERE company_id = ?"
        " ORDER BY started_at DESC, run_id",
        portal.store.ids[0],
    )
    rows = page.rows(None)[1:]
    assert [(row[1], row[4], row[8], row[9]) for row in rows] == [
        tuple(ABSENT if value is None else str(value) for value in row) for row in found
    ]
    assert {row[0] for row in found} == {"sync", "reconcile"}


def test_a_delivery_is_sent_again_when_asked(portal, operator):
    from connector.control import outbox
    from connector.control import webhooks as api_webhooks

    control, now = portal.state.control, portal.state.settings.clock()
    hook = api_webhooks.Webhook(
        "hook-1", "https://lender.example.com/in", (), (), None, "whsec_eA==", False, "2026-11-01T00:00:00Z"
    )
    api_webhooks.create_webhook(control, hook, key_id=None)
    with control.transaction() as db:
        outbox.note(db, outbox.Event("evt-1", "read.completed", None, "{}"), ["hook-1"], now=now)
    [delivery] = outbox.deliveries_to(control, "hook-1")
    outbox.record(control, delivery, outbox.Retries(()), status=500, error="refused <b>", now=now)
    page = seen(portal, f"{HOME}/webhooks")
    [form] = [form for form in page.forms if "resend" in form[""]["action"]]
    fields = {name: value for name, value in form.items() if name}
    assert portal.client.post(form[""]["action"], data=fields).status_code == 303
    [delivery] = outbox.deliveries_to(control, "hook-1")
    assert delivery.next_try is not None
    assert delivery.attempts == 1, "what was tried is not forgotten"
    assert portal.client.post(form[""]["action"], data={**fields, "event": "evt-2"}).status_code == 404
    other = form[""]["action"].replace("hook-1", "hook-2")
    assert portal.client.post(other, data=fields).status_code == 404


def test_keys_and_who_read_what_are_for_an_operators_key(portal, operator):
    page = seen(portal, f"{HOME}/keys", key=operator.key_id)
    text = " ".join(page.text)
    assert operator.key_id in text
    assert "secret" not in text
    tables = portal.client.get(f"{HOME}/keys").text
    assert "Who read what" in tables
    for scopes, companies in ((("read",), None), (("read", "write"), [portal.store.shop.id])):
        _key, secret = key_of(portal, *scopes, companies=companies)
        sign_in(portal, secret)
        assert portal.client.get(f"{HOME}/keys").status_code == 404


def test_before_the_first_sync_the_pages_say_so(tmp_path, builders):
    with builders.portal_client(builders.Portal(tmp_path, *builders.two_companies(), "x")) as server:
        _key, secret = api_keys.create_key(server.state.control, "x", now=server.state.settings.clock())
        server.client.post(f"{HOME}/sign-in", data={"key": secret})
        assert "Never Read" in server.client.get(HOME).text
        company = f"{HOME}/companies/{builders.two_companies()[0].id}"
        assert "Nothing of this company was read yet" in server.client.get(company).text
        assert server.client.get(f"{company}/sync").status_code == 200
        orders = f"{company}/connections/{builders.two_companies()[0].connections[0].id}/orders"
        assert server.client.get(orders).status_code == 409


def test_every_code_of_an_issue_has_words():
    import ast
    from pathlib import Path

    from connector.ledger.reconcile_reads import DELETED_AT_CLOVER
    from connector.report.words import ISSUES

    root = Path(__file__).parents[2] / "transforms"
    found = {DELETED_AT_CLOVER}
    for file in root.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            name = getattr(getattr(node, "func", None), "id", None)
            if (
                name in ("Issue", "_issue", "_warning")
                and node.args
                and isinstance(node.args[0], ast.Constant)
            ):
                found.add(node.args[0].value)
            if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "_EVIDENCE":
                found |= {node.value.value} if isinstance(node.value, ast.Constant) else set()
    assert len(found) > 10
    assert found <= ISSUES.keys()
