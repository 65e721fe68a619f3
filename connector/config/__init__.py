"""config.yaml: read, filled in from the environment, checked. What the settings do is left to their users."""

from connector.config.fleet import FleetPlace
from connector.config.link import REGIONS, Link, LinkApp
from connector.config.load import load_config, secrets_in_file, setting_paths
from connector.config.sections import Alerts, Api, Limits, Metrics, Scheduler, Sync
from connector.config.settings import Company, Config, Connection, OAuth

__all__ = [
    "REGIONS",
    "Alerts",
    "Api",
    "Company",
    "Config",
    "Connection",
    "FleetPlace",
    "Limits",
    "Link",
    "LinkApp",
    "Metrics",
    "OAuth",
    "Scheduler",
    "Sync",
    "load_config",
    "secrets_in_file",
    "setting_paths",
]
