"""The deployment files say what they should: lint without an engine, systemd's own verifier, recipes that run."""

import ast
import os
import re
import shutil
import subprocess
import sys
import types
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
RECIPES = sorted((DEPLOY / "orchestrators").glob("*.py"))
UNITS = sorted((DEPLOY / "systemd").iterdir())


def instructions():
    """(instruction, arguments) of the Dockerfile, continued lines joined."""
    text = re.sub(r"\\\n\s*", " ", (ROOT / "Dockerfile").read_text())
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(line.split(None, 1)[0], line.split(None, 1)[1].strip()) for line in lines]


def test_the_image_is_slim_pinned_and_made_in_two_stages():
    stages = [arguments for name, arguments in instructions() if name == "FROM"]
    assert len(stages) == 2
    for stage in stages:
        assert re.match(r"python:3\.\d+-slim-\w+( AS build)?$", stage), stage


def test_the_image_runs_as_a_numbered_user_without_rights():
    names = [name for name, _ in instructions()]
    user = dict(instructions())["USER"]
    assert re.fullmatch(r"[1-9]\d{3,}:[1-9]\d{3,}", user), (
        "a number, so that Kubernetes can check runAsNonRoot"
    )
    assert names.index("USER") < names.index("ENTRYPOINT")
    assert "RUN" not in names[names.index("USER") :]


def test_the_image_is_stopped_by_the_signal_the_scheduler_listens_to():
    assert dict(instructions())["STOPSIGNAL"] == "SIGTERM"
    for name in ("ENTRYPOINT", "CMD"):
        assert ast.literal_eval(dict(instructions())[name]), "exec form, so that signals arrive"


def test_no_secret_and_no_remote_file_gets_into_the_image():
    for name, arguments in instructions():
        assert name != "ADD"
        assert not re.search(r"(?i)token|secret|password|key=", arguments), arguments
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert ignored[0] == "*", "nothing but what is named"
    assert not [line for line in ignored if re.match(r"!(data|config|\.env|tests)", line)]


def copied():
    for name, arguments in instructions():
        if name == "COPY" and not arguments.startswith("--from"):
            *sources, _target = arguments.split()
            yield from sources


def test_what_the_image_copies_exists_and_is_not_ignored():
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    for source in copied():
        assert (ROOT / source).exists(), source
        assert source in allowed, source


def test_the_health_check_is_a_command_that_exists():
    health = dict(instructions())["HEALTHCHECK"]
    assert 'CMD connector status --max-age "$CONNECTOR_MAX_AGE"' in health
    assert "--start-period=" in health


@pytest.mark.slow
def test_the_commands_of_the_image_run_from_nothing_but_what_it_copies(town, tmp_path):
    """The image's life in a plain directory: unhealthy, a scheduled sync, healthy."""
    here = town(1)
    image = tmp_path / "image"
    image.mkdir()
    for source in copied():
        whole = ROOT / source
        if whole.is_dir():
            shutil.copytree(whole, image / source, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(whole, image / source)
    connection = here.connection()
    config = tmp_path / "config.yaml"
    config.write_text(
        yaml.safe_dump(
            {
                "store": str(tmp_path / "data"),
                "companies": [
                    {
                        "name": "A",
                        "connections": [
                            {
                                "merchant_id": connection.merchant_id,
                                "country": "USA",
                                "timezone": "UTC",
                                "start_date": "2026-02-01",
                                "base_url": connection.base_url,
                                "token": "${CLOVER_TOKEN}",
                                "schedule": "*/30 * * * *",
                            }
                        ],
                    }
                ],
            }
        )
    )
    (tmp_path / "secret").write_text("token-of-merchant-0\n")
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(image),
        "CONNECTOR_CONFIG": str(config),
        "CLOVER_TOKEN_FILE": str(tmp_path / "secret"),
    }

    def connector(*arguments):
        call = [sys.executable, "-m", "connector", *arguments]
        return subprocess.run(
            call, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120
        )

    assert connector("status", "--max-age", "6h").returncode == 1
    scheduled = connector("schedule", "--once")
    assert scheduled.returncode == 0, scheduled.stderr
    assert connector("status", "--max-age", "6h").returncode == 0


