"""The browser's step of OAuth: the page that asks, and what can go wrong after it."""

from urllib.parse import urlencode

import httpx
import pytest

from connector.sandbox import Merchant, Sandbox, World


@pytest.fixture(scope="module")
def clover():
    shops = {
        "one": World(Merchant(id="MSHOP00000001", name="Tea & <b>Co</b>")),
        "two": World(Merchant(id="MSHOP00000002", name="Second")),
    }
    with Sandbox(shops).start() as sandbox:
        sandbox.access.asks = True
        yield sandbox


BACK = "http://127.0.0.1:9/back?a=1"


def asked(clover, **more):
    return {"client_id": clover.access.client_id, "redirect_uri": BACK, "state": 's"1', **more}


def answered(clover, **choice):
    body = {**asked(clover), "merchant": "MSHOP00000002", "decision": "agree", **choice}
    sent = httpx.post(f"{clover.base_url}/oauth/v2/consent", content=urlencode(body))
    return sent, dict(sent.next_request.url.params) if sent.is_redirect else None


def exchanged(clover, code):
    access = clover.access
    body = {"client_id": access.client_id, "client_secret": access.client_secret, "code": code}
    return httpx.post(f"{clover.base_url}/oauth/v2/token", json=body)


def read(clover, token, path):
    return httpx.get(f"{clover.base_url}{path}", headers={"Authorization": f"Bearer {token}"}).status_code


def test_the_page_asks_and_carries_on_what_it_was_given(clover):
    page = httpx.get(f"{clover.base_url}/oauth/v2/authorize", params=asked(clover))
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert 'value="s&quot;1"' in page.text
    assert "Tea &amp; &lt;b&gt;Co&lt;/b&gt;" in page.text


@pytest.mark.parametrize("wrong", [{"client_id": "other"}, {"redirect_uri": ""}])
def test_an_unknown_app_is_sent_nowhere(clover, wrong):
    assert (
        httpx.get(f"{clover.base_url}/oauth/v2/authorize", params=asked(clover, **wrong)).status_code == 400
    )
    assert answered(clover, **wrong)[0].status_code == 400
    assert answered(clover, merchant="nobody")[0].status_code == 400


def test_who_agrees_comes_back_with_a_code_of_his_shop(clover):
    _sent, query = answered(clover)
    assert (query["a"], query["state"], query["merchant_id"]) == ("1", 's"1', "MSHOP00000002")
    pair = exchanged(clover, query["code"])
    assert read(clover, pair.json()["access_token"], "/v3/merchants/MSHOP00000002") == 200
    assert read(clover, pair.json()["access_token"], "/v3/merchants/MSHOP00000001") == 401
    assert exchanged(clover, query["code"]).status_code == 401


def test_who_refuses_comes_back_without_one(clover):
    _sent, query = answered(clover, decision="refuse")
    assert query == {"a": "1", "error": "access_denied", "state": 's"1'}


def test_the_answer_may_carry_another_state(clover):
    assert answered(clover, answer="wrong_state")[1]["state"] == 'not-s"1'


def test_a_code_may_have_expired(clover):
    assert exchanged(clover, answered(clover, answer="expired_code")[1]["code"]).status_code == 401


@pytest.mark.parametrize(
    ("answer", "path"), [("no_permission", "/v1/orders"), ("no_profile", "/v3/merchants/MSHOP00000002")]
)
def test_a_permission_may_be_missing(clover, answer, path):
    token = exchanged(clover, answered(clover, answer=answer)[1]["code"]).json()["access_token"]
    assert read(clover, token, path) == 403
    assert read(clover, token, "/v1/charges") == 200
