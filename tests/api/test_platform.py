"""Codat's platform operations beside the data: integrations, profile, validation of a read, data integrity."""

import json
from decimal import Decimal

import pytest
from codat_lending.models import shared as lending
from codat_platform.models import shared as models

JUNIPER, SHOP = "8a210b68-6988-11ed-a1eb-0242ac120002", "2e9d2c44-f675-40ba-8049-353bfcb5e171"
INTEGRITY = f"/data/companies/{JUNIPER}/assess/dataTypes/commerce-orders/dataIntegrity"


@pytest.fixture
def get(server):
    headers = server.key("read", companies=[JUNIPER])

    def ask(path, status=200, **params):
        answer = server.client.get(path, params=params, headers=headers)
        assert answer.status_code == status, answer.text
        return json.loads(answer.text, parse_float=Decimal)

    return ask


def test_the_one_integration_is_clover_and_codats_client_reads_it(get):
    [row] = get("/integrations")["results"]
    read = models.Integration.from_dict(json.loads(json.dumps(row)))
    assert (read.key, read.enabled, read.source_type.value) == ("fqly", True, "Commerce")
    states = {f.data_type.value: f.supported_features[0].feature_state.value for f in read.datatype_features}
    assert (states["commerce-orders"], states["commerce-disputes"]) == ("Release", "NotSupported")
    assert get("/integrations/fqly") == row
    assert get("/integrations", query="enabled=true && name~clo")["totalResults"] == 1
    get("/integrations/gbol", status=404)


def test_the_profile_names_the_server_and_holds_no_key(get):
    profile = get("/profile")
    assert models.Profile.from_dict(dict(profile)).redirect_url == "http://127.0.0.1:8080"
    assert "apiKey" not in profile


def test_validation_of_a_read_is_what_was_open_when_it_ended(books, server, get):
    books.issues.append((JUNIPER, SHOP, "05ORDER", "payments_total", "warning", "less was paid than owed"))
    books.issues.append((JUNIPER, SHOP, "99FAILED", "unreadable", "error", "held back"))
    books.publish()
    history = get(f"/companies/{JUNIPER}/data/history", pageSize=5000)["results"]
    for operation in history:
        found = get(f"/companies/{JUNIPER}/sync/{operation['id']}/validation")
        if operation["dataType"] == "commerce-orders":
            assert [e["itemId"] for e in found["errors"]] == ["99FAILED"]
            assert found["warnings"] == [
                {"itemId": "05ORDER", "message": "less was paid than owed", "validatorName": "payments_total"}
            ]
            assert models.ValidationResult.from_dict(json.loads(json.dumps(found))) is not None
        else:
            assert found == {"errors": [], "warnings": []}
    get(f"/companies/{JUNIPER}/sync/nope/validation", status=404)


def test_integrity_counts_orders_whose_paid_payments_are_what_they_come_to(books, server, get):
    """Of 30 orders one was only paid in vain (99FAILED), and one gets a warning; the others match to the cent."""
    books.issues.append((JUNIPER, SHOP, "05ORDER", "payments_total", "warning", "less was paid than owed"))
    books.publish()
    orders = get(f"/companies/{JUNIPER}/connections/{SHOP}/data/commerce-orders", pageSize=5000)["results"]
    owed = {o["id"]: Decimal(o["totalAmount"]) + Decimal(o["totalGratuity"]) for o in orders}
    paid = {
        o["id"]: sum(Decimal(p["amount"]) for p in o["payments"] if p["status"] == "Paid") for o in orders
    }
    fit = {i for i in owed if owed[i] == paid[i]} - {"05ORDER"}
    assert 0 < len(fit) < len(owed)
    [summary] = get(f"{INTEGRITY}/summaries")["summaries"]
    by_count = summary["byCount"]
    assert (by_count["total"], by_count["matched"]) == (30, len(fit))
    assert summary["byAmount"]["matched"] == sum(owed[i] for i in fit)
    assert summary["byAmount"]["unmatched"] == sum(owed.values()) - sum(owed[i] for i in fit)
    assert lending.DataIntegritySummary.from_dict(json.loads(json.dumps(summary, default=float))) is not None
    [status] = get(f"{INTEGRITY}/status")["metadata"]
    assert status["amounts"] == {"min": min(owed.values()), "max": max(owed.values()), "currency": "USD"}
    assert status["statusInfo"]["currentStatus"] == "Complete"
    details = []
    for page in (1, 2, 3):
        details += get(f"{INTEGRITY}/details", page=page, pageSize=12)["results"]
    assert [d["id"] for d in details] == sorted(owed)
    for detail in details:
        assert (detail["amount"], bool(detail["matches"])) == (owed[detail["id"]], detail["id"] in fit)
        if detail["matches"]:
            assert sum(Decimal(m["amount"]) for m in detail["matches"]) == detail["amount"]


def test_what_cannot_be_matched_is_codats_404(get):
    for other in ("banking-accounts", "accountTransactions", "commerce-customers"):
        get(f"/data/companies/{JUNIPER}/assess/dataTypes/{other}/dataIntegrity/status", status=404)
    get(
        "/data/companies/11111111-aaaa-4bbb-8ccc-0242ac120009/assess/dataTypes/commerce-orders/dataIntegrity/status",
        404,
    )
