"""The deployment files say what they should: lint without an engine, systemd's own verifier, recipes that run."""

import ast
import json
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
UNITS = sorted(path for path in (DEPLOY / "systemd").iterdir() if path.suffix in (".service", ".timer"))


def instructions():
    """(instruction, arguments) of the Dockerfile, continued lines joined."""
    text = re.sub(r"\\\n\s*", " ", (ROOT / "Dockerfile").read_text())
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(line.split(None, 1)[0], line.split(None, 1)[1].strip()) for line in lines]


def tool(name, package):
    """The path of a program that checks files of its own kind; without it a test fails in CI and is left out here."""
    if (found := shutil.which(name)) is None:
        if os.environ.get("CI"):
            pytest.fail(f"no {name}: apt-get install {package}")
        pytest.skip(f"no {name} here: apt-get install {package}")
    return found


def test_the_image_is_slim_pinned_and_made_in_two_stages():
    """By tag here, by digest where it is built: the command is in the file, and the argument takes what it prints."""
    stages = [arguments for name, arguments in instructions() if name == "FROM"]
    assert stages == ["${PYTHON} AS build", "${PYTHON}"]
    base = dict(instructions())["ARG"]
    assert re.fullmatch(r"PYTHON=python:3\.\d+-slim-\w+(@sha256:[0-9a-f]{64})?", base), base
    assert "--build-arg PYTHON=" in (ROOT / "Dockerfile").read_text()


def test_every_package_of_the_image_is_checked_against_its_hash():
    [run] = [arguments for name, arguments in instructions() if name == "RUN" and "pip" in arguments]
    installs = re.findall(r"pip install ([^&]+)", run)
    assert len(installs) == 2
    assert "--require-hashes -r requirements.hashes" in installs[0]
    assert "--no-deps --no-build-isolation ." in installs[1], "nothing is fetched to build it"


def pinned(path):
    return dict(re.findall(r"^([a-z0-9][a-z0-9._-]*)==([^ ;\\\n]+)", path.read_text(), re.MULTILINE))


def test_the_hashes_are_of_the_versions_that_are_tested_and_of_all_that_is_needed():
    import tomllib

    hashes, lock = ROOT / "requirements.hashes", pinned(ROOT / "requirements.lock")
    found = pinned(hashes)
    assert {name: lock.get(name) for name in found} == found
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    needed = [*project["project"]["dependencies"], *project["build-system"]["requires"]]
    names = {re.match(r"[A-Za-z0-9._-]+", one)[0].lower().replace("_", "-") for one in needed}
    assert names <= set(found), "made anew after a change of dependencies"
    for block in re.split(r"\n(?=[a-z0-9])", re.sub(r"^#.*\n", "", hashes.read_text(), flags=re.MULTILINE)):
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", block), block


def test_what_the_wheel_includes_is_copied_into_the_image():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert {*wheel["packages"], *wheel["force-include"], project["project"]["readme"]} <= set(copied())


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
    assert not [line for line in ignored if re.match(r"!(data|config(?!\.example)|\.env|tests)", line)]


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
    tool("systemd-analyze", "systemd")
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
    asks_clover = "connector-api" not in unit.name
    assert ("LoadCredentialEncrypted=CLOVER_TOKEN" in text) == asks_clover
    assert "CLOVER_TOKEN=" not in text


