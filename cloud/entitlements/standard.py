"""The catalogue that comes with the program: version 0, until somebody saves one of their own."""

from typing import Final

from cloud.entitlements.domain import CatalogueVersion, Entitlements, ReportDepth, Tier

STANDARD: Final = CatalogueVersion(
    version=0,
    made_ms=0,
    tiers={
        Tier.STRATEGIC: Entitlements(
            retention_days=1_825,
            presses_max=None,
            custom_models=True,
            api_requests_per_min=6_000,
            support_response_h=4,
            report_depth=ReportDepth.DEEP,
            webhook_endpoints_max=50,
            people_max=None,
        ),
        Tier.VALUE: Entitlements(
            retention_days=730,
            presses_max=200,
            custom_models=False,
            api_requests_per_min=1_200,
            support_response_h=24,
            report_depth=ReportDepth.STANDARD,
            webhook_endpoints_max=20,
            people_max=200,
        ),
        Tier.LONG_TAIL: Entitlements(
            retention_days=90,
            presses_max=20,
            custom_models=False,
            api_requests_per_min=300,
            support_response_h=72,
            report_depth=ReportDepth.SUMMARY,
            webhook_endpoints_max=5,
            people_max=20,
        ),
        Tier.PROVISIONAL: Entitlements(
            retention_days=180,
            presses_max=40,
            custom_models=False,
            api_requests_per_min=600,
            support_response_h=48,
            report_depth=ReportDepth.STANDARD,
            webhook_endpoints_max=10,
            people_max=50,
        ),
    },
)
