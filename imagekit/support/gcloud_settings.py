"""What gcloud is set to, read from its environment variables and files without starting it.

cloud.google.com/sdk/docs/properties, cloud.google.com/sdk/docs/configurations
"""

from __future__ import annotations

import configparser
import os
import pathlib

from imagekit.support.files import SETTINGS, read_bytes

DEFAULT = "default"
"""The name of the configuration that is active if none is chosen."""


def project() -> str | None:
    """The project that gcloud works in; None if none is set."""
    own = os.environ.get("CLOUDSDK_CORE_PROJECT") or os.environ.get("GOOGLE_CLOUD_PROJECT")
    return own or _setting("core", "project")


def _setting(section: str, key: str) -> str | None:
    home = os.environ.get("CLOUDSDK_CONFIG")
    folder = pathlib.Path(home) if home else pathlib.Path.home() / ".config" / "gcloud"
    active = os.environ.get("CLOUDSDK_ACTIVE_CONFIG_NAME")
    settings = configparser.ConfigParser(interpolation=None)
    try:
        if not active and (chosen := folder / "active_config").is_file():
            active = read_bytes(chosen, SETTINGS).decode().strip()
        file = folder / "configurations" / f"config_{active or DEFAULT}"
        settings.read_string(read_bytes(file, SETTINGS).decode())
    except (OSError, RuntimeError, ValueError, configparser.Error):
        return None
    return settings.get(section, key, fallback=None) or None
