"""Secrets reach the configuration from the environment, from files, and from systemd credentials."""

import pytest

from connector.config import load_config
from connector.errors import ConfigError

CONFIG = """\
store: ./data
companies:
  - name: Juniper Goods
    connections:
      - {merchant_id: MHT4QK2Z9WX61, country: USA, timezone: America/New_York, start_date: 2024-01-01,
         token: "${CLOVER_TOKEN}"}
metrics: {textfile: metrics/connector.prom}
"""


@pytest.fixture
def token(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(CONFIG)

    def load(**environment):
        secret = load_config(path, environment).companies[0].connections[0].token
        return secret.get_secret_value()

    return load


def test_the_variable_itself_counts_first(token, tmp_path):
    (tmp_path / "secret").write_text("from-file\n")
    assert token(CLOVER_TOKEN="from-env", CLOVER_TOKEN_FILE=str(tmp_path / "secret")) == "from-env"


def test_a_file_named_by_a_variable(token, tmp_path):
    (tmp_path / "secret").write_text("from-file\n")
    assert token(CLOVER_TOKEN_FILE=str(tmp_path / "secret")) == "from-file"


def test_a_systemd_credential(token, tmp_path):
    (tmp_path / "CLOVER_TOKEN").write_text("from-systemd")
    assert token(CREDENTIALS_DIRECTORY=str(tmp_path)) == "from-systemd"


def test_a_file_that_is_not_there_is_named(token, tmp_path):
    with pytest.raises(ConfigError, match=r"CLOVER_TOKEN_FILE leads to .*gone, which cannot be read"):
        token(CLOVER_TOKEN_FILE=str(tmp_path / "gone"))


def test_a_missing_secret_is_still_missing(token, tmp_path):
    with pytest.raises(ConfigError, match="needs the environment variable CLOVER_TOKEN, which is not set"):
        token(CREDENTIALS_DIRECTORY=str(tmp_path))


def test_the_path_of_the_metrics_is_taken_from_the_configs_directory(tmp_path):
    (tmp_path / "config.yaml").write_text(CONFIG)
    config = load_config(tmp_path / "config.yaml", {"CLOVER_TOKEN": "a-token"})
    assert config.metrics.textfile == tmp_path / "metrics" / "connector.prom"
