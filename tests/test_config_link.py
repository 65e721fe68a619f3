"""The section ``link``: what it may say, and what is refused before a merchant sees it."""

from pathlib import Path

import pytest

from connector.config import load_config
from connector.errors import ConfigError
from connector.link.linking import linking_of

TEXT = """
store: ./data
companies:
  - name: Juniper Goods
    connections:
      - {merchant_id: MHT4QK2Z9WX61, country: USA, timezone: America/New_York, start_date: 2024-01-01, token: "abcdef"}
link:
  name: Example Lending
  logo: logo.svg
  redirect_url: https://data.example.com/link/callback
  redirects: ["https://www.example.com/connected"]
  start_date: 2024-01-01
  apps:
    - {region: na, client_id: APP1, client_secret: "${APP_SECRET}"}
"""
ENV = {"APP_SECRET": "s3cret-of-the-app"}


def load(directory: Path, text: str = TEXT, env=ENV, **more):
    path = directory / "config.yaml"
    path.write_text(text)
    return load_config(path, env, **more)


def test_what_is_left_out_has_a_default_and_paths_are_the_files(tmp_path):
    config = load(tmp_path)
    assert config.link.logo == tmp_path / "logo.svg"
    assert (config.link.valid_days, config.link.schedule) == (14, "*/30 * * * *")
    assert (config.link.apps[0].environment, config.link.apps[0].pkce) == ("production", False)
    assert ENV["APP_SECRET"] in config.secrets()
    assert ENV["APP_SECRET"] not in repr(config)


WRONG = [
    ("https://data.example.com/link/callback", "https://data.example.com/back", "/link/callback"),
    ("https://www.example.com/connected", "/connected", "https://"),
    ("https://www.example.com/connected", "https://www.example.com/connected?a=1", "? or #"),
    ('client_secret: "${APP_SECRET}"', "pkce: false", "client_secret"),
    ('client_secret: "${APP_SECRET}"', 'client_secret: "${APP_SECRET}", pkce: true', "both"),
    ("client_id: APP1", "client_di: APP1", "client_id"),
    ("region: na", "region: mars", "na"),
    ("start_date: 2024-01-01\n  apps", "start_date: soon\n  apps", "date"),
]


@pytest.mark.parametrize(("right", "wrong", "said"), WRONG, ids=[one[1] for one in WRONG])
def test_a_mistake_is_said_and_no_secret_with_it(tmp_path, right, wrong, said):
    assert right in TEXT
    with pytest.raises(ConfigError) as refused:
        load(tmp_path, TEXT.replace(right, wrong))
    assert said in str(refused.value)
    assert ENV["APP_SECRET"] not in str(refused.value)


def test_two_apps_of_one_region_are_refused_and_of_two_regions_are_not(tmp_path):
    other = '    - {region: na, client_id: APP2, client_secret: "${APP_SECRET}"}\n'
    with pytest.raises(ConfigError, match="same region"):
        load(tmp_path, TEXT + other)
    assert len(load(tmp_path, TEXT + other.replace("na", "eu", 1)).link.apps) == 2


def test_an_unset_secret_stops_the_server_and_not_a_report(tmp_path):
    """Without it the app would seem to prove itself in another way."""
    with pytest.raises(ConfigError, match="APP_SECRET"):
        load(tmp_path, env={})
    config = load(tmp_path, env={}, secrets_may_be_missing=True)
    with pytest.raises(ConfigError, match="client_secret"):
        linking_of(config)
    assert not list(tmp_path.glob("*.key"))
