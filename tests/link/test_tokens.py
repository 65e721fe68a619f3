"""Link tokens: what is signed opens, for its days; nothing else does."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connector.link.tokens import InvalidLink, LinkTokens, Opens

NOW = datetime(2026, 11, 25, 16, tzinfo=UTC)
TOKENS = LinkTokens(["newest-secret", "older-secret"])
ids = st.text(
    st.characters(codec="ascii", categories=("L", "N"), include_characters="-"), min_size=1, max_size=40
)


@given(ids, st.none() | ids, st.integers(1, 365))
@settings(max_examples=50)
def test_a_token_opens_what_it_was_made_for_until_its_last_day_is_over(company, connection, days):
    opens = Opens(company, connection)
    token = TOKENS.make(opens, now=NOW, valid_days=days)
    assert TOKENS.read(token, now=NOW) == opens
    assert TOKENS.read(token, now=NOW + timedelta(days=days)) == opens
    with pytest.raises(InvalidLink) as refused:
        TOKENS.read(token, now=NOW + timedelta(days=days + 1))
    assert refused.value.is_over


def test_one_link_is_given_out_all_day():
    opens = Opens("c", "n")
    midnight = NOW.replace(hour=0)
    made = {TOKENS.make(opens, now=midnight + timedelta(hours=h), valid_days=14) for h in range(24)}
    assert len(made) == 1


@given(st.data())
@settings(max_examples=100)
def test_a_token_that_was_changed_anywhere_opens_nothing(data):
    token = TOKENS.make(Opens("company", "connection"), now=NOW, valid_days=14)
    at = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.characters(codec="ascii").filter(lambda c: c != token[at]))
    with pytest.raises(InvalidLink) as refused:
        TOKENS.read(token[:at] + other + token[at + 1 :], now=NOW)
    assert not refused.value.is_over


@given(st.text(max_size=80) | st.sampled_from(["", ".", "a.b", "..", "A" * 600 + ".B", "=.=", "AAAA.AAAA"]))
@settings(max_examples=100)
def test_whatever_else_is_written_there_opens_nothing(text):
    with pytest.raises(InvalidLink):
        TOKENS.read(text, now=NOW)


def test_a_key_that_was_replaced_is_still_believed_and_another_is_not():
    token = LinkTokens(["older-secret"]).make(Opens("c", "n"), now=NOW, valid_days=14)
    assert TOKENS.read(token, now=NOW) == Opens("c", "n")
    foreign = LinkTokens(["another"]).make(Opens("c", "n"), now=NOW, valid_days=14)
    with pytest.raises(InvalidLink):
        TOKENS.read(foreign, now=NOW)
