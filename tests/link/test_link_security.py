"""What an attacker would try: forged links and forms, other people's answers, secrets left lying about, floods."""

import re
from urllib.parse import urlsplit

import pytest
from prometheus_client import REGISTRY, generate_latest

from connector.control import links
from connector.control.file import FILE
from tests.link.lender import BACK


@pytest.fixture
def visited(lender):
    """A company, its connection, and a browser at the question."""
    company, connection = lender.applicant()
    browser = lender.browser()
    browser.open(connection["linkUrl"])
    return company, connection, browser


def token_of(connection):
    return urlsplit(connection["linkUrl"]).path.rpartition("/")[2]


def test_ids_alone_open_nothing(lender):
    company, connection = lender.applicant()
    for path in (
        f"/link/{company['id']}", f"/link/{connection['id']}", "/link", "/link/", "/link/callback", "/link/x.y",
        f"/link?companyId={company['id']}&connectionId={connection['id']}", "/link/%2e%2e/portal",
    ):  # fmt: skip
        answer = lender.browser().go(path)
        assert answer.status_code in (400, 403, 404), path
        assert "Corner Shop" not in answer.text
        assert "set-cookie" not in answer.headers


def test_another_companys_link_opens_only_that_company(lender):
    mine, connection = lender.applicant("Mine")
    theirs, other = lender.applicant("Theirs")
    browser = lender.browser()
    browser.open(connection["linkUrl"])
    assert "Mine" in browser.page.text
    assert "Theirs" not in browser.page.text
    forged = token_of(connection).partition(".")[0] + "." + token_of(other).partition(".")[2]
    assert lender.browser().go(f"/link/{forged}").status_code == 404
    browser.submit("/link/consent", region="na", companyId=theirs["id"], connectionId=other["id"])
    browser.come_back(browser.at_clover("MSHOP00000000"))
    assert lender.connection(other, theirs)["status"] == "PendingAuth"
    assert lender.connection(connection, mine)["status"] == "Linked"


@pytest.mark.parametrize("path", ["/link/consent", "/link/again", "/link/details"])
@pytest.mark.parametrize(
    "forged",
    [
        {"headers": {"sec-fetch-site": "cross-site"}},
        {"headers": {"origin": "https://evil.example"}},
        {"headers": {"origin": "null"}},
        {"data": {"form_token": ""}},
        {"data": {"form_token": "aa.bb"}},
        {"data": {"form_token": "\u00e9.\u00e9"}},
    ],
    ids=["cross-site", "origin", "null", "empty", "wrong", "not-ascii"],
)
def test_a_form_of_another_site_changes_nothing(lender, visited, path, forged):
    company, _connection, browser = visited
    before = lender.state.control.rows("SELECT * FROM link_visits WHERE company_id = ?", (company["id"],))
    token = re.search(r'name="form_token" value="([^"]+)"', browser.page.text)[1]
    data = {"form_token": token, "region": "na", **forged.get("data", {})}
    answer = browser.http.post(path, data=data, headers=forged.get("headers"))
    assert answer.status_code == 403
    after = lender.state.control.rows("SELECT * FROM link_visits WHERE company_id = ?", (company["id"],))
    assert [tuple(row) for row in before] == [tuple(row) for row in after]


def test_a_form_of_one_visit_is_not_good_in_another(lender, visited):
    _company, _connection, browser = visited
    other = lender.browser()
    other.open(lender.applicant()[1]["linkUrl"])
    other.page = browser.page
    assert other.agree().status_code == 403


@pytest.mark.parametrize(
    "redirect", ["https://evil.example/", f"{BACK}@evil.example", "//evil.example", "javascript:alert(1)"]
)
def test_a_link_leads_nowhere_that_is_not_allowed(lender, redirect):
    _company, connection = lender.applicant()
    browser = lender.browser()
    answer = browser.open(connection["linkUrl"], redirect=redirect)
    assert answer.status_code == 400
    assert "evil" not in answer.text
    assert all("evil" not in one.headers.get("location", "") for one in browser.answers)


def test_a_redirect_of_the_lenders_choice_carries_what_he_put_there(lender):
    _company, connection = lender.applicant()
    browser = lender.browser()
    browser.open(connection["linkUrl"], redirect=f"{BACK}?application=42&status=linked")
    browser.agree()
    browser.come_back(browser.at_clover("MSHOP00000001", decision="refuse"))
    assert f"{BACK}?application=42&amp;companyId=" in browser.page.text
    assert "status=refused" in browser.page.text
    assert "status=linked" not in browser.page.text


