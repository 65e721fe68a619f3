"""From the link to the first order: what a merchant sees, what the lender is told, what is kept."""

import base64
import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import httpx
import pytest

from connector.control import links
from connector.control.companies import take_from_config
from connector.control.kept import kept_companies
from connector.control.place import control_place
from connector.errors import Deauthorized
from connector.link import answer as answers
from connector.link import connecting
from connector.sync.connect.oauth import oauth_source
from tests.link.lender import BACK, shop


def kept(lender, company):
    """The connections of a company as they are kept."""
    found = [one for one in kept_companies(control_place(lender.config)) if one.id == company["id"]]
    return found[0].connections if found else []


def test_the_whole_way(own_lender):
    lender = own_lender()
    company, connection = lender.applicant()
    assert connection["status"] == "PendingAuth"
    assert lender.api.get(f"/companies/{company['id']}/dataStatus").json() == {}
    world = lender.worlds[0]
    browser = lender.browser()
    browser.open(connection["linkUrl"])
    assert browser.heading == "Connect your Clover shop"
    assert "Example Lending" in browser.page.text
    browser.agree()
    browser.come_back(browser.at_clover(world.merchant.id))
    assert browser.heading == "Your shop is connected"
    assert (
        f"{BACK}?companyId={company['id']}&amp;status=linked&amp;connectionId={connection['id']}"
        in browser.page.text
    )
    assert lender.connection(connection, company)["status"] == "Linked"
    statuses = lender.api.get(f"/companies/{company['id']}/dataStatus").json()
    assert statuses["commerce-orders"]["currentStatus"] == "Queued"
    history = lender.api.get(f"/companies/{company['id']}/data/history").json()["results"]
    assert {one["status"] for one in history} == {"Queued"}

    with lender.store.run_lock(connection["id"]):
        statuses = lender.api.get(f"/companies/{company['id']}/dataStatus").json()
        assert statuses["commerce-orders"]["currentStatus"] == "Fetching", "while a run reads it"
        history = lender.api.get(f"/companies/{company['id']}/data/history").json()["results"]
        assert {(one["status"], one["progress"]) for one in history} == {("Fetching", 50)}

    [one] = kept(lender, company)
    merchant = world.merchant
    assert (one.merchant_id, one.merchant_name) == (merchant.id, merchant.name)
    assert (one.country, one.currency, one.timezone) == ("USA", "USD", "America/New_York")
    assert (one.schedule, one.start_date, one.credential) == (
        lender.config.link.schedule, lender.config.link.start_date, "kept",
    )  # fmt: skip

    lender.sync()
    data = f"/companies/{company['id']}/connections/{connection['id']}/data/commerce-orders"
    orders = lender.api.get(data).json(parse_float=Decimal)
    [totals] = world.books.totals().values()
    assert orders["totalResults"] == 3
    assert (
        sum(Decimal(str(order["totalAmount"])) for order in orders["results"]) * 100
        == totals.total_amount_minor
    )
    statuses = lender.api.get(f"/companies/{company['id']}/dataStatus").json()
    assert statuses["commerce-orders"]["currentStatus"] == "Complete"
    assert lender.events() == [
        "company.created", "connection.created", "connection.connected", "read.completed", "read.completed.initial",
    ]  # fmt: skip


CHOICES = [
    ({"decision": "refuse"}, "Nothing was connected", "refused"),
    ({"answer": "expired_code"}, "Clover's answer was no longer good", "code"),
    ({"answer": "no_permission"}, "The app may not read your orders", "permission"),
]


@pytest.mark.parametrize(("choice", "heading", "reason"), CHOICES, ids=[one[2] for one in CHOICES])
def test_what_goes_wrong_links_nobody_is_told_and_may_begin_again(lender, choice, heading, reason):
    company, connection = lender.applicant()
    browser = lender.browser()
    browser.open(connection["linkUrl"])
    browser.agree()
    browser.come_back(browser.at_clover("MSHOP00000001", **choice))
    assert browser.heading == heading
    assert f"status={'refused' if reason == 'refused' else 'failed'}" in browser.page.text
    shown = lender.connection(connection, company)
    assert shown["status"] == "PendingAuth"
    assert [(one["statusText"], one["status"]) for one in shown["dataConnectionErrors"]] == [
        (heading, "Active")
    ]
    assert kept(lender, company) == []
    rows = lender.state.control.rows(
        "SELECT body FROM outbox_events WHERE event_type = 'connection.failed' AND company_id = ?",
        (company["id"],),
    )
    assert len(rows) == 1
    assert heading in rows[0]["body"]
    browser.submit("/link/again")
    browser.agree()
    browser.come_back(browser.at_clover("MSHOP00000001"))
    assert browser.heading == "Your shop is connected"
    shown = lender.connection(connection, company)
    assert (shown["status"], shown.get("dataConnectionErrors")) == ("Linked", None)


