"""The pace of a fleet in PostgreSQL: when the next request of an app or a token may start, over all hosts.

A start is reserved by moving one row on: the statement gives the moment, and no two hosts get the same. Starts are
spread evenly, by the clock of the database. Requests in flight hold one of so many places; a place whose host died is
free again after a minute.
"""

from dataclasses import dataclass

from connector.control.database import ControlDatabase

TABLES = """
CREATE TABLE IF NOT EXISTS pace (name TEXT PRIMARY KEY, due TIMESTAMPTZ NOT NULL, paused_until TIMESTAMPTZ NOT NULL);
CREATE TABLE IF NOT EXISTS pace_places (place INTEGER PRIMARY KEY, host TEXT, until TIMESTAMPTZ)
"""
PLACE_SECONDS = 60
APP = "app"
_NOW = "clock_timestamp()"
_RESERVE = f"""
WITH app AS (SELECT greatest(due, {_NOW}) AS due, paused_until FROM pace WHERE name = ? FOR UPDATE),
  token AS (SELECT greatest(due, {_NOW}) AS due, paused_until FROM pace WHERE name = ? FOR UPDATE),
  found AS (
    SELECT app.due AS of_app, greatest(app.due, token.due) AS start,
      greatest(app.paused_until, token.paused_until) AS paused_until FROM app, token),
  moved AS (
    UPDATE pace
    SET due = CASE name WHEN ? THEN of_app + ? * interval '1 second' ELSE start + ? * interval '1 second' END
    FROM found WHERE name IN (?, ?) AND found.paused_until <= {_NOW} RETURNING name)
SELECT extract(epoch FROM start - {_NOW}) AS wait,
  CASE WHEN (SELECT count(*) FROM moved) = 0 THEN greatest(extract(epoch FROM paused_until - {_NOW}), 0.001) ELSE 0 END
    AS paused
FROM found
"""  # noqa: S608 - our own text


@dataclass(frozen=True, slots=True)
class Start:
    """wait: seconds until a reserved start. paused: seconds for which nobody may start, 0 for none."""

    wait: float
    paused: float


def reserve_start(
    control: ControlDatabase, token: str, *, app_interval: float, token_interval: float
) -> Start:
    """Take the next start that app and token both allow, the ones after it so many seconds later; none in a pause.

    The app's row moves on by one start from where it stood: a token that has to wait holds up no other.
    """
    row = control.row(_RESERVE, (APP, token, APP, app_interval, token_interval, APP, token))
    if row is None:
        control.write_many(
            f"INSERT INTO pace VALUES (?, {_NOW}, {_NOW}) ON CONFLICT (name) DO NOTHING",  # noqa: S608 - our own text
            [(APP,), (token,)],
        )
        return reserve_start(control, token, app_interval=app_interval, token_interval=token_interval)
    return Start(max(0.0, float(row["wait"])), float(row["paused"]))


def pause_starts(control: ControlDatabase, name: str, seconds: float) -> None:
    """Nobody starts a request of this app or token for so many seconds, on whatever host."""
    control.write(
        f"INSERT INTO pace VALUES (?, {_NOW}, {_NOW} + ? * interval '1 second') ON CONFLICT (name) DO UPDATE"  # noqa: S608
        " SET paused_until = greatest(pace.paused_until, excluded.paused_until)",
        (name, seconds),
    )


def paused_for(control: ControlDatabase, token: str) -> float:
    """Seconds for which nobody of that token may start; 0 for none."""
    row = control.row(
        f"SELECT extract(epoch FROM max(paused_until) - {_NOW}) AS paused FROM pace WHERE name IN (?, ?)",  # noqa: S608
        (APP, token),
    )
    return 0.0 if row is None or row["paused"] is None else max(0.0, float(row["paused"]))


def take_place(control: ControlDatabase, host: str, *, most: int) -> int | None:
    """One of ``most`` places for a request in flight; None while all are taken."""
    row = control.row(
        f"UPDATE pace_places SET host = ?, until = {_NOW} + interval '{PLACE_SECONDS} seconds' WHERE place ="  # noqa: S608
        f" (SELECT place FROM pace_places WHERE place < ? AND (until IS NULL OR until < {_NOW})"
        " ORDER BY place FOR UPDATE SKIP LOCKED LIMIT 1) RETURNING place",
        (host, most),
    )
    return None if row is None else int(row["place"])


def free_place(control: ControlDatabase, host: str, place: int) -> None:
    """The request has ended."""
    control.write("UPDATE pace_places SET until = NULL WHERE place = ? AND host = ?", (place, host))


def make_places(control: ControlDatabase, most: int) -> None:
    """So many places, if there are not."""
    control.write_many(
        "INSERT INTO pace_places (place) VALUES (?) ON CONFLICT (place) DO NOTHING",
        [(n,) for n in range(most)],
    )
