"""Streamlit's settings for this application: nothing leaves, nothing leaks, both themes.

Given as flags, which win over any `config.toml` and environment of the machine. Colours of the
themes are chosen for at least 4.5:1 (text) and 3:1 (marks) against their background.
"""

from __future__ import annotations

from typing import Final

SECURITY: Final[dict[str, object]] = {
    "browser.gatherUsageStats": False,
    "server.headless": True,
    "server.showEmailPrompt": False,
    "server.enableAgentApi": False,
    "server.fileWatcherType": "none",
    "server.runOnSave": False,
    "server.allowRunOnSave": False,
    "server.enableStaticServing": False,
    "server.scriptHealthCheckEnabled": False,
    "server.enableCORS": True,
    "server.enableXsrfProtection": True,
    # No page takes files: the smallest limit that the option knows.
    "server.maxUploadSize": 1,
    "server.disconnectedSessionTTL": 60,
    "client.showErrorDetails": "none",
    "client.showErrorLinks": False,
    "client.toolbarMode": "viewer",
    # No foreign page may steer this one by postMessage.
    "client.allowedOrigins": [],
    "runner.magicEnabled": False,
}

_SHARED: Final[dict[str, object]] = {
    "baseFontSize": 14,
    "baseRadius": "6px",
    "buttonRadius": "6px",
    "paddingTop": "1.25rem",
    "paddingBottom": "3rem",
    "headingFontSizes": ["1.45rem", "1.1rem", "1rem", "0.95rem", "0.9rem", "0.85rem"],
    "headingFontWeights": [650, 600, 600, 600, 600, 600],
    "codeFontSize": "0.85rem",
    "showWidgetBorder": True,
    "linkUnderline": False,
}

_LIGHT: Final[dict[str, object]] = {
    "primaryColor": "#1f5fbf",
    "backgroundColor": "#ffffff",
    "secondaryBackgroundColor": "#f4f6f8",
    "textColor": "#14171a",
    "linkColor": "#1a56b0",
    "borderColor": "#dde2e8",
    "dataframeBorderColor": "#e4e8ed",
    "dataframeHeaderBackgroundColor": "#f4f6f8",
    "dataframeHeaderTextColor": "#4a535d",
    "codeBackgroundColor": "#f4f6f8",
    "codeTextColor": "#14171a",
    "chartCategoricalColors": [
        "#2f6fd0",
        "#c7541a",
        "#12806f",
        "#8a4fb5",
        "#9a7400",
        "#b83b6b",
        "#4f6475",
        "#3a8a2e",
    ],
    "chartSequentialColors": [
        "#eaf1fb",
        "#d2e2f7",
        "#b4cef0",
        "#90b5e7",
        "#6a9adc",
        "#477fce",
        "#2f66b8",
        "#224f97",
        "#193b74",
        "#112a55",
    ],
}

_DARK: Final[dict[str, object]] = {
    "primaryColor": "#6ea8fe",
    "backgroundColor": "#0f1317",
    "secondaryBackgroundColor": "#181d23",
    "textColor": "#e6eaee",
    "linkColor": "#8bb9ff",
    "borderColor": "#2a323b",
    "dataframeBorderColor": "#262d35",
    "dataframeHeaderBackgroundColor": "#181d23",
    "dataframeHeaderTextColor": "#a7b1bb",
    "codeBackgroundColor": "#181d23",
    "codeTextColor": "#e6eaee",
    "chartCategoricalColors": [
        "#6ea8fe",
        "#f0935a",
        "#4cc3ad",
        "#c39af0",
        "#d9b64a",
        "#f08bb0",
        "#9db1c2",
        "#86cf78",
    ],
    "chartSequentialColors": [
        "#16263d",
        "#1b3557",
        "#224673",
        "#2b5a93",
        "#3770b3",
        "#4c89d0",
        "#6ca3e4",
        "#90bdf1",
        "#b6d5f9",
        "#deecfd",
    ],
}


def theme() -> dict[str, object]:
    """Options of `[theme]`, `[theme.light]` and `[theme.dark]`."""
    return {
        **{f"theme.{name}": value for name, value in _SHARED.items()},
        **{f"theme.light.{name}": value for name, value in _LIGHT.items()},
        **{f"theme.dark.{name}": value for name, value in _DARK.items()},
    }


def flags(host: str, port: int, allowed_hosts: tuple[str, ...]) -> dict[str, object]:
    """All settings of one running dashboard."""
    return {
        **SECURITY,
        **theme(),
        "server.address": host,
        "server.port": port,
        "server.allowedHosts": list(allowed_hosts),
    }
