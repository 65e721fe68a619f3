"""config.yaml: what it may say, and how each mistake is explained to the person who made it."""

import re
from datetime import date
from pathlib import Path

import pytest
import yaml

from connector.clover.hosts import hosts_for
from connector.config import Config, FleetPlace, load_config, secrets_in_file, setting_paths
from connector.config.ids import company_id, connection_id
from connector.errors import ConfigError

ROOT = Path(__file__).resolve().parents[1]

MINIMAL = """\
store: ./data
companies:
  - name: Juniper Goods
    connections:
      - merchant_id: MHT4QK2Z9WX61
        country: USA
        timezone: America/New_York
        token: ${CLOVER_TOKEN}
        start_date: 2024-01-01
"""
ENV = {"CLOVER_TOKEN": "t0ken-value"}


@pytest.fixture
def load(tmp_path):
    def load_text(text, env=ENV, **options):
        path = tmp_path / "config.yaml"
        path.write_text(text)
        return load_config(path, env, **options)

    return load_text


@pytest.fixture
def mistake(load):
    def explained(text, env=ENV):
        with pytest.raises(ConfigError) as caught:
            load(text, env)
        assert caught.value.exit_code == 2
        assert caught.value.hint
        return str(caught.value)

    return explained


def with_connection(line: str) -> str:
    return MINIMAL + f"        {line}\n"


def replaced(old: str, new: str) -> str:
    assert old in MINIMAL
    return MINIMAL.replace(old, new)


def test_the_example_loads_and_sets_what_it_says():
    config = load_config(ROOT / "config.example.yaml", ENV)
    [(company, connection)] = config.pairs()
    assert company.name == "Juniper Goods"
    assert connection.token is not None
    assert connection.token.get_secret_value() == "t0ken-value"
    assert connection.start_date == date(2024, 1, 1)


def test_the_example_shows_the_defaults(load):
    """Nobody has to find out by trying what a setting is when it is left out."""
    example, minimal = load_config(ROOT / "config.example.yaml", ENV), load(MINIMAL)
    for section in (
        "sync",
        "limits",
        "api",
        "alerts",
        "metrics",
        "scheduler",
        "key_file",
        "raw_retention_days",
        "publish_to",
        "publish_group",
        "publish_mode",
    ):
        assert getattr(example, section) == getattr(minimal, section), section
    shown, left_out = example.companies[0].connections[0], minimal.companies[0].connections[0]
    for name in ("source", "environment", "base_url", "platform", "region", "id"):
        assert getattr(shown, name) == getattr(left_out, name), name


@pytest.mark.parametrize(("key", "place"), sorted(set(setting_paths())))
def test_every_setting_is_in_the_example_with_a_comment(key, place):
    lines = (ROOT / "config.example.yaml").read_text().splitlines()
    at = [n for n, line in enumerate(lines) if re.match(rf"\s*(?:#\s+|-\s+)*{key}:", line)]
    assert at, f"config.example.yaml does not mention {place}"
    nearby = lines[max(0, at[0] - 10) : at[0] + 1]
    assert any("# " in line for line in nearby), f"{place} has no comment"


def test_the_short_form_takes_the_spec_defaults(load):
    config = load(MINIMAL)
    assert (config.sync.overlap_hours, config.sync.window_days, config.sync.unpaid_orders) == (
        24,
        7,
        "exclude",
    )
    limits = config.limits
    assert (limits.requests_per_second, limits.concurrent_requests) == (15, 5)
    assert (limits.app_requests_per_second, limits.app_concurrent_requests) == (45, 9)
    assert (config.api.host, config.api.port) == ("127.0.0.1", 8080)
    connection = config.companies[0].connections[0]
    assert (connection.environment, connection.region, connection.platform) == ("production", "na", "off")
    assert connection.merchant_name == "Juniper Goods"


@pytest.mark.parametrize("environment", ["production", "sandbox"])
def test_the_environment_chooses_the_host_and_base_url_overrides_it(load, environment):
    connection = load(with_connection(f"environment: {environment}")).companies[0].connections[0]
    assert connection.ecommerce_url == hosts_for(environment).scl
    overridden = load(with_connection("base_url: http://127.0.0.1:9000/")).companies[0].connections[0]
    assert overridden.ecommerce_url == "http://127.0.0.1:9000"


