"""Figures, alerts and dashboards name people's things; the files for Prometheus and Grafana pass their own tools."""

import http.server
import json
import os
import re
import shutil
import subprocess
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from connector.cli.check.alerts import examine_alerts
from connector.cli.entry import run
from connector.schedule.after_runs import after_runs
from connector.schedule.alerts import Alert, Known, body
from tests.operations.town import NOON, write_config

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
RULES = DEPLOY / "prometheus" / "connector.rules.yml"
DASHBOARD = DEPLOY / "grafana" / "connector.json"


@pytest.fixture
def promtool():
    """Prometheus' own checker."""
    if (found := shutil.which("promtool")) is None:
        if os.environ.get("CI"):
            pytest.fail("no promtool: apt-get install prometheus")
        pytest.skip("no promtool here: apt-get install prometheus")

    def call(*arguments, cwd=None):
        return subprocess.run([found, *map(str, arguments)], cwd=cwd, capture_output=True, text=True)

    return call


def expressions():
    """Every expression of the rules and of the dashboard."""
    rules = [rule["expr"] for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]
    panels = json.loads(DASHBOARD.read_text())["panels"]
    return rules + [target["expr"] for panel in panels for target in panel["targets"]]


def test_promtool_accepts_the_rules_and_they_fire_when_they_should(promtool):
    checked = promtool("check", "rules", RULES)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    tested = promtool("test", "rules", "connector.rules.test.yml", cwd=RULES.parent)
    assert tested.returncode == 0, tested.stdout + tested.stderr
    told = {rule["alert"] for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]}
    tests = yaml.safe_load((RULES.parent / "connector.rules.test.yml").read_text())["tests"]
    fired = {one["alertname"] for test in tests for one in test["alert_rule_test"] if one["exp_alerts"]}
    assert fired == told, "every rule is seen to fire"