def test_systemd_finds_nothing_wrong(tmp_path):
    """Verified with a program that exists here in the place of the connector."""
    if shutil.which("systemd-analyze") is None:
        if os.environ.get("CI"):
            pytest.fail("no systemd-analyze: apt-get install systemd")
        pytest.skip("no systemd-analyze here: apt-get install systemd")
    for unit in UNITS:
        text = unit.read_text().replace("/opt/connector/bin/connector", shutil.which("true"))
        (tmp_path / unit.name).write_text(text)
    for unit in UNITS:
        done = subprocess.run(
            ["systemd-analyze", "verify", "--man=no", str(tmp_path / unit.name)],
            capture_output=True,
            text=True,
        )
        ours = [line for line in done.stderr.splitlines() if unit.name in line]
        assert ours == []


@pytest.mark.parametrize(
    "unit", [unit for unit in UNITS if unit.suffix == ".service"], ids=lambda unit: unit.name
)
def test_services_are_stopped_gently_and_run_without_rights(unit):
    text = unit.read_text()
    assert "DynamicUser=yes" in text
    assert "NoNewPrivileges=yes" in text
    assert int(re.search(r"TimeoutStopSec=(\d+)", text)[1]) > 25, "longer than scheduler.grace_seconds"
    assert "LoadCredentialEncrypted=CLOVER_TOKEN" in text
    assert "CLOVER_TOKEN=" not in text


def test_every_command_the_files_call_exists():
    from connector.cli.registry import COMMANDS

    texts = [path.read_text() for path in DEPLOY.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    called = {word for text in texts for word in re.findall(r"bin/connector ([a-z]+)", text)}
    assert called == {"schedule", "sync", "backup"}
    assert called <= set(COMMANDS)


def test_the_cron_file_is_one():
    from cronsim import CronSim

    lines = [
        line
        for line in (DEPLOY / "cron" / "connector").read_text().splitlines()
        if line and not line.startswith("#") and not re.match(r"[A-Z_]+=", line)
    ]
    assert len(lines) == 2
    for line in lines:
        *fields, user, _command = line.split(None, 6)
        from datetime import UTC, datetime

        next(CronSim(" ".join(fields), datetime(2026, 1, 1, tzinfo=UTC)))
        assert user == "connector"


def test_the_kubernetes_manifest_is_valid_and_lets_no_two_runs_overlap():
    volume, job = yaml.safe_load_all((DEPLOY / "kubernetes" / "cronjob.yaml").read_text())
    assert volume["kind"] == "PersistentVolumeClaim"
    assert (job["apiVersion"], job["kind"]) == ("batch/v1", "CronJob")
    assert job["spec"]["concurrencyPolicy"] == "Forbid"
    spec = job["spec"]["jobTemplate"]["spec"]
    pod = spec["template"]["spec"]
    assert pod["restartPolicy"] == "Never", "podFailurePolicy asks for it"
    [container] = pod["containers"]
    [_ignored, rule] = spec["podFailurePolicy"]["rules"]
    assert rule["onExitCodes"]["containerName"] == container["name"]
    assert rule["onExitCodes"]["values"] == sorted(rule["onExitCodes"]["values"])
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert str(pod["securityContext"]["runAsUser"]) == dict(instructions())["USER"].split(":")[0]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    mounts = {mount["name"] for mount in container["volumeMounts"]}
    assert mounts == {one["name"] for one in pod["volumes"]}
    assert pod["terminationGracePeriodSeconds"] > 25


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.name)
def test_every_recipe_compiles(recipe):
    compile(recipe.read_text(), str(recipe), "exec")


@pytest.fixture
def shared(monkeypatch):
    """The module the recipes share, imported as they import it."""
    monkeypatch.syspath_prepend(str(DEPLOY / "orchestrators"))
    monkeypatch.delitem(sys.modules, "run_connector", raising=False)
    import run_connector

    yield run_connector
    sys.modules.pop("run_connector", None)


def answering(tmp_path, text, code):
    """A command that answers so, whatever it is asked."""
    program = tmp_path / "answer.py"
    program.write_text(f"import sys; print({text!r}); sys.exit({code})")
    return (sys.executable, str(program))


