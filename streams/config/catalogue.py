"""The configuration types of the detectors that this program has, by detector name."""

from __future__ import annotations

from typing import Any

from detectors.contract import registry


def config_types() -> dict[str, type[Any]]:
    """Return each detector's frozen configuration by the detector's name: what `[detectors.NAME]` is read into."""
    return {name: detector.Config for name, detector in registry().items()}
