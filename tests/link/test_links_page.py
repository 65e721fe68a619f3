"""The portal's page of links: what operators and lenders see of the way their merchants took."""

import re

import pytest

from connector.control import keys as api_keys
from connector.control.sessions import begin_session
from connector.portal.rendering import ABSENT


@pytest.fixture(scope="module")
def told(lender):
    """Four applicants, each at another place of the way."""
    sent, opened, linked, refused = (
        lender.applicant(name) for name in ("Sent", "Opened", "Linked", "Refused")
    )
    lender.browser().open(opened[1]["linkUrl"])
    lender.browser().open(opened[1]["linkUrl"])
    lender.link(linked[1], merchant="MSHOP00000001")
    lender.link(refused[1], merchant="MSHOP00000002", decision="refuse")
    return {"Sent": sent, "Opened": opened, "Linked": linked, "Refused": refused}


def page_of(lender, *, companies=None):
    key, _secret = api_keys.create_key(
        lender.state.control, "viewer", now=lender.now(), companies=companies, scopes=("read",)
    )
    browser = lender.browser()
    browser.http.cookies.set(
        "connector_portal", begin_session(lender.state.control, key.key_id, now=lender.now())
    )
    answer = browser.http.get("/portal/links")
    assert answer.status_code == 200
    rows = re.findall(r"<tr><th scope=\"row\">(.+?)</tr>", answer.text, re.S)
    cells = [[re.sub(r"<.+?>", "", cell).strip() for cell in row.split("<td>")] for row in rows]
    return answer.text, {row[0]: row[1:] for row in cells}


def test_each_link_is_where_its_merchant_left_it(lender, told):
    _text, rows = page_of(lender)
    status, _made, opened, agreed, completed, failed = rows["Sent"]
    assert status.startswith("Pending")
    assert (opened, agreed, completed, failed) == (ABSENT, ABSENT, ABSENT, ABSENT)
    assert "2 times" in rows["Opened"][2]
    assert rows["Opened"][3] == ABSENT
    assert rows["Linked"][0].startswith("Linked")
    assert all(rows["Linked"][at].startswith("20") for at in (1, 2, 3, 4))
    assert rows["Linked"][5] == ABSENT
    assert rows["Refused"][4] == ABSENT
    assert rows["Refused"][5].startswith("refused")


def test_a_key_sees_the_links_of_its_own_companies(lender, told):
    text, rows = page_of(lender, companies=[told["Linked"][0]["id"]])
    assert set(rows) == {"Linked"}
    assert told["Opened"][0]["id"] not in text


def test_who_is_not_signed_in_sees_none(lender, told):
    answer = lender.browser().http.get("/portal/links")
    assert answer.status_code == 303
    assert "sign-in" in answer.headers["location"]
