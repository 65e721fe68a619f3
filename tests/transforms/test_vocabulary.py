from transforms.read.group import parse_group
from transforms.read.vocabulary import unknown_words


def test_new_words_are_told_and_known_ones_are_not() -> None:
    order = {
        "id": "O1",
        "amount": 1,
        "status": "Hibernating",
        "object": "order",
        "items": [{"amount": 1, "type": "gift", "wrap": "red"}],
    }
    charge = {
        "id": "C1",
        "amount": 1,
        "status": "succeeded",
        "ref_num": 1,
        "payment_method_details": "giftCard",
        "settled": True,
    }
    refund = {"id": "R1", "amount": 1, "status": "dreaming", "inReportingPeriod": False}
    group, broken = parse_group(order, [charge], [refund])
    assert not broken
    assert unknown_words(group) == {
        ("order.status", "hibernating"),
        ("item.type", "gift"),
        ("refund.status", "dreaming"),
    }