def test_an_answer_with_another_state_changes_nothing_and_the_true_one_still_counts(lender):
    company, connection = lender.applicant()
    browser = lender.browser()
    browser.open(connection["linkUrl"])
    browser.agree()
    true = browser.at_clover("MSHOP00000002")
    wrong = browser.at_clover("MSHOP00000002", answer="wrong_state")
    assert browser.come_back(wrong).status_code == 403
    assert lender.connection(connection, company)["status"] == "PendingAuth"
    browser.come_back(true)
    assert browser.heading == "Your shop is connected"


def test_a_state_of_another_browser_is_refused_and_not_used_up(lender):
    company, connection = lender.applicant()
    mine, other = lender.browser(), lender.browser()
    for one in (mine, other):
        one.open(connection["linkUrl"])
        one.agree()
    answer = mine.at_clover("MSHOP00000003")
    exchanges = lender.clover.access.exchanges
    assert other.come_back(answer).status_code == 403
    assert lender.browser().come_back(answer).status_code == 403
    assert lender.clover.access.exchanges == exchanges
    mine.come_back(answer)
    assert lender.connection(connection, company)["status"] == "Linked"


def test_an_answer_counts_once(lender):
    _company, connection = lender.applicant()
    browser = lender.browser()
    browser.open(connection["linkUrl"])
    browser.agree()
    answer = browser.at_clover("MSHOP00000004")
    browser.come_back(answer)
    exchanges = lender.clover.access.exchanges
    browser.come_back(answer)
    assert browser.heading == "Your shop is connected"
    assert lender.clover.access.exchanges == exchanges


@pytest.mark.parametrize(("minutes", "works"), [(9, True), (11, False)])
def test_an_answer_has_ten_minutes(own_lender, minutes, works):
    lender = own_lender()
    company, connection = lender.applicant()
    browser = lender.browser()
    browser.open(connection["linkUrl"])
    browser.agree()
    answer = browser.at_clover()
    lender.ahead += timedelta(minutes=minutes)
    browser.come_back(answer)
    assert (browser.heading == "Your shop is connected") is works
    assert (browser.heading == "That took too long") is not works
    assert (lender.connection(connection, company)["status"] == "Linked") is works


def test_a_link_is_over_after_its_days_and_the_connection_has_a_new_one(own_lender):
    lender = own_lender(valid_days=3)
    company, connection = lender.applicant()
    lender.ahead += timedelta(days=4)
    browser = lender.browser()
    assert browser.open(connection["linkUrl"]).status_code == 410
    assert "expired" in browser.page.text
    fresh = lender.connection(connection, company)["linkUrl"]
    assert browser.open(fresh).status_code == 200


def test_a_link_that_is_opened_twice_is_one_visit_in_one_browser_and_two_in_two(lender):
    company, connection = lender.applicant()
    mine = lender.browser()
    mine.open(connection["linkUrl"])
    mine.agree()
    mine.open(connection["linkUrl"])
    mine.come_back(mine.http and mine_answer(mine))
    other = lender.browser()
    other.open(connection["linkUrl"])
    assert other.heading == "Your shop is connected", "and asks nothing more"
    visits = lender.state.control.rows("SELECT stage FROM link_visits WHERE company_id = ?", (company["id"],))
    assert sorted(row["stage"] for row in visits) == ["linked", "opened"]


def mine_answer(browser):
    """Clover's answer to the question that the browser had put before its newest page."""
    browser.page = next(one for one in reversed(browser.answers) if "refresh" in one.text)
    return browser.at_clover("MSHOP00000005")


def test_two_browsers_with_two_shops_never_mix_them(lender):
    company, connection = lender.applicant()
    one, two = lender.browser(), lender.browser()
    for browser in (one, two):
        browser.open(connection["linkUrl"])
        browser.agree()
    first, second = one.at_clover("MSHOP00000006"), two.at_clover("MSHOP00000007")
    one.come_back(first)
    two.come_back(second)
    assert (one.heading, two.heading) == ("Your shop is connected", "That is another shop")
    [kept_one] = kept(lender, company)
    assert kept_one.merchant_id == "MSHOP00000006"