def test_no_token_and_no_code_is_left_lying_about(lender, log):
    """Neither in a page, an address the browser stays at, a referrer, the log, the figures nor the control data."""
    exchanged = lender.clover.access
    known = set(exchanged.grants)
    _company, connection = lender.applicant()
    browser = lender.browser()
    browser.open(connection["linkUrl"])
    browser.agree()
    answer = browser.at_clover("MSHOP00000002")
    code = re.search(r"code=([0-9a-f]+)", answer)[1]
    browser.come_back(answer)
    failed = lender.browser()
    failed.open(lender.applicant()[1]["linkUrl"])
    failed.agree()
    dead = failed.at_clover("MSHOP00000002", answer="expired_code")
    dead_code = re.search(r"code=([0-9a-f]+)", dead)[1]
    failed.come_back(dead)
    lender.browser().go(f"/link/{token_of(connection)}", headers={"content-length": "99999999"})
    lender.browser().go(f"/link/{token_of(connection)}", "PUT")
    tokens = set(exchanged.grants) - known
    assert len(tokens) == 1
    secrets = {
        code,
        dead_code,
        *tokens,
        *exchanged._refresh_tokens,
        token_of(connection),
        exchanged.client_secret,
    }
    cookie = browser.http.cookies["connector_link"]
    for one in (*browser.answers, *failed.answers):
        shown = one.text + str(one.headers.get("location", ""))
        assert not [secret for secret in secrets | {cookie} if secret in shown]
        assert one.headers["cache-control"] == "no-store"
        assert one.headers["referrer-policy"] in ("no-referrer", "same-origin")
        if one.status_code == 303:
            assert one.headers["referrer-policy"] == (
                "same-origin" if one.request.method == "POST" else "no-referrer"
            )
    said = log.getvalue() + generate_latest(REGISTRY).decode()
    assert "link.connected" in said
    assert not [line for line in said.splitlines() if any(one in line for one in secrets | {cookie})]
    lender.state.access_log.flush()
    directory = lender.store.directory
    kept = b"".join(path.read_bytes() for path in directory.glob(f"{FILE}*"))
    kept += b"".join(path.read_bytes() for path in directory.rglob("*") if path.is_file())
    # The link itself stands in the event connection.created, which is for whoever sends it on.
    secrets.remove(token_of(connection))
    assert not [secret for secret in secrets | {cookie} if secret.encode() in kept]


def test_the_cookie_is_out_of_reach_and_lax(own_lender):
    lender = own_lender(base="https://data.example.com")
    _company, connection = lender.applicant()
    browser = lender.browser()
    answer = browser.http.get(urlsplit(connection["linkUrl"]).path)
    cookie = answer.headers["set-cookie"].lower()
    assert all(
        part in cookie for part in ("httponly", "samesite=lax", "secure", "path=/link", "max-age=14400")
    )
    page = browser.open(connection["linkUrl"])
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "form-action 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "<script" not in page.text


def test_names_are_text_and_nothing_else(lender):
    _company, connection = lender.applicant("Tom & Sons, 'best'")
    browser = lender.browser()
    browser.open(connection["linkUrl"])
    assert "Tom &amp; Sons, &#39;best&#39;" in browser.page.text


def test_wrong_links_are_slowed_down_and_then_refused(own_lender):
    lender = own_lender()
    browser = lender.browser(client=("203.0.113.9", 1))
    answers = [browser.go(f"/link/wrong.{n}").status_code for n in range(40)]
    assert answers[0] == 404
    assert answers[-1] == 429
    _company, connection = lender.applicant()
    assert lender.browser().open(connection["linkUrl"]).status_code == 200, "others are not slowed down"


def test_one_address_may_ask_so_often_a_minute(own_lender):
    lender = own_lender()
    _company, connection = lender.applicant()
    browser = lender.browser(client=("203.0.113.10", 1))
    answers = [browser.open(connection["linkUrl"]).status_code for _ in range(40)]
    assert answers[0] == 200
    assert answers[-1] == 429
    assert int(browser.page.headers["retry-after"]) > 0


def test_opening_a_link_again_and_again_fills_no_table(own_lender):
    lender = own_lender()
    company, connection = lender.applicant()
    path = urlsplit(connection["linkUrl"]).path
    for _ in range(3 * links.MOST_OPEN):
        assert lender.browser().http.get(path).status_code == 303
    visits = lender.state.control.rows("SELECT 1 FROM link_visits WHERE company_id = ?", (company["id"],))
    assert len(visits) == links.MOST_OPEN


def test_a_merchant_id_in_the_answer_is_believed_only_when_the_token_opens_it(lender, visited):
    company, connection, browser = visited
    browser.agree()
    answer = browser.at_clover("MSHOP00000003")
    browser.come_back(answer.replace("MSHOP00000003", "MSHOP00000004"))
    assert browser.heading == "Clover's answer names another shop"
    assert lender.connection(connection, company)["status"] == "PendingAuth"


def test_a_key_sees_the_links_of_its_companies_and_no_other(lender):
    mine, _connection = lender.applicant("Mine Alone")
    theirs, _other = lender.applicant("Theirs Alone")
    reader = lender.key("read", companies=[mine["id"]])
    assert lender.api.get(f"/companies/{theirs['id']}", headers=reader).status_code == 404
    assert lender.api.get(f"/companies/{mine['id']}", headers=reader).json()["dataConnections"][0]["linkUrl"]
