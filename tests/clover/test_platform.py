"""Platform v3 as a second source."""

from datetime import UTC, datetime

import httpx
import pytest

from connector.clover import platform as v3
from connector.clover.lists.window import Window
from connector.errors import CloverUnavailable, PagingStuck

M = "MHT4QK2Z9WX61"
WEEK = Window(datetime(2026, 10, 5, tzinfo=UTC), datetime(2026, 10, 12, tzinfo=UTC))


def offset_server(rows, *, default=None, ignores_offset=False, asked=None):
    """Serves v3 pages; ``default``: the page size of a server that overlooks ``limit``."""

    def handler(request):
        params = request.url.params
        if asked is not None:
            asked.append(params)
        offset = 0 if ignores_offset else int(params["offset"])
        size = default or int(params["limit"])
        return httpx.Response(200, json={"elements": rows[offset : offset + size], "href": str(request.url)})

    return handler


def found(pages):
    return [row["id"] for page in pages for row in page]


@pytest.mark.parametrize("count", [0, 1, 999, 1000, 1001, 2500])
@pytest.mark.parametrize("default", [None, 100])
def test_every_modified_order_is_read(client_for, count, default):
    rows = [{"id": f"O{n}"} for n in range(count)]
    client = client_for(offset_server(rows, default=default))
    assert found(v3.modified(client, M, "orders", WEEK)) == [row["id"] for row in rows]


def test_the_window_is_closed_on_both_sides_in_whole_milliseconds(client_for):
    asked = []
    list(v3.modified(client_for(offset_server([], asked=asked)), M, "payments", WEEK))
    assert asked[0].get_list("filter") == ["modifiedTime>=1791158400000", "modifiedTime<=1791763199999"]
    assert (asked[0]["limit"], asked[0]["offset"]) == ("1000", "0")


def test_long_windows_are_cut_below_ninety_days(client_for):
    asked = []
    year = Window(datetime(2025, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC))
    list(v3.modified(client_for(offset_server([], asked=asked)), M, "orders", year))
    assert len(asked) == 5
    for params in asked:
        since, until = (int(text.split("=")[-1]) for text in params.get_list("filter"))
        assert until - since < 89 * 86_400_000


def test_a_list_that_repeats_itself_is_an_error(client_for):
    rows = [{"id": f"O{n}"} for n in range(1000)]
    client = client_for(offset_server(rows, ignores_offset=True))
    with pytest.raises(PagingStuck):
        list(v3.modified(client, M, "orders", WEEK))


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_a_token_that_may_not_read_v3_is_no_error(client_for, answer, status):
    client = client_for(lambda _r: answer(status, {"message": "Nope", "details": "x"}))
    assert v3.probe(client, M) is False
    assert client.meter.requests == 1


def test_a_server_in_trouble_is_not_taken_for_a_refusal(client_for):
    with pytest.raises(CloverUnavailable):
        v3.probe(client_for(lambda _r: httpx.Response(503)), M)


def test_a_profile_is_put_together_from_merchant_and_properties(client_for, answer):
    def handler(request):
        if request.url.path.endswith("/properties"):
            return answer(200, {"defaultCurrency": "USD", "timezone": "America/New_York"})
        return answer(
            200,
            {"id": M, "name": "Quay Street Goods", "defaultCurrency": None, "address": {"country": "US"}},
        )

    profile = v3.merchant_profile(client_for(handler), M)
    assert profile == v3.MerchantProfile(M, "Quay Street Goods", "US", "USD", "America/New_York")


def test_a_profile_without_details_is_empty_and_no_error(client_for, answer):
    client = client_for(lambda _r: answer(200, {"id": M, "address": {"href": "https://x"}}))
    assert v3.merchant_profile(client, M) == v3.MerchantProfile(M)


@pytest.mark.parametrize(("nested", "reads_more"), [(99, False), (100, True)])
def test_lines_cut_at_a_hundred_are_read_from_their_own_list(client_for, answer, nested, reads_more):
    lines = [{"id": f"L{n}"} for n in range(150 if reads_more else nested)]
    paths = []

    def handler(request):
        paths.append(request.url.path)
        if request.url.path.endswith("/line_items"):
            return offset_server(lines)(request)
        return answer(200, {"id": "O1", "lineItems": {"elements": lines[:nested]}})

    order = v3.platform_order(client_for(handler), M, "O1")
    assert len(v3.nested(order, "lineItems")) == len(lines)
    assert (len(paths) > 1) is reads_more


def test_cards_are_never_asked_for(client_for):
    asked = []
    client = client_for(offset_server([{"id": "K1"}], asked=asked))
    assert found(v3.customers(client, M)) == ["K1"]
    assert "cards" not in str(asked[0])


def test_a_customer_that_is_gone_is_none(client_for, answer):
    gone = client_for(lambda _r: answer(404, {"message": "Not Found", "details": "Customer not found"}))
    assert v3.customer(gone, M, "K1") is None