def test_relative_paths_are_taken_from_the_files_directory(load, tmp_path, monkeypatch):
    monkeypatch.chdir("/")
    config = load(MINIMAL + "key_file: keys/k\n")
    assert config.store == str(tmp_path / "data")
    assert config.key_file == tmp_path / "keys" / "k"


@pytest.mark.parametrize("written", ["./x", "x", "duckdb:x", "duckdb://x"])
def test_the_store_is_a_directory_however_it_is_written(load, tmp_path, written):
    assert load(replaced("./data", written)).store == str(tmp_path / "x")


def test_a_lake_stays_as_written(load):
    assert load(replaced("./data", '"ducklake:postgres:dbname=x"')).store == "ducklake:postgres:dbname=x"


@pytest.mark.parametrize("month", ["0", "13", "July"])
def test_a_fiscal_year_begins_with_a_month(load, mistake, month):
    assert load(MINIMAL).companies[0].fiscal_year_start == 1
    text = MINIMAL.replace("- name:", f"- fiscal_year_start: {month}\n    name:", 1)
    assert text != MINIMAL
    assert "fiscal_year_start" in mistake(text)


def test_a_place_for_published_copies_is_taken_from_the_files_directory(load, tmp_path):
    config = load(MINIMAL + "publish_to: analysts\npublish_group: analysts\npublish_mode: 0444\n")
    assert (config.publish_to, config.publish_group) == (tmp_path / "analysts", "analysts")
    assert config.publish_mode == "0444"


@pytest.mark.parametrize("place", ["./data", "./data/published", "."])
def test_published_copies_and_the_store_lie_apart(mistake, place):
    """Who may enter one of them must not get into the other."""
    said = mistake(MINIMAL + f"publish_to: {place}\n")
    assert "publish_to" in said
    assert "must lie apart" in said
    assert re.search(r"line \d+", said)


def test_a_group_of_readers_needs_a_place_and_a_mode_lets_nobody_write(mistake):
    assert "write that directory too" in mistake(MINIMAL + "publish_group: analysts\n")
    assert "publish_mode must be" in mistake(MINIMAL + "publish_to: /srv/x\npublish_mode: 0666\n")
    assert "group of this machine" in mistake(MINIMAL + "publish_to: /srv/x\npublish_group: a b\n")


def test_ids_are_made_stable_and_independent_of_everything_but_the_merchant(load):
    first = load(MINIMAL)
    again = load(with_connection("base_url: http://127.0.0.1:1").replace("Juniper Goods", "Other Name"))
    assert first.companies[0].id == again.companies[0].id
    assert first.companies[0].connections[0].id == again.companies[0].connections[0].id
    # Written down, because a later version that makes others would cut every company off from its history.
    assert first.companies[0].connections[0].id == connection_id("production", "MHT4QK2Z9WX61")
    assert connection_id("production", "MHT4QK2Z9WX61") == "b769f4f4-ec6d-58e8-a6d4-3505b6e88890"
    assert first.companies[0].id == company_id("b769f4f4-ec6d-58e8-a6d4-3505b6e88890")


def test_ids_that_are_given_are_kept(load):
    config = load(with_connection("id: 2e9d2c44-f675-40ba-8049-353bfcb5e171"))
    assert config.companies[0].connections[0].id == "2e9d2c44-f675-40ba-8049-353bfcb5e171"


def test_the_same_merchant_twice_is_refused(mistake):
    connection = MINIMAL[MINIMAL.index("      - merchant_id") :]
    assert "connections of 'Juniper Goods' (merchant MHT4QK2Z9WX61, production) and" in mistake(
        MINIMAL + connection
    )


def test_two_companies_with_one_id_are_refused(mistake):
    company = MINIMAL[MINIMAL.index("  - name") :]
    one = company.replace("  - name", "  - id: same\n    name")
    other = one.replace("MHT4QK2Z9WX61", "MHT4QK2Z9WX62")
    assert "have the same id same" in mistake("store: ./data\ncompanies:\n" + one + other)