def test_a_companys_own_link_makes_the_connection(lender):
    company = lender.api.post("/companies", json={"name": "Only A Company"}).json()
    browser = lender.browser()
    browser.open(company["redirect"])
    browser.agree()
    browser.come_back(browser.at_clover("MSHOP00000008"))
    assert browser.heading == "Your shop is connected"
    [connection] = lender.api.get(f"/companies/{company['id']}").json()["dataConnections"]
    assert connection["status"] == "Linked"


def test_the_same_shop_twice_in_a_company_is_one_connection(lender):
    company, first = lender.applicant()
    lender.link(first, merchant="MSHOP00000009")
    second = lender.api.post(f"/companies/{company['id']}/connections", json={"platformKey": "fqly"}).json()
    browser = lender.link(second, merchant="MSHOP00000009")
    assert browser.heading == "Your shop is connected"
    assert f"connectionId={first['id']}" in browser.page.text
    left = lender.api.get(f"/companies/{company['id']}").json()["dataConnections"]
    assert [(one["id"], one["status"]) for one in left] == [(first["id"], "Linked")]
    assert len(kept(lender, company)) == 1


def test_the_same_shop_in_two_companies_is_said_to_the_operator(lender, log):
    one, first = lender.applicant("One")
    two, second = lender.applicant("Two")
    lender.link(first, merchant="MSHOP00000010")
    browser = lender.link(second, merchant="MSHOP00000010")
    assert browser.heading == "Your shop is connected"
    [said] = [line for line in log.getvalue().splitlines() if "link.merchant_twice" in line]
    assert one["id"] in said
    assert two["id"] in said


def test_what_clover_does_not_say_is_asked_and_never_guessed(lender):
    company, connection = lender.applicant()
    browser = lender.browser()
    browser.open(connection["linkUrl"])
    browser.agree()
    browser.come_back(browser.at_clover("MSHOP00000011", answer="no_profile"))
    assert browser.heading == "One more question"
    assert lender.connection(connection, company)["status"] == "PendingAuth"
    browser.submit("/link/details", timezone="Mars/Olympus", country="ZZZ")
    assert "Please choose the time zone" in browser.page.text
    browser.submit("/link/details", timezone="America/Chicago", country="XXX")
    assert browser.heading == "Your shop is connected"
    [one] = kept(lender, company)
    assert (one.timezone, one.country, one.currency, one.merchant_name) == (
        "America/Chicago", "XXX", None, company["name"],
    )  # fmt: skip


def test_each_region_has_an_app_and_a_shop_of_the_other_region_is_refused(own_lender):
    europe = shop(50, country="IE", currency="EUR", timezone="Europe/Dublin")
    lender = own_lender([[shop(0)], [europe]], regions=("na", "eu"))
    company, connection = lender.applicant()
    browser = lender.browser()
    browser.open(connection["linkUrl"])
    assert "Where is your shop?" in browser.page.text
    assert browser.agree(region="la").status_code == 400
    browser.open(connection["linkUrl"])
    browser.agree(region="eu")
    assert browser.leads_to.startswith(lender.clovers["eu"].base_url)
    answer = browser.at_clover(europe.merchant.id)
    browser.come_back(answer.replace(europe.merchant.id, lender.worlds[0].merchant.id))
    assert browser.heading == "Clover's answer names another shop"
    browser.submit("/link/again")
    browser.agree(region="eu")
    browser.come_back(browser.at_clover(europe.merchant.id))
    assert browser.heading == "Your shop is connected"
    [one] = kept(lender, company)
    assert (one.region, one.country, one.timezone) == ("eu", "IRL", "Europe/Dublin")


def test_a_merchant_who_removed_the_app_connects_again_by_the_same_link(own_lender):
    lender = own_lender()
    company, connection = lender.applicant()
    world = lender.worlds[0]
    lender.link(connection, merchant=world.merchant.id)
    lender.sync()
    lender.clover.access.revoke(world)
    lender.clover.access.grant("again", world)
    token = oauth_source(lender.config, kept(lender, company)[0])
    with pytest.raises(Deauthorized) as refused:
        token.refresh(token.current())
    assert "linkUrl" in refused.value.hint
    lender.ahead += timedelta(hours=1)
    lender.sync()
    assert lender.connection(connection, company)["status"] == "Deauthorized"
    lender.events()
    world.sell(datetime.now(UTC) - timedelta(minutes=5), [("Tea of today", 900)])
    browser = lender.link(lender.connection(connection, company), merchant="MSHOP00000001")
    assert browser.heading == "That is another shop"
    browser.submit("/link/again")
    browser.agree()
    browser.come_back(browser.at_clover(world.merchant.id))
    assert "It had been connected before" in browser.page.text
    assert lender.connection(connection, company)["status"] == "Linked", "at once, not after the next read"
    lender.ahead += timedelta(seconds=5)
    lender.sync()
    orders = lender.api.get(f"/companies/{company['id']}/connections/{connection['id']}/data/commerce-orders")
    assert orders.json()["totalResults"] == 4
    told = lender.events()
    assert [event for event in told if event.startswith("connection.") and event != "connection.failed"] == [
        "connection.created", "connection.connected", "connection.disconnected", "connection.reconnected",
    ]  # fmt: skip


