"""Airflow: a task a company, never two for the same one. Put it into the DAG folder with run_connector.py."""

from datetime import UTC, datetime, timedelta

from airflow.decorators import dag, task
from airflow.exceptions import AirflowException, AirflowSkipException
from run_connector import SyncFailed, SyncSkipped, sync

COMPANIES = ["8a210b68-6988-11ed-a1eb-0242ac120002"]


@dag(
    schedule="*/30 * * * *",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,  # one sync catches up with everything that was missed
    max_active_runs=1,
    tags=["clover"],
)
def clover_sales() -> None:
    """All companies; those that share a limit at Clover wait for each other by themselves."""

    @task(retries=2, retry_delay=timedelta(minutes=5), max_active_tis_per_dag=1)
    def sync_company(company: str) -> dict[str, int]:
        try:
            report = sync(company)
        except SyncSkipped as skipped:
            raise AirflowSkipException(str(skipped)) from None
        except SyncFailed as failed:
            raise AirflowException(str(failed)) from None
        return {key: sum(run["orders"][key] for run in report["runs"]) for key in ("inserted", "updated")}

    sync_company.expand(company=COMPANIES)


clover_sales()