class TestEnvironment:
    def test_a_missing_variable_is_named_with_its_key_and_line(self, mistake):
        message = mistake(MINIMAL, {})
        assert "CLOVER_TOKEN" in message
        assert "companies[0].connections[0].token" in message
        assert "line 8" in message
        assert "is not set" in message

    def test_an_empty_variable_is_no_value(self, mistake):
        assert "is set but empty" in mistake(MINIMAL, {"CLOVER_TOKEN": ""})

    def test_a_default_stands_in_and_may_be_empty(self, load):
        text = MINIMAL + "api: {port: '${PORT:-9090}'}\nalerts: {webhook_url: '${HOOK:-}'}\n"
        assert (load(text).api.port, load(text).alerts.webhook_url) == (9090, None)
        assert load(text, {**ENV, "PORT": "7"}).api.port == 7

    def test_a_secret_may_hold_any_sign_and_adds_no_key(self, load):
        secret = "a:b#c}{[&*!|>'\"%@`${NOT_SET}"
        token = load(MINIMAL, {"CLOVER_TOKEN": secret}).companies[0].connections[0].token
        assert token is not None
        assert token.get_secret_value() == secret

    def test_doubled_dollar_is_the_text_itself(self, load):
        assert load(replaced("Juniper Goods", "$${NAME} Goods")).companies[0].name == "${NAME} Goods"

    def test_what_is_no_name_is_explained(self, mistake):
        assert "${1BAD} is not a variable's name" in mistake(replaced("Juniper Goods", "${1BAD}"))

    def test_commands_that_need_no_secret_run_without_it(self, load):
        oauth = replaced("token: ${CLOVER_TOKEN}", "oauth: {client_id: '${ID}', refresh_token: '${REFRESH}'}")
        for text in (MINIMAL, oauth):
            connection = load(text, {}, secrets_may_be_missing=True).companies[0].connections[0]
            assert connection.token is None
            assert connection.oauth is None

    def test_commands_that_need_no_secret_still_refuse_other_gaps(self, tmp_path):
        path = tmp_path / "config.yaml"
        path.write_text(replaced("Juniper Goods", "${COMPANY}"))
        with pytest.raises(ConfigError, match="COMPANY"):
            load_config(path, {}, secrets_may_be_missing=True)