def test_the_recipes_tell_done_from_busy_from_failed(shared, tmp_path):
    run = (
        '{"companyName": "Juniper Goods", "status": "failed", "error": {"message": "Clover did not answer."}}'
    )
    assert shared.sync(command=answering(tmp_path, '{"runs": []}', 0)) == {"runs": []}
    with pytest.raises(shared.SyncSkipped):
        shared.sync(command=answering(tmp_path, '{"runs": []}', 4))
    with pytest.raises(shared.SyncFailed, match=r"exit code 3: Juniper Goods: Clover did not answer\."):
        shared.sync(command=answering(tmp_path, f'{{"runs": [{run}]}}', 3))
    with pytest.raises(shared.SyncFailed, match=r"exit code 2: config.yaml is not there"):
        shared.sync(command=answering(tmp_path, '{"error": {"message": "config.yaml is not there"}}', 2))
    with pytest.raises(shared.SyncFailed, match="ended with 1"):
        shared.sync(command=answering(tmp_path, "no JSON", 1))


def test_the_exit_codes_of_the_recipes_are_those_of_the_command_line(shared):
    from connector.errors import ConfigError, ConnectorError, PartlyDone, StoreBusy

    assert (ConnectorError.exit_code, ConfigError.exit_code) == (shared.FAILED, shared.WRONG)
    assert (PartlyDone.exit_code, StoreBusy.exit_code) == (shared.PARTLY, shared.BUSY)


@pytest.mark.parametrize("name", ["prefect_flow", "dagster_definitions", "airflow_dag"])
def test_every_recipe_can_be_imported_by_its_orchestrator(shared, monkeypatch, name):
    """Against stand-ins: the recipe asks for nothing that was not written down, and calls sync by its name."""

    class Anything:
        def __init__(self, *_arguments, **_named):
            pass

        def __call__(self, *arguments, **_named):
            return Decorated(arguments[0]) if len(arguments) == 1 and callable(arguments[0]) else self

        def __getattr__(self, _name):
            return Anything()

    class Decorated(Anything):
        def __init__(self, function):
            self.function = function

        def __call__(self, *arguments, **named):
            return self.function(*arguments, **named)

    for module, names in {
        "prefect": ("flow", "task"),
        "dagster": (
            "AssetExecutionContext", "Definitions", "Failure", "MaterializeResult", "ScheduleDefinition", "asset",
            "define_asset_job",
        ),
        "airflow": (),
        "airflow.decorators": ("dag", "task"),
        "airflow.exceptions": ("AirflowException", "AirflowSkipException"),
    }.items():  # fmt: skip
        stand_in = types.ModuleType(module)
        for one in names:
            setattr(stand_in, one, Anything())
        monkeypatch.setitem(sys.modules, module, stand_in)
    source = (DEPLOY / "orchestrators" / f"{name}.py").read_text()
    exec(compile(source, name, "exec"), {"__name__": name})


def test_the_units_let_analysts_into_the_published_directory_and_nowhere_else(tmp_path):
    """The account, the group and the directory that connector.service names are those that the two files make."""
    users = (DEPLOY / "sysusers.d" / "connector.conf").read_text()
    made = (DEPLOY / "tmpfiles.d" / "connector.conf").read_text()
    [account] = re.findall(r"^u (\S+)", users, re.MULTILINE)
    [group] = re.findall(r"^g (\S+)", users, re.MULTILINE)
    [(directory, mode, owner, owned_by)] = re.findall(r"^d (\S+) (\S+) (\S+) (\S+)", made, re.MULTILINE)
    assert (mode, owner, owned_by) == ("2750", account, group)
    for unit in (unit for unit in UNITS if unit.suffix == ".service"):
        text = unit.read_text()
        assert f"User={account}\n" in text
        assert f"ReadWritePaths=-{directory}\n" in text
        assert "StateDirectoryMode=0700" in text
    if shutil.which("systemd-sysusers"):
        (tmp_path / "etc").mkdir()
        done = subprocess.run(
            ["systemd-sysusers", f"--root={tmp_path}", str(DEPLOY / "sysusers.d" / "connector.conf")],
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        assert account in (tmp_path / "etc" / "passwd").read_text()
