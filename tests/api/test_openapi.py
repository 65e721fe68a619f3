"""Our own OpenAPI: complete for people, and true: no route answers with what it does not say, none with a 500."""

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

JUNIPER, SHOP = "8a210b68-6988-11ed-a1eb-0242ac120002", "2e9d2c44-f675-40ba-8049-353bfcb5e171"
CHECKS = (not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance)


@pytest.fixture(scope="module")
def described(shared):
    return shared.client.get("/openapi.json").json()


def operations(described):
    return [(path, method, op) for path, item in described["paths"].items() for method, op in item.items()]


def test_every_route_has_words_an_example_and_its_errors(described):
    for path, method, op in operations(described):
        here = f"{method} {path}"
        assert op["summary"], here
        assert op["description"], here
        if path in ("/", "/metrics") or path.startswith("/health"):
            continue
        assert {"401", "403", "404", "429", "500", "503"} <= op["responses"].keys(), here
        good = next(r for code, r in op["responses"].items() if code.startswith("2"))
        assert "content" not in good or "example" in good["content"]["application/json"], here
        assert "422" not in op["responses"], here


def test_every_parameter_is_described(described):
    for path, method, op in operations(described):
        for parameter in op.get("parameters", []):
            assert parameter.get("description"), f"{method} {path} {parameter['name']}"


def test_operation_ids_are_unique_and_the_key_is_declared(described):
    ids = [op["operationId"] for _, _, op in operations(described)]
    assert len(ids) == len(set(ids))
    assert described["security"] == [{"auth_header": []}]


def test_no_input_brings_a_500_or_an_answer_that_is_not_documented(shared):
    """Every operation, with what its own description allows and what it does not; the shop's ids mixed in."""
    described = schemathesis.openapi.from_asgi("/openapi.json", shared.client.app)
    reading = shared.key("read", "lineage", companies=[JUNIPER])
    writing = shared.key("read", "write", companies=["nobody"])
    for found in described.get_all_operations():
        operation = found.ok()

        @settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
        @given(case=operation.as_strategy(), known=st.booleans())
        def ask(case, known):
            parameters = case.path_parameters or {}
            if known and "companyId" in parameters:
                parameters["companyId"] = JUNIPER
                if "connectionId" in parameters:
                    parameters["connectionId"] = SHOP
            headers = reading if case.method == "GET" else writing
            case.call_and_validate(headers=headers, checks=CHECKS)

        ask()