def test_every_command_the_files_call_exists():
    from connector.cli.registry import COMMANDS

    texts = [path.read_text() for path in DEPLOY.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    called = {word for text in texts for word in re.findall(r"bin/connector ([a-z]+)", text)}
    assert called == {"schedule", "sync", "backup", "serve"}
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


def test_a_command_beside_the_service_runs_as_the_service_does():
    """connector-run has the unit's user, store and secrets; the shell can read it."""
    script = DEPLOY / "systemd" / "connector-run"
    assert subprocess.run(["sh", "-n", str(script)]).returncode == 0
    assert script.stat().st_mode & 0o100
    unit = (DEPLOY / "systemd" / "connector.service").read_text()
    given = dict(re.findall(r"--property=(\w+)=(\S+)", script.read_text()))
    assert set(given) >= {"DynamicUser", "User", "StateDirectory", "LoadCredentialEncrypted", "UMask"}
    for name, value in given.items():
        assert f"\n{name}={value}\n" in unit, name
    assert "--setenv=CONNECTOR_CONFIG=/etc/connector/config.yaml" in script.read_text()
    assert "CONNECTOR_CONFIG=/etc/connector/config.yaml" in unit


def test_what_systemd_run_is_told_is_known_to_it():
    """Read by systemd's own parser: a unit with the same lines."""
    tool("systemd-analyze", "systemd")
    script = (DEPLOY / "systemd" / "connector-run").read_text()
    lines = "\n".join(f"{name}={value}" for name, value in re.findall(r"--property=(\w+)=(\S+)", script))
    import tempfile

    with tempfile.TemporaryDirectory() as directory:
        unit = Path(directory) / "connector-run-check.service"
        unit.write_text(f"[Service]\nExecStart={shutil.which('true')}\n{lines}\n")
        done = subprocess.run(
            ["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True
        )
    assert [line for line in done.stderr.splitlines() if "connector-run-check" in line] == []


def compose_command():
    command = ["docker", "compose"]
    if (
        not shutil.which("docker")
        or subprocess.run([*command, "version"], capture_output=True).returncode != 0
    ):
        command = [tool("docker-compose", "docker-compose")]
    return command


def test_compose_accepts_the_file_of_a_fleet(tmp_path):
    shutil.copy(DEPLOY / "compose" / "fleet.yaml", tmp_path)
    names = ("FLEET_PASSWORD", "CONNECTOR_KEY", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    done = subprocess.run(
        [*compose_command(), "-f", "fleet.yaml", "config"],
        cwd=tmp_path,
        env=os.environ | dict.fromkeys(names, "x"),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    services = yaml.safe_load(done.stdout)["services"]
    assert set(services) == {"schedule", "api", "postgres", "bucket"}
    for name in ("schedule", "api"):
        assert services[name]["read_only"] is True
        assert services[name]["cap_drop"] == ["ALL"]
        assert set(names) <= services[name]["environment"].keys()
        assert "/data" in str(services[name]["volumes"])
        assert "container_name" not in services[name], "there may be any number of it"


def test_the_image_of_a_fleet_has_what_the_extra_names_in_the_versions_that_are_tested():
    fleet, lock = pinned(ROOT / "requirements-fleet.hashes"), pinned(ROOT / "requirements.lock")
    for name in ("psycopg", "psycopg-binary", "psycopg-pool", "obstore", "pyrate-limiter"):
        assert fleet[name] == lock[name]
    text = (ROOT / "requirements-fleet.hashes").read_text()
    assert len(re.findall(r"^[a-z0-9].*==", text, re.MULTILINE)) <= text.count("--hash=sha256:")
    assert "--require-hashes" in (DEPLOY / "fleet.Dockerfile").read_text()


def test_compose_accepts_the_file(tmp_path):
    command = compose_command()
    (tmp_path / "compose").mkdir()
    shutil.copy(DEPLOY / "compose" / "compose.yaml", tmp_path / "compose")
    (tmp_path / "compose" / "clover_token").write_text("x")
    done = subprocess.run(
        [*command, "-f", "compose.yaml", "config"],
        cwd=tmp_path / "compose",
        env=os.environ | {"CONNECTOR_HOST": "data.example.com"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    services = yaml.safe_load(done.stdout)["services"]
    assert set(services) == {"schedule", "api", "proxy"}
    for name in ("schedule", "api"):
        assert services[name]["read_only"] is True
        assert services[name]["cap_drop"] == ["ALL"]
        assert not services[name].get("ports"), "nobody gets past the proxy"
        assert "/data" in str(services[name]["volumes"])
        assert services[name]["logging"]["options"]["max-size"]
    assert services["schedule"]["secrets"]
    assert not services["api"].get("secrets"), "the API needs no token"


def test_the_commands_of_the_containers_are_commands_of_ours(capsys):
    from connector.cli.entry import run

    compose = yaml.safe_load((DEPLOY / "compose" / "compose.yaml").read_text())["services"]
    pods = [
        container
        for document in yaml.safe_load_all((DEPLOY / "kubernetes" / "service.yaml").read_text())
        if document["kind"] == "Deployment"
        for container in document["spec"]["template"]["spec"]["containers"]
    ]
    for arguments in [
        compose["schedule"]["command"],
        compose["api"]["command"],
        *(one["args"] for one in pods),
    ]:
        assert run([*arguments, "--help"]) == 0, (arguments, capsys.readouterr().err)


def test_caddy_accepts_the_proxy(tmp_path):
    done = subprocess.run(
        [tool("caddy", "caddy"), "adapt", "--validate", "--config", str(DEPLOY / "proxy" / "Caddyfile")],
        env=os.environ | {"HOME": str(tmp_path), "CONNECTOR_HOST": "data.example.com"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "127.0.0.1:8080" in done.stdout
    assert "data.example.com" in done.stdout


@pytest.mark.slow
def test_the_proxy_ends_tls_and_lets_the_api_see_the_client(town, tmp_path):
    """Caddy with a certificate of its own before a real `connector serve`."""
    import socket
    import time

    import httpx

    caddy = tool("caddy", "caddy")
    here = town(1)
    here.sell()
    here.sync()
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        port, front = one.getsockname()[1], other.getsockname()[1]
    from tests.operations.town import write_config

    config = write_config(here, tmp_path / "c.yaml", api={"port": port, "trusted_proxies": ["127.0.0.1"]})
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "HOME": str(tmp_path),
        "XDG_DATA_HOME": str(tmp_path),
    }
    text = (DEPLOY / "proxy" / "Caddyfile").read_text()
    local = text.replace(
        "{\n\tservers", "{\n\tadmin off\n\tskip_install_trust\n\tauto_https disable_redirects\n\tservers", 1
    )
    local = local.replace("{$CONNECTOR_HOST:localhost} {", f"https://localhost:{front} {{\n\ttls internal", 1)
    (tmp_path / "Caddyfile").write_text(local)
    serve = subprocess.Popen(
        [sys.executable, "-m", "connector", "--config", str(config), "serve"],
        env=environment,
        stderr=subprocess.DEVNULL,
    )
    proxy = subprocess.Popen(
        [caddy, "run", "--config", str(tmp_path / "Caddyfile"), "--adapter", "caddyfile"],
        env=environment | {"CONNECTOR_UPSTREAM": f"127.0.0.1:{port}"},
        stdout=(log := (tmp_path / "caddy.log").open("w")),
        stderr=log,
    )
    try:
        with httpx.Client(verify=False, timeout=5) as client:  # its own certificate is not known here
            for _ in range(100):
                try:
                    live = client.get(f"https://localhost:{front}/health/live")
                    if live.status_code == 200:
                        break
                except httpx.HTTPError:
                    pass
                time.sleep(0.3)
            assert live.status_code == 200
            assert live.headers["strict-transport-security"]
            assert client.get(f"https://localhost:{front}/metrics").status_code == 404
            assert client.get(f"https://localhost:{front}/companies").status_code == 401
            for secret in ("link/S3CRET-LINK", "link/callback?code=S3CRET-CODE&state=S3CRET-STATE"):
                client.get(f"https://localhost:{front}/{secret}")
    finally:
        for process in (serve, proxy):
            process.terminate()
            process.wait(20)
    log.close()
    logged = (tmp_path / "caddy.log").read_text()
    assert "/companies" in logged
    assert "S3CRET" not in logged


@pytest.mark.parametrize("path", sorted((DEPLOY / "kubernetes").glob("*.yaml")), ids=lambda path: path.name)
def test_kubernetes_own_schemas_accept_the_manifests(path):
    import kubernetes_validate

    documents = list(yaml.safe_load_all(path.read_text()))
    for version in ("1.29", kubernetes_validate.latest_version()):
        for document in documents:
            kubernetes_validate.validate(document, version, strict=True)
    broken = json.loads(json.dumps(documents[-1]))
    broken["spec"]["no-such-field"] = 1
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(broken, kubernetes_validate.latest_version(), strict=True)


def test_the_pod_of_scheduler_and_api_shares_one_volume_and_is_never_there_twice():
    volume, pod, service = yaml.safe_load_all((DEPLOY / "kubernetes" / "service.yaml").read_text())
    assert volume["spec"]["accessModes"] == ["ReadWriteOncePod"]
    assert pod["spec"]["strategy"] == {"type": "Recreate"}
    assert pod["spec"]["replicas"] == 1
    spec = pod["spec"]["template"]["spec"]
    assert spec["terminationGracePeriodSeconds"] > 25
    assert str(spec["securityContext"]["runAsUser"]) == dict(instructions())["USER"].split(":")[0]
    by_name = {one["name"]: one for one in spec["containers"]}
    assert set(by_name) == {"schedule", "api"}
    for one in by_name.values():
        assert one["securityContext"]["readOnlyRootFilesystem"] is True
        assert {mount["name"] for mount in one["volumeMounts"]} <= {
            volume["name"] for volume in spec["volumes"]
        }
        assert "data" in {mount["name"] for mount in one["volumeMounts"]}
    assert "secrets" not in {mount["name"] for mount in by_name["api"]["volumeMounts"]}
    from connector.api.door.middleware import OPEN_PATHS

    for probe in ("readinessProbe", "livenessProbe"):
        assert by_name["api"][probe]["httpGet"]["path"] in OPEN_PATHS
    assert service["spec"]["selector"] == pod["spec"]["template"]["metadata"]["labels"]


def test_logrotate_accepts_its_file_and_rotates_what_cron_writes(tmp_path):
    logrotate = shutil.which("logrotate") or "/usr/sbin/logrotate"
    if not Path(logrotate).exists():
        tool("logrotate", "logrotate")
    text = (DEPLOY / "logrotate" / "connector").read_text()
    cron = (DEPLOY / "cron" / "connector").read_text()
    written = set(re.findall(r">>? (/var/log/connector/\S+)", cron))
    import fnmatch

    patterns = re.findall(r"/var/log/connector/\S+", text)
    assert written
    assert all(any(fnmatch.fnmatch(path, pattern) for pattern in patterns) for path in written)
    logs = tmp_path / "logs"
    logs.mkdir(mode=0o755)
    for name in ("sync.log", "sync.json"):
        (logs / name).write_text("a line\n" * 10)
    local = re.sub(r"(?m)^\tsu .*\n|^\tcreate .*\n", "", text).replace("/var/log/connector", str(logs))
    (tmp_path / "conf").write_text(local)
    (tmp_path / "conf").chmod(0o644)
    done = subprocess.run(
        [logrotate, "--force", "--state", str(tmp_path / "state"), str(tmp_path / "conf")],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert {path.name for path in logs.iterdir()} == {"sync.log.1", "sync.json.1"}


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
        publishes = "connector-api" not in unit.name
        assert (f"ReadWritePaths=-{directory}\n" in text) == publishes
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