class TestSecrets:
    def test_a_secret_is_never_in_a_message_or_a_repr(self, mistake, load):
        secret = "s3cr3t value with spaces"
        message = mistake(with_connection("contry: USA"), {"CLOVER_TOKEN": secret})
        assert "s3cr3t" not in message
        assert "companies[0].connections[0].token" in message
        assert "t0ken-value" not in repr(load(MINIMAL))
        assert "t0ken-value" not in load(MINIMAL).model_dump_json()

    def test_a_literal_secret_in_a_broken_file_is_not_quoted(self, mistake):
        assert "abc" not in mistake(replaced("${CLOVER_TOKEN}", "[abc, abc]"))

    def test_a_token_with_the_word_bearer_is_refused(self, mistake):
        assert "without the word Bearer" in mistake(MINIMAL, {"CLOVER_TOKEN": "Bearer-abc"})

    def test_all_secrets_are_known_to_the_redaction(self, load):
        text = replaced(
            "token: ${CLOVER_TOKEN}",
            "oauth: {client_id: A, client_secret: cs-12345, refresh_token: rt-12345}",
        )
        assert sorted(load(text).secrets()) == ["cs-12345", "rt-12345"]

    def test_token_and_oauth_exclude_each_other_and_one_is_needed(self, mistake):
        assert "both token and oauth" in mistake(with_connection("oauth: {client_id: A}"))
        assert "has no token" in mistake(replaced("        token: ${CLOVER_TOKEN}\n", ""))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (with_connection("contry: USA"), r"line 10: .*contry is not a setting; did you mean country\?"),
        (
            MINIMAL + "sync: {overlap: 3}\n",
            r"line 10: sync\.overlap is not a setting; did you mean overlap_hours",
        ),
        (
            MINIMAL + "api: {trusted_proxies: [proxy.local]}\n",
            r"'proxy\.local' is not an IP address or network",
        ),
        (
            MINIMAL + "api: {trusted_proxies: [10.0.0.1/8]}\n",
            r"'10\.0\.0\.1/8' is not an IP address or network",
        ),
        (MINIMAL + "stor: x\n", r"stor is not a setting; did you mean store"),
        (MINIMAL + "timezone: UTC\n", r"it belongs at companies\[\]\.connections\[\]\.timezone"),
        (MINIMAL + "limits: {zzz: 1}\n", r"the nearest is \w+ \(known here: requests_per_second"),
        (MINIMAL + "sync: {window_days: x}\n", r"line 10: sync\.window_days must be a whole number, not 'x'"),
        (MINIMAL + "sync: {window_days: 0}\n", r"must be at least 1, not '0'"),
        (MINIMAL + "sync: {unpaid_orders: keep}\n", r"must be 'exclude' or 'include', not 'keep'"),
        (MINIMAL + "sync: 5\n", r"sync must be a section"),
        (MINIMAL + "api: {port: 99999}\n", r"must be at most 65535"),
        (replaced("country: USA", "country: US"), r"two letters; write the three-letter code USA"),
        (replaced("country: USA", "country: NO"), r"write the three-letter code NOR"),
        (replaced("country: USA", "country: ZZZ"), r"not an ISO 3166 alpha-3 code"),
        (replaced("America/New_York", "EST5"), r"not an IANA time zone"),
        (replaced("America/New_York", "../../etc/passwd"), r"not an IANA time zone"),
        (replaced("2024-01-01", "2024-13-01"), r"must be a date such as 2024-01-31, not '2024-13-01'"),
        (replaced("        country: USA\n", ""), r"country is missing; write country: USA"),
        (replaced("MHT4QK2Z9WX61", "my shop"), r"must be Clover's merchant id"),
        (with_connection('schedule: "*/30 * *"'), r"'\*/30 \* \*' is not a cron expression"),
        (with_connection('schedule: "0 0 31 2 *"'), r"never comes due|not a cron expression"),
        (with_connection("base_url: scl.clover.com"), r"must be an address that begins with https://"),
        (with_connection("base_url: https://u:p@example.com"), r"must not carry a user name"),
        (with_connection("currency: dollars"), r"must be an ISO 4217 code such as USD"),
        (with_connection("source: shopify"), r"must be 'clover-ecommerce'"),
        ("store: ./data\ncompanies: []\n", r"companies needs at least one entry"),
        ("store: ./data\ncompanies: {name: x}\n", r"companies must be a list"),
        ("store: a\nstore: b\n", r"line 2: store is given twice"),
        ("store: [a\n", r"line \d+, column \d+ is not YAML"),
        ("", r"is empty"),
        ("- a\n", r"must hold `key: value` lines"),
        ("a: &x [*x]\n", r"contains itself"),
    ],
)
def test_a_mistake_says_what_where_and_what_to_write(mistake, text, expected):
    assert re.search(expected, mistake(text)), mistake(text)


def test_all_mistakes_are_told_at_once(mistake):
    message = mistake(replaced("country: USA", "country: US") + "sync: {window_days: x}\nstor: y\n")
    assert "3 mistakes" in message
    assert message.count("\n  line") == 3


def test_a_missing_file_says_how_to_make_one(tmp_path):
    with pytest.raises(ConfigError) as caught:
        load_config(tmp_path / "config.yaml", {})
    assert "connector init" in str(caught.value.hint)


def test_values_are_read_as_they_are_written(load):
    """YAML would make a boolean of `off`, and an octal number of an id of digits."""
    config = load(with_connection("platform: off").replace("MHT4QK2Z9WX61", "0012345670123"))
    connection = config.companies[0].connections[0]
    assert (connection.platform, connection.merchant_id) == ("off", "0012345670123")


