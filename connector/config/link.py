"""The section ``link`` of config.yaml: how merchants connect themselves through a link that a lender sends them."""

from datetime import date
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, ValidationInfo, model_validator

from connector.config.values import Cron, Name, Secret, Section, WebAddress

Region = Literal["na", "eu", "la"]
REGIONS: dict[str, str] = {"na": "United States or Canada", "eu": "Europe", "la": "Latin America"}


class LinkApp(Section):
    """An app registered at Clover. One app belongs to one environment and region (docs.clover.com, Use OAuth).

    client_secret: left out only for an app that proves itself with PKCE (Low-trust apps), which ``pkce: true`` says.
    """

    client_id: Name
    client_secret: Secret | None = None
    pkce: bool = False
    environment: Literal["production", "sandbox"] = "production"
    region: Region = "na"
    base_url: WebAddress | None = None

    @model_validator(mode="after")
    def _proves_itself(self, info: ValidationInfo) -> Self:
        if self.pkce and self.client_secret is not None:
            raise ValueError("has both client_secret and pkce: true; keep the one the app has at Clover")
        may_be_missing = (info.context or {}).get("secrets_may_be_missing", False)
        if not self.pkce and self.client_secret is None and not may_be_missing:
            raise ValueError("has no client_secret; write client_secret: ${CLOVER_APP_SECRET}")
        return self


class Link(Section):
    """Merchants connect themselves.

    apps: one a region; with several the merchant chooses. name: who asks, as the merchant knows them. logo: an image
    file. redirect_url: what is registered at Clover, ending in /link/callback. redirects: where a merchant may be sent
    afterwards, the first unless the link asks for another. valid_days: how long a link opens the page. schedule,
    start_date: of connections made so.
    """

    name: Name
    logo: Path | None = None
    privacy_url: WebAddress | None = None
    apps: Annotated[list[LinkApp], Field(min_length=1)]
    redirect_url: WebAddress
    redirects: list[WebAddress] = Field(default=[])
    valid_days: Annotated[int, Field(ge=1, le=365)] = 14
    schedule: Cron | None = "*/30 * * * *"
    start_date: date

    @model_validator(mode="after")
    def _can_be_answered(self) -> Self:
        if urlsplit(self.redirect_url).path != "/link/callback":
            raise ValueError(
                "redirect_url must end in /link/callback right behind the host; connector serve answers there"
            )
        regions = [app.region for app in self.apps]
        if len(set(regions)) < len(regions):
            raise ValueError("apps: two are of the same region, so a merchant could not tell them apart")
        return self

    def app_of(self, region: str) -> LinkApp | None:
        """The app that merchants of a region agree to."""
        return next((app for app in self.apps if app.region == region), None)
