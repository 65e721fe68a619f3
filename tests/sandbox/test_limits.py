"""Rate limits as Clover states them, on a clock the test moves."""

from connector.sandbox import RateLimits


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def limits() -> tuple[RateLimits, Clock]:
    clock = Clock()
    return RateLimits(clock=clock), clock


def test_sixteen_requests_a_second_are_let_in_and_the_next_is_not():
    limit, clock = limits()
    for _ in range(16):
        assert limit.admit("a") is None
        limit.release("a")
    refused = limit.admit("a")
    assert refused.status == 429
    assert dict(refused.headers) == {"X-RateLimit-tokenLimit": "16"}
    clock.now += 1.0
    assert limit.admit("a") is None


def test_five_in_flight_a_token_then_a_wait_that_doubles_when_ignored():
    limit, clock = limits()
    assert [limit.admit("a") for _ in range(5)] == [None] * 5
    waits = [dict(limit.admit("a").headers)["retry-after"] for _ in range(4)]
    assert waits == ["1", "2", "4", "8"]
    assert limit.early == 3
    limit.release("a")
    clock.now += 8.0
    assert limit.admit("a") is None


def test_the_app_has_limits_over_all_of_its_tokens():
    limit, clock = limits()
    for token in "abcd":
        for _ in range(12):
            assert limit.admit(token) is None
            limit.release(token)
    assert [limit.admit("e") for _ in range(2)] == [None] * 2
    assert dict(limit.admit("f").headers) == {"X-RateLimit-crossTokenLimit": "50"}
    clock.now += 2.0
    for token in "ghij":
        for _ in range(2):
            assert limit.admit(token) is None
    assert "X-RateLimit-crossTokenConcurrentLimit" in dict(limit.admit("k").headers)
    assert limit.peak_in_flight == 10


def test_a_server_with_limits_answers_429_with_the_bare_body(serve, world):
    clock = Clock()
    caller = serve(world, limits=RateLimits(clock=clock))
    statuses = [caller.get("/v1/orders").status_code for _ in range(17)]
    assert statuses == [200] * 16 + [429]
    assert caller.get("/v1/orders").json() == {"message": "429 Too Many Requests"}
    clock.now += 1.0
    assert caller.get("/v1/orders").status_code == 200