def test_yaml_merge_keys_share_settings_between_connections(load):
    text = """\
store: ./data
companies:
  - name: Two Shops
    connections:
      - &shop {merchant_id: A1, country: USA, timezone: UTC, token: t, start_date: 2024-01-01}
      - {<<: *shop, merchant_id: B2}
"""
    assert [c.merchant_id for _, c in load(text).pairs()] == ["A1", "B2"]


def test_the_configuration_cannot_be_changed_after_loading(load):
    with pytest.raises(ValueError, match="frozen"):
        load(MINIMAL).store = "elsewhere"


def test_the_example_is_yaml_for_everybody_else_too():
    """Editors and other tools read it with YAML's own rules."""
    assert (
        yaml.safe_load((ROOT / "config.example.yaml").read_text())["companies"][0]["connections"][0][
            "platform"
        ]
        == "off"
    )


def test_a_config_can_be_made_in_python():
    config = Config.model_validate(
        {
            "store": "/tmp/x",
            "companies": [
                {
                    "name": "A",
                    "connections": [
                        {
                            "merchant_id": "M1",
                            "country": "USA",
                            "timezone": "UTC",
                            "token": "t",
                            "start_date": date(2024, 1, 1),
                        }
                    ],
                }
            ],
        }
    )
    assert config.companies[0].connections[0].id == connection_id("production", "M1")


def bomb(levels, width, *, merge=False):
    lines = ["a0: &a0 {x: y}" if merge else "a0: &a0 [x, x]"]
    for level in range(1, levels):
        inner = ", ".join([f"*a{level - 1}"] * width)
        lines.append(f"a{level}: &a{level} {{<<: [{inner}]}}" if merge else f"a{level}: &a{level} [{inner}]")
    return "\n".join(lines) + f"\nstore: ./data\ncompanies: *a{levels - 1}\n"


@pytest.mark.parametrize(
    "text",
    [
        bomb(9, 9),
        bomb(30, 2),
        bomb(12, 9, merge=True),
        "store: " + "[" * 5000 + "]" * 5000,
        "a: " + "{b: " * 60 + "c" + "}" * 60,
        "store: " + "x" * (5 << 20),
    ],
    ids=["wide", "deep", "merge keys", "brackets", "mappings", "long"],
)
def test_a_configuration_that_grows_without_end_is_refused_at_once(tmp_path, text):
    import time

    path = tmp_path / "config.yaml"
    path.write_text(text)
    began = time.process_time()
    with pytest.raises(ConfigError, match="no configuration needs"):
        load_config(path, {})
    assert time.process_time() - began < 5


def test_aliases_of_a_usual_size_are_read(tmp_path):
    merchants = "\n".join(
        f"  - name: C{n}\n    connections: [{{<<: *usual, merchant_id: M{n}}}]" for n in range(200)
    )
    path = tmp_path / "config.yaml"
    path.write_text(
        "store: ./data\n"
        "companies:\n"
        "  - name: First\n"
        "    connections: [&usual {merchant_id: FIRST, country: USA, timezone: UTC, token: some-token,"
        " start_date: 2024-01-01}]\n" + merchants
    )
    assert len(load_config(path, {}).companies) == 201


FLEET = MINIMAL.replace(
    "store: ./data\n", "store: postgresql://connector@db:6543/fleet\nbucket: s3://merchants\n"
)


def test_a_fleet_is_a_database_a_bucket_and_a_cache(load, tmp_path):
    config = load(FLEET)
    assert config.fleet == FleetPlace(
        "postgresql://connector@db:6543/fleet", "s3://merchants", tmp_path / "cache"
    )
    assert config.fleet.host == "fleet at db:6543"
    assert config.store_directory == tmp_path / "cache"
    assert load(MINIMAL).fleet is None


def test_the_password_of_a_fleet_comes_by_reference_and_is_never_shown(load):
    env = {**ENV, "FLEET_PASSWORD": "hunter2hunter2"}
    config = load(FLEET + "store_password: ${FLEET_PASSWORD}\ncache: ./here\n", env)
    assert config.fleet.password == "hunter2hunter2"
    assert "hunter2" not in repr(config) + repr(config.fleet)
    assert "hunter2hunter2" in config.secrets()


