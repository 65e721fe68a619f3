import orjson

from connector.sync.map.source_rows import digest, without_personal_data

CHARGE = {
    "id": "4F5V37E3S3E28",
    "amount": 2400,
    "order": "M9S346Q3D25VT",
    "receipt_email": "ines@example.com",
    "description": "call ines@example.com about 4242 4242 4242 4242",
    "billing_details": {"name": "Ines Moreau"},
    "source": {"brand": "VISA", "first6": "424242", "last4": "4242", "name": "Ines Moreau"},
    "metadata": {"refundType": "VOID", "buyer": "Ines"},
    "ref_num": "627800410233",
    "past_charges": [{"id": "P1", "source": {"last4": "1117", "brand": "MC"}}],
}


def test_nothing_personal_and_no_card_data_is_kept():
    kept = orjson.dumps(without_personal_data(CHARGE)).decode()
    for secret in ("ines", "Ines", "4242", "1117", "Moreau"):
        assert secret not in kept


def test_what_explains_the_numbers_is_kept():
    kept = without_personal_data(CHARGE)
    assert (kept["amount"], kept["order"], kept["ref_num"]) == (2400, "M9S346Q3D25VT", "627800410233")
    assert kept["source"] == {"brand": "VISA"}
    assert kept["metadata"] == {"refundType": "VOID"}
    assert kept["past_charges"] == [{"id": "P1", "source": {"brand": "MC"}}]


def test_a_long_number_that_is_no_card_stays():
    assert without_personal_data({"description": "1791208800000"}) == {"description": "1791208800000"}


def test_the_fingerprint_does_not_depend_on_the_order_of_keys():
    assert digest({"a": 1, "b": {"c": 2, "d": 3}}) == digest({"b": {"d": 3, "c": 2}, "a": 1})
    assert digest({"a": 1}) != digest({"a": 2})


def test_a_time_as_text_is_no_card_number_though_its_digits_add_up_like_one():
    luhn = "1785872948000"
    doubled = sum(sum(divmod(int(digit) * 2, 10)) for digit in luhn[-2::-2])
    assert (doubled + sum(int(digit) for digit in luhn[-1::-2])) % 10 == 0
    assert without_personal_data({"created": luhn, "note_of_card": "4222222222222"}) == {
        "created": luhn,
        "note_of_card": "[removed]",
    }