def pairs(lender):
    return lender.state.control.rows("SELECT connection_id FROM oauth_pairs WHERE sealed IS NOT NULL")


def test_unlinking_removes_the_token_stops_the_schedule_and_can_be_undone_by_the_merchant(own_lender):
    lender = own_lender()
    company, connection = lender.applicant()
    lender.link(connection, merchant="MSHOP00000000")
    lender.sync()
    path = f"/companies/{company['id']}/connections/{connection['id']}"
    assert len(pairs(lender)) == 1
    assert lender.api.patch(path, json={"status": "Unlinked"}).status_code == 200
    assert pairs(lender) == []
    lender.ahead += timedelta(hours=1)
    asked = lender.clover.requests()
    lender.sync()
    assert lender.clover.requests() == asked, "nothing is read any more"
    assert lender.api.get(f"{path}/data/commerce-orders").json()["totalResults"] == 3, "what was read stays"
    lender.link(lender.connection(connection, company), merchant="MSHOP00000000")
    assert lender.connection(connection, company)["status"] == "Linked"
    lender.sync()
    assert lender.clover.requests() > asked
    assert [event for event in lender.events() if event in ("connection.disconnected", "connection.reconnected")] == [
        "connection.disconnected", "connection.reconnected",
    ]  # fmt: skip


def test_a_deleted_company_is_forgotten_once_its_lender_was_told(own_lender):
    lender = own_lender()
    company, connection = lender.applicant("Forget Me")
    kept_company, kept_connection = lender.applicant("Keep Me")
    lender.link(connection, merchant="MSHOP00000000")
    lender.link(kept_connection, merchant="MSHOP00000001")
    lender.sync()
    assert lender.api.delete(f"/companies/{company['id']}").status_code == 204
    assert {row["connection_id"] for row in pairs(lender)} == {kept_connection["id"]}
    lender.sync()
    assert "company.deleted" in lender.events(), "it is still to be told"
    lender.state.control.write("UPDATE outbox_deliveries SET next_try = NULL")
    lender.ahead += timedelta(minutes=2)
    lender.sync()
    for word in (company["id"], connection["id"], "MSHOP00000000"):
        left = [
            path
            for path in lender.store.directory.rglob("*")
            if path.is_file() and word.encode() in path.read_bytes()
        ]
        assert left == [], word
    orders = lender.api.get(
        f"/companies/{kept_company['id']}/connections/{kept_connection['id']}/data/commerce-orders"
    )
    assert orders.json()["totalResults"] == 3


class Killed(BaseException):
    """What is left of a process that was killed: nothing of it runs any more."""


@pytest.mark.parametrize("place", ["link.taken", "link.exchanged", "link.pair_kept", "link.kept"])
def test_a_process_that_is_killed_anywhere_loses_nothing_and_links_nobody_by_half(lender, monkeypatch, place):
    """The kill itself, of a server with a browser before it, is in test_link_browser.py."""
    company, connection = lender.applicant()
    browser = lender.browser()
    browser.open(connection["linkUrl"])
    browser.agree()
    answer = browser.at_clover("MSHOP00000006")

    def killed(name):
        if name == place:
            raise Killed

    with monkeypatch.context() as here:
        for module in (answers, connecting):
            here.setattr(module, "failpoint", killed)
            here.setattr(links, "release", lambda *_: None)
        with pytest.raises(Killed):
            browser.come_back(answer)
    is_kept = place == "link.kept"
    assert bool(kept(lender, company)) is is_kept
    assert lender.connection(connection, company)["status"] == ("Linked" if is_kept else "PendingAuth")
    lender.ahead += links.CLAIM + timedelta(seconds=1)
    browser.come_back(answer)
    if not is_kept:
        assert browser.heading == "This answer was used already"
        browser.submit("/link/again")
        browser.agree()
        browser.come_back(browser.at_clover("MSHOP00000006"))
    assert browser.heading == "Your shop is connected"
    assert lender.connection(connection, company)["status"] == "Linked"
    assert len(kept(lender, company)) == 1
    waiting = lender.state.control.rows(
        "SELECT 1 FROM refresh_requests WHERE connection_id = ?", (connection["id"],)
    )
    assert waiting, "the first read is asked for"


