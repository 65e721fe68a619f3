"""No open redirect: a merchant is led to what the configuration allows and nowhere else."""

from urllib.parse import parse_qsl, urlsplit

import pytest

from connector.link.redirects import allowed_redirect, with_outcome

ALLOWED = ["https://lender.example/connected", "https://lender.example:8443/app/done"]


@pytest.mark.parametrize(
    ("asked", "leads_to"),
    [
        ("", ALLOWED[0]),
        (ALLOWED[0], ALLOWED[0]),
        (ALLOWED[1], ALLOWED[1]),
        (f"{ALLOWED[0]}?application=7&x=", f"{ALLOWED[0]}?application=7&x="),
        (f"{ALLOWED[0]}/", f"{ALLOWED[0]}/"),
        ("HTTPS://LENDER.example/connected", "HTTPS://LENDER.example/connected"),
    ],
)
def test_what_is_allowed(asked, leads_to):
    assert allowed_redirect(asked, ALLOWED) == leads_to


@pytest.mark.parametrize(
    "asked",
    [
        "https://evil.example/connected", "http://lender.example/connected", "//lender.example/connected",
        "https://lender.example.evil.example/connected", "https://lender.example@evil.example/connected",
        "https://evil.example/https://lender.example/connected", "https://user:pw@lender.example/connected",
        "https://lender.example:443/connected", "https://lender.example/connected/../evil", "https://lender.example/",
        "https://lender.example/connected#x", "https://lender.example\\@evil.example/connected", "/connected",
        "javascript:alert(1)", "data:text/html,x", "https://lender.example/connected\r\nSet-Cookie: a=b",
        "https://lender.example/conn\tected", " https://lender.example/connected", "https://lender.example/connected%2e",
        "https://lender.exampl\u0435/connected", "https:/lender.example/connected", "https:lender.example/connected",
        f"{ALLOWED[0]}?{'x' * 3000}", "https://lender.example/CONNECTED", "https://lender.example/connected;x",
    ],
)  # fmt: skip
def test_what_is_not(asked):
    with pytest.raises(ValueError, match="not allowed"):
        allowed_redirect(asked, ALLOWED)


def test_nothing_is_allowed_where_nothing_is_configured():
    assert allowed_redirect("", []) is None
    with pytest.raises(ValueError, match="not allowed"):
        allowed_redirect("https://lender.example/", [])


def test_what_became_of_it_cannot_be_written_by_who_made_the_link():
    address = with_outcome(
        f"{ALLOWED[0]}?status=linked&application=7&a=%26", {"status": "refused", "companyId": "c"}
    )
    assert parse_qsl(urlsplit(address).query) == [
        ("application", "7"),
        ("a", "&"),
        ("status", "refused"),
        ("companyId", "c"),
    ]
