"""The browser flow, with a function in the browser's place."""

import logging
import threading
import urllib.error
import urllib.request
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import orjson
import pytest

from connector.clover.auth.authorize import authorize
from connector.errors import CloverError, ConfigError, Deauthorized

PAIR = {
    "access_token": "access-planted",
    "access_token_expiration": 1795307400,
    "refresh_token": "refresh-planted",
    "refresh_token_expiration": 1826843400,
}


def get(url):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), NoRedirect)
    try:
        with opener.open(url, timeout=5) as answer:
            return answer.status, answer.headers
    except urllib.error.HTTPError as error:
        return error.code, error.headers


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


def browser(*visits, seen=None):
    """Follows the address it is given by visiting the redirect address with each of ``visits``."""

    def open_url(url):
        query = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        answers = []

        def go():
            answers.extend(get(query["redirect_uri"] + "?" + urlencode(visit(query))) for visit in visits)

        if seen is not None:
            seen.append((url, query, answers))
        threading.Thread(target=go).start()

    return open_url


def agreed(query, **changes):
    given = {
        "code": "code-planted",
        "merchant_id": "MHT4QK2Z9WX61",
        "client_id": "APP",
        "state": query["state"],
    }
    return {name: value for name, value in (given | changes).items() if value is not None}


def run(open_browser, posted=None, answer=None, **options):
    def token_server(request):
        if posted is not None:
            posted.append(orjson.loads(request.content))
        return answer or httpx.Response(200, json=PAIR)

    options.setdefault("client_secret", "secret-planted")
    return authorize(
        authorize_url="https://www.example.com/oauth/v2/authorize",
        token_url="https://api.example.com/oauth/v2/token",
        client_id="APP",
        port=0,
        timeout=options.pop("timeout", 5),
        open_browser=open_browser,
        transport=httpx.MockTransport(token_server),
        sleep=lambda _s: None,
        now=lambda: 1795305600.0,
        **options,
    )


def test_the_code_is_exchanged_for_a_pair_and_the_merchant_is_known():
    posted, seen = [], []
    result = run(browser(agreed, seen=seen), posted)
    assert result.merchant_id == "MHT4QK2Z9WX61"
    assert (result.pair.access_token, result.pair.refresh_token) == ("access-planted", "refresh-planted")
    assert result.pair.access_expires == 1795307400
    assert posted == [{"client_id": "APP", "client_secret": "secret-planted", "code": "code-planted"}]
    assert seen[0][1]["redirect_uri"].startswith("http://127.0.0.1:")


def test_an_app_without_a_secret_proves_itself_with_pkce():
    posted, seen = [], []
    run(browser(agreed, seen=seen), posted, client_secret=None)
    assert seen[0][1]["code_challenge_method"] == "S256"
    assert set(posted[0]) == {"client_id", "code", "code_verifier"}
    assert posted[0]["code_verifier"] not in seen[0][0]


def test_a_forged_answer_is_ignored_and_the_true_one_still_counts():
    seen = []
    result = run(
        browser(
            lambda q: agreed(q, state="forged", code="evil"),
            lambda q: agreed(q, state=None),
            agreed,
            seen=seen,
        )
    )
    assert result.merchant_id == "MHT4QK2Z9WX61"
    assert [status for status, _ in seen[0][2]][:2] == [400, 400]


def test_a_start_from_clovers_own_pages_is_sent_to_the_merchants_consent():
    seen = []
    run(browser(lambda _q: {"merchant_id": "MHT4QK2Z9WX61"}, agreed, seen=seen))
    status, headers = seen[0][2][0]
    assert status == 302
    assert headers["Location"] == seen[0][0]


@pytest.mark.parametrize(
    "changes",
    [
        {"code": None, "error": "access_denied"},
        {"code": None, "merchant_id": None},
        {"merchant_id": None},
        {"merchant_id": "OTHERMERCHANT"},
    ],
)
def test_whatever_is_no_agreement_of_this_merchant_connects_nothing(changes):
    posted = []
    with pytest.raises(Deauthorized, match="Not connected"):
        run(browser(lambda q: agreed(q, **changes)), posted, expected_merchant="MHT4QK2Z9WX61")
    assert posted == []


def test_silence_ends_in_time():
    with pytest.raises(Deauthorized, match="No answer"):
        run(lambda _url: None, timeout=0.05)


def test_a_refused_code_and_a_missing_refresh_token_are_errors():
    with pytest.raises(Deauthorized):
        run(browser(agreed), answer=httpx.Response(400, json={}))
    with pytest.raises(CloverError, match="no refresh token"):
        run(browser(agreed), answer=httpx.Response(200, json={"access_token": "a"}))


def test_a_taken_port_is_said():
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(ConfigError, match="is taken"):
        authorize(
            authorize_url="https://x/", token_url="https://x/", client_id="APP", port=taken.getsockname()[1]
        )


def test_no_secret_is_printed_logged_or_shown(caplog, capsys):
    caplog.set_level(logging.DEBUG)
    shown = []
    result = run(browser(agreed), show=shown.append)
    text = "".join([repr(result), *shown, caplog.text, *capsys.readouterr()])
    for secret in ("code-planted", "secret-planted", "access-planted", "refresh-planted"):
        assert secret not in text