def test_an_app_without_a_secret_proves_itself_by_pkce(own_lender):
    """RFC 7636: what the exchange brings hashes to what the consent page was shown."""
    lender = own_lender(pkce=True)
    company, connection = lender.applicant()
    asked = []

    class Overheard(httpx.BaseTransport):
        def __init__(self, network):
            self.network = network

        def handle_request(self, request):
            if request.url.path.endswith("/token"):
                asked.append(json.loads(request.read()))
            return self.network.handle_request(request)

    lender.app.state.linking = replace(lender.linking, transport=Overheard(lender.linking.transport))
    browser = lender.browser()
    browser.open(connection["linkUrl"])
    browser.agree()
    shown = httpx.URL(browser.leads_to).params
    browser.come_back(browser.at_clover())
    assert lender.connection(connection, company)["status"] == "Linked"
    [body] = asked
    assert "client_secret" not in body
    digest = hashlib.sha256(body["code_verifier"].encode()).digest()
    assert base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == shown["code_challenge"]
    assert shown["code_challenge_method"] == "S256"


def test_the_page_shows_who_asks(own_lender, tmp_path):
    (tmp_path / "logo.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    lender = own_lender(logo=tmp_path / "logo.svg", privacy_url="https://lender.example/privacy")
    _company, connection = lender.applicant()
    browser = lender.browser()
    page = browser.open(connection["linkUrl"]).text
    assert '<img src="/link/logo" alt="Example Lending"' in page
    assert 'href="https://lender.example/privacy"' in page
    logo = browser.http.get("/link/logo")
    assert (logo.status_code, logo.headers["content-type"]) == (200, "image/svg+xml")
    assert "default-src 'none'" in logo.headers["content-security-policy"]


def test_a_company_of_the_configuration_is_connected_there(own_lender):
    """Its links lead to the portal, and its name opens nothing."""
    lender = own_lender()
    take_from_config(lender.state.control, [("c-yaml", "Of The File", ["n-yaml"])], now=lender.now())
    company = lender.api.get("/companies/c-yaml").json()
    assert company["redirect"] == "http://testserver/?companyId=c-yaml"
    assert company["dataConnections"][0]["linkUrl"].startswith("http://testserver/?companyId=c-yaml")
    made = lender.api.post("/companies/c-yaml/connections", json={"platformKey": "fqly"}).json()
    browser = lender.browser()
    assert browser.open(made["linkUrl"]).status_code == 410
    assert browser.heading == "This link cannot be used"


ODD = [
    ({"name": ""}, {"merchant_name": "Corner Shop"}),
    ({"name": "N" * 900}, {"merchant_name": "N" * 900}),
    ({"name": "\u202eTom & <b>"}, {"merchant_name": "\u202eTom & <b>"}),
    ({"currency": "usd"}, {"currency": None}),
    ({"currency": ""}, {"currency": None}),
    ({"country": "ZZ"}, {"country": "XXX"}),
    ({"country": ""}, {"country": "XXX"}),
    ({"country": "ca"}, {"country": "CAN"}),
    ({"timezone": "EST5EDT, maybe"}, {"timezone": "America/Chicago"}),
    ({"timezone": ""}, {"timezone": "America/Chicago"}),
    ({"timezone": "../../etc/passwd"}, {"timezone": "America/Chicago"}),
    ({"timezone": "America/Halifax"}, {"timezone": "America/Halifax"}),
]


def test_whatever_clover_says_of_a_merchant_is_kept_asked_or_left_open(own_lender):
    worlds = [shop(n, orders=0) for n in range(len(ODD))]
    for world, (about, _expected) in zip(worlds, ODD, strict=True):
        for name, value in about.items():
            object.__setattr__(world.merchant, name, value)
    lender = own_lender([worlds])
    for world, (about, expected) in zip(worlds, ODD, strict=True):
        company, connection = lender.applicant()
        browser = lender.link(connection, merchant=world.merchant.id)
        if browser.heading == "One more question":
            assert {"timezone", "country"} & set(about), about
            browser.submit("/link/details", timezone="America/Chicago", country="XXX")
        assert browser.heading == "Your shop is connected", about
        [one] = kept(lender, company)
        assert {name: getattr(one, name) for name in expected} == expected
