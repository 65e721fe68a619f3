"""Dagster: the published file as an asset, every half hour: ``dagster dev -f dagster_definitions.py``."""

from dagster import (
    AssetExecutionContext,
    Definitions,
    Failure,
    MaterializeResult,
    ScheduleDefinition,
    asset,
    define_asset_job,
)
from run_connector import SyncFailed, SyncSkipped, sync


@asset(group_name="clover")
def commerce_duckdb(context: AssetExecutionContext) -> MaterializeResult:
    """``commerce.duckdb`` after a sync of every company; totals a company as metadata."""
    try:
        report = sync()
    except SyncSkipped as skipped:
        context.log.info(str(skipped))
        return MaterializeResult(metadata={"skipped": True})
    except SyncFailed as failed:
        raise Failure(str(failed)) from None
    return MaterializeResult(
        metadata={
            "runs": len(report["runs"]),
            "requests": sum(run["requests"] for run in report["runs"]),
            "totals": report["totals"],
        }
    )


every_half_hour = ScheduleDefinition(
    job=define_asset_job("clover_sales", selection=[commerce_duckdb]), cron_schedule="*/30 * * * *"
)
defs = Definitions(assets=[commerce_duckdb], schedules=[every_half_hour])
