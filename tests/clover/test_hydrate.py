"""Records by id, many at a time, and the refunds of a charge."""

import threading
import time

import httpx
import pytest

from connector.clover.lists.by_id import read_many, read_one, refunds_of_charge
from connector.clover.lists.streams import CHARGES, ORDERS, REFUNDS, is_sparse
from connector.errors import CloverError, CloverUnavailable, Deauthorized


def record_server(answer, missing=(), poisoned=()):
    def handler(request):
        record_id = request.url.path.rsplit("/", 1)[1]
        if record_id in missing:
            return answer(404, {"message": "404 Not Found"})
        if record_id in poisoned:
            return httpx.Response(500)
        return answer(200, {"id": record_id, "amount": 100})

    return handler


def test_records_come_in_the_order_asked_for_and_the_gone_ones_as_none(client_for, answer):
    ids = [f"C{n}" for n in range(40)]
    client = client_for(record_server(answer, missing={"C7"}))
    reads = list(read_many(client, CHARGES, ids, workers=4))
    assert [read.id for read in reads] == ids
    assert [read.id for read in reads if read.row is None] == ["C7"]
    assert all(read.error is None for read in reads)


def test_one_record_that_cannot_be_read_does_not_hold_up_the_others(client_for, answer):
    client = client_for(record_server(answer, poisoned={"C3"}))
    reads = list(read_many(client, CHARGES, [f"C{n}" for n in range(10)], workers=1))
    assert [read.id for read in reads if read.error] == ["C3"]
    assert isinstance(reads[3].error, CloverUnavailable)


def test_when_everything_fails_it_is_not_the_records(client_for):
    client = client_for(lambda _r: httpx.Response(500))
    with pytest.raises(CloverUnavailable):
        list(read_many(client, CHARGES, [f"C{n}" for n in range(100)], workers=1))
    assert client.meter.requests <= 8 * 8


def test_a_refused_token_ends_the_reading(client_for, answer):
    with pytest.raises(Deauthorized):
        list(read_many(client_for(lambda _r: answer(401, {})), CHARGES, ["C1", "C2"]))


def test_only_so_many_threads_read_and_none_runs_far_ahead(client_for, answer):
    lock, now, most, begun = threading.Lock(), [0], [0], [0]

    def handler(request):
        with lock:
            now[0] += 1
            begun[0] += 1
            most[0] = max(most[0], now[0])
        time.sleep(0.001)
        with lock:
            now[0] -= 1
        return answer(200, {"id": request.url.path.rsplit("/", 1)[1]})

    reads = read_many(client_for(handler), CHARGES, (f"C{n}" for n in range(1000)), workers=3)
    next(reads)
    time.sleep(0.02)
    assert begun[0] <= 8
    reads.close()
    assert most[0] <= 3


def test_another_record_than_the_one_asked_for_is_refused(client_for, answer):
    for body in ({"id": "OTHER"}, [], "C1", None):
        with pytest.raises(CloverError):
            read_one(client_for(lambda _r, body=body: answer(200, body)), CHARGES, "C1")


def test_a_record_that_leaves_its_id_out_is_the_one_asked_for(client_for, answer):
    assert read_one(client_for(lambda _r: answer(200, {"amount": 5})), CHARGES, "C1") == {
        "amount": 5,
        "id": "C1",
    }


def test_strange_ids_stay_one_part_of_the_path(client_for, answer):
    paths = []

    def handler(request):
        paths.append(request.url.raw_path)
        return answer(404, {"message": "404 Not Found"})

    client = client_for(handler)
    for record_id in ("a/b", "../orders", "a?b", "..", ".", ""):
        assert read_one(client, CHARGES, record_id) is None
    assert paths == [b"/v1/charges/a%2Fb", b"/v1/charges/..%2Forders", b"/v1/charges/a%3Fb"]


def test_all_refunds_of_a_charge_are_read_page_by_page(client_for, list_server):
    rows = [{"id": f"R{n}", "amount": 1, "charge": "C1"} for n in range(25)]
    server = list_server(rows, page_size=10, flag="missing")
    assert len(refunds_of_charge(client_for(server), "C1")) == 25
    assert {params["charge"] for params in server.asked} == {"C1"}


def test_a_sparse_refund_is_read_by_id_before_it_is_believed(client_for, answer):
    """A server that ignores the filter must not give one charge the refunds of another."""

    def handler(owner):
        def serve(request):
            if request.url.path == "/v1/refunds":
                return answer(
                    200, {"data": [{"id": "R1", "amount": 800, "voided": False}], "has_more": False}
                )
            return answer(
                200, {"id": "R1", "amount": 800, "charge": owner, "created": 1, "status": "succeeded"}
            )

        return serve

    assert refunds_of_charge(client_for(handler("C1")), "C1")[0]["charge"] == "C1"
    with pytest.raises(CloverError, match="ignores the charge filter"):
        refunds_of_charge(client_for(handler("C2")), "C1")


def test_list_rows_without_a_needed_field_are_pointers():
    full = {"id": "M9", "amount": 2400, "currency": "USD", "created": 1, "status": "paid", "items": []}
    assert not is_sparse(ORDERS, full)
    assert is_sparse(ORDERS, {"id": "6Y", "amount": 4320, "currency": "USD"})
    assert is_sparse(ORDERS, full | {"status": None})
    assert is_sparse(REFUNDS, {"inReportingPeriod": False, "amount": 800, "id": "A1", "voided": False})
