"""Forgetting a company leaves nothing of it in the control file, not even in its free pages."""

from connector.control import keys as api_keys
from connector.control.forget import forget_in_control

JUNIPER, SHOP = "8a210b68-6988-11ed-a1eb-0242ac120002", "2e9d2c44-f675-40ba-8049-353bfcb5e171"


def test_no_byte_of_a_forgotten_company_is_left_in_the_control_file(server):
    headers = server.key("read", "write", companies=[JUNIPER])
    client = server.client
    client.post("/webhooks", json={"url": "https://lender.example.com/x"}, headers=headers)
    client.post(f"/companies/{JUNIPER}/data/all", headers=headers)
    client.patch(f"/companies/{JUNIPER}/connections/{SHOP}", json={"status": "Unlinked"}, headers=headers)
    client.get(f"/companies/{JUNIPER}/connections/{SHOP}/data/commerce-orders", headers=headers)
    server.state.access_log.flush()
    removed = forget_in_control(server.state.control, JUNIPER)
    assert all(
        removed[table] for table in ("companies", "connections", "access_log", "refresh_requests", "api_keys")
    )
    server.state.access_log.flush()
    kept = b"".join(path.read_bytes() for path in server.books.directory.glob("control.sqlite*"))
    assert not [word for word in (JUNIPER, SHOP, "Juniper") if word.encode() in kept]
    [key] = api_keys.list_keys(server.state.control)
    assert key.companies == frozenset()
    assert client.get("/companies", headers=headers).json()["totalResults"] == 0