def test_a_bucket_may_be_a_directory_that_every_host_sees(load, tmp_path):
    assert load(FLEET.replace("s3://merchants", "./bucket")).fleet.bucket == str(tmp_path / "bucket")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (FLEET.replace("bucket: s3://merchants\n", ""), r"needs a bucket"),
        (FLEET.replace("s3://", "ftp://"), r"'ftp://merchants' is no bucket"),
        (FLEET.replace("connector@", "connector:hunter2@"), r"store_password: \$\{FLEET_PASSWORD\}"),
        (FLEET.replace("/fleet", "/fleet?password=hunter2"), r"must not carry a password"),
        (FLEET.replace("db:6543/fleet", "db:x/hunter2"), r"is no address of a database"),
        (FLEET.replace("/fleet", "/"), r"needs a host and a database"),
        (FLEET + "publish_to: ./out\n", r"publish_to is of a store on one disk"),
        (MINIMAL + "bucket: s3://merchants\n", r"bucket belongs to a fleet"),
        (MINIMAL + "cache: ./cache\n", r"cache belongs to a fleet"),
    ],
)
def test_a_mistake_in_a_fleet_says_what_to_write_and_shows_no_password(mistake, text, expected):
    said = mistake(text)
    assert re.search(expected, said), said
    assert "hunter2" not in said


MERCHANT = """\
companies:
  - name: {name}
    connections:
      - {{merchant_id: {merchant}, country: {country}, timezone: UTC, token: some-token, start_date: 2026-01-01}}
"""


def beside(tmp_path, **files):
    (tmp_path / "conf.d").mkdir()
    for name, text in files.items():
        (tmp_path / "conf.d" / f"{name}.yaml").write_text(text)


def test_companies_stand_in_files_of_their_own_beside_the_configuration(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("store: ./data\n" + MERCHANT.format(name="Main", merchant="M1", country="USA"))
    beside(
        tmp_path,
        b=MERCHANT.format(name="Second", merchant="M2", country="CAN"),
        c=MERCHANT.format(name="Third", merchant="M3", country="USA"),
    )
    (tmp_path / "conf.d" / "notes.txt").write_text("not read")
    config = load_config(path, {})
    assert [company.name for company in config.companies] == ["Main", "Second", "Third"]
    assert (
        config.companies[2].connections[0].place == f"{tmp_path / 'conf.d' / 'c.yaml'}, line 4 (environment)"
    )


def test_all_companies_may_stand_beside_the_configuration(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("store: ./data\n")
    beside(tmp_path, a=MERCHANT.format(name="Only", merchant="M1", country="USA"))
    assert [company.name for company in load_config(path, {}).companies] == ["Only"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "store: ./other\n" + MERCHANT.format(name="A", merchant="M2", country="USA"),
            "line 1: a file in conf.d",
        ),
        ("companies:\n", "a file in conf.d holds companies"),
        (
            MERCHANT.format(name="A", merchant="M2", country="Utopia"),
            "line 4: companies[1].connections[0].country",
        ),
        (MERCHANT.format(name="A", merchant="M2", country="'${NOWHERE}'"), "line 4: companies[1]"),
        ("companies: [", "is not YAML"),
    ],
)
def test_a_mistake_in_a_file_beside_the_configuration_names_that_file(tmp_path, text, says):
    path = tmp_path / "config.yaml"
    path.write_text("store: ./data\n" + MERCHANT.format(name="Main", merchant="M1", country="USA"))
    beside(tmp_path, a=text)
    with pytest.raises(ConfigError) as told:
        load_config(path, {})
    assert str(tmp_path / "conf.d" / "a.yaml") in told.value.message
    assert says in told.value.message


def test_a_literal_token_beside_the_configuration_is_found(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("store: ./data\n")
    beside(tmp_path, a=MERCHANT.format(name="Only", merchant="M1", country="USA"))
    assert [place for _, place in secrets_in_file(path)] == [f"{tmp_path / 'conf.d' / 'a.yaml'}, line 4"]