def test_promtool_accepts_every_expression_of_the_dashboard(promtool, tmp_path):
    rules = [{"record": f"panel:{number}", "expr": one} for number, one in enumerate(expressions())]
    path = tmp_path / "panels.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    checked = promtool("check", "rules", path)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_dashboard_is_one_that_grafana_imports():
    dashboard = json.loads(DASHBOARD.read_text())
    assert dashboard["schemaVersion"] >= 36
    assert "id" not in dashboard, "an import makes its own"
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    cells = [
        (x, y)
        for panel in panels
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(cells) == len(set(cells)), "no panel over another"
    assert max(x for x, _ in cells) < 24
    for panel in panels:
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert panel["targets"]


@pytest.fixture
def told(town, tmp_path):
    """The textfile after two runs, one of which failed: (text, town)."""
    here = town(2, metrics={"textfile": tmp_path / "connector.prom"})
    here.sell(0)
    here.sandbox.access.revoke(here.worlds[1])
    report = here.sync()
    after_runs(here.config, here.store, report.runs, now=here.clock.now, send=None)
    return here.config.metrics.textfile.read_text(), here


def names_in(text):
    return {sample.name for family in text_string_to_metric_families(text) for sample in family.samples}


def test_every_figure_that_rules_and_dashboard_ask_for_exists(told):
    text, _here = told
    from prometheus_client import generate_latest

    import connector.api.door.connections
    import connector.api.door.middleware  # noqa: F401 - their figures are registered

    families = set(re.findall(r"^# TYPE (\S+)", text + generate_latest().decode(), re.MULTILINE))
    families |= {f"{name}_bucket" for name in families}
    asked = {name for one in expressions() for name in re.findall(r"\bconnector_\w+", one)}
    assert asked - families == set()


def test_no_series_tells_when_a_counter_was_made(told):
    from prometheus_client import generate_latest

    text, _here = told
    assert not [name for name in names_in(text) if name.endswith("_created")]
    import connector.api.routes.health  # noqa: F401 - where the API's are told

    assert "_created" not in generate_latest().decode()


@pytest.mark.parametrize("allowed", [False, True])
def test_an_info_figure_joins_ids_to_the_merchant_and_if_allowed_to_the_company(town, tmp_path, allowed):
    settings = {"textfile": tmp_path / "connector.prom", "company_names": allowed}
    here = town(2, metrics=settings)
    after_runs(here.config, here.store, [], now=here.clock.now, send=None)
    text = here.config.metrics.textfile.read_text()
    found = {
        sample.labels["connection_id"]: sample.labels
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "connector_connection_info"
    }
    for number in (0, 1):
        labels = found[here.connection(number).id]
        assert labels["company_id"] == here.config.companies[number].id
        assert labels["merchant_id"] == f"MERCHANT0000{number}"
        assert labels["company_name"] == (f"Company {number}" if allowed else "")
    assert ("Company 0" in text) == allowed


@pytest.mark.parametrize(
    ("event", "status", "kind", "error", "holds"),
    [
        (
            "connection.failed",
            "failed",
            "clover",
            "Clover did not answer.",
            "Next: connector sync --company company-1",
        ),
        ("connection.failed", "failed", "authorisation", "The token is refused.", "Next: connector check"),
        ("connection.failed", "partly_done", None, None, "money is held back"),
        ("connection.stale", "failed", "store", "The disk is full.", "Next: connector check"),
        ("connection.stale", None, None, None, "Next: connector sync --company company-1"),
    ],
)
def test_the_text_of_an_alert_has_merchant_cause_and_next_command(event, status, kind, error, holds):
    known = Known("company-1", "n1", "MHT4QK2Z9WX61", status, NOON, None, error_kind=kind, error=error)
    text = body(Alert(event, known), alert_id="a", now=NOON)["text"]
    assert "merchant MHT4QK2Z9WX61" in text
    assert (error or "") in text
    assert holds in text
    assert text.rstrip().endswith(tuple("abcdefghijklmnopqrstuvwxyz1")), "ends with the command"


@contextmanager
def endpoint(status):
    """An address on loopback that answers so: (url, what was posted)."""
    taken = []

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            taken.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(status)
            self.end_headers()

        def do_HEAD(self):
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/secret-path", taken
        server.shutdown()


@pytest.mark.parametrize(("status", "code"), [(200, 0), (204, 0), (404, 1), (500, 1)])
def test_alerts_test_sends_one_and_says_what_became_of_it(town, tmp_path, capsys, status, code):
    here = town(2)
    with endpoint(status) as (url, taken):
        config = write_config(
            here, tmp_path / "config.yaml", alerts={"webhook_url": url}, private_networks=["127.0.0.0/8"]
        )
        assert run(["--config", str(config), "alerts", "test"]) == code
        out, err = capsys.readouterr()
    [sent] = taken
    assert sent["event"] == "alerts.test"
    assert "MERCHANT00000, MERCHANT00001" in sent["text"]
    assert "secret-path" not in out + err
    assert (f"answered {status}" in err and "Next:" in err) or code == 0


def test_alerts_test_without_an_address_or_into_a_private_network(town, tmp_path, capsys):
    here = town(1)
    assert run(["--config", str(write_config(here, tmp_path / "a.yaml")), "alerts", "test"]) == 2
    config = write_config(here, tmp_path / "b.yaml", alerts={"webhook_url": "http://127.0.0.1:9/x"})
    assert run(["--config", str(config), "alerts", "test", "--json"]) == 1
    assert "private network" in json.loads(capsys.readouterr().out)["error"]


def test_check_tries_the_address_and_posts_nothing(town):
    here = town(1)
    [none] = examine_alerts(here.config)
    assert (none.verdict, "no alerts.webhook_url" in none.text) == ("ok", True)

    def verdict(url, **settings):
        config = here.config.model_copy(
            update={"alerts": here.config.alerts.model_copy(update={"webhook_url": url}), **settings}
        )
        [finding] = examine_alerts(config)
        assert "secret-path" not in finding.text + (finding.todo or "")
        return finding.verdict, finding.text

    mine = {"private_networks": ["127.0.0.0/8"]}
    for status, expected in ((200, "ok"), (405, "ok"), (404, "warning"), (410, "warning")):
        with endpoint(status) as (url, taken):
            assert verdict(url, **mine)[0] == expected, status
            assert verdict(url)[0] == "warning", "a network that is not named"
        assert taken == []
    assert "ConnectError" in verdict(url, **mine)[1], "nobody listens there any more"
