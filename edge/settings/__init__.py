"""The settings: YAML, environment and flags become one frozen, validated object.

``load`` returns Settings, or raises SettingsError with every problem and its file, line
and key. Only ``edge.wiring``, ``edge.origin`` and ``edge.cli`` import this package.
"""

from edge.settings.layers import CONFIG_VARIABLE, Flag
from edge.settings.load import load, load_admin, log_format
from edge.settings.problems import Problem, SettingsError, SourceLocation
from edge.settings.schema import (
    AdminSettings,
    CacheSettings,
    LimitSettings,
    LiveSettings,
    LogFormat,
    LogLevel,
    LogSettings,
    OriginSettings,
    RecycleSettings,
    RouteSettings,
    Settings,
    ShutdownSettings,
)

__all__ = [
    "CONFIG_VARIABLE",
    "AdminSettings",
    "CacheSettings",
    "Flag",
    "LimitSettings",
    "LiveSettings",
    "LogFormat",
    "LogLevel",
    "LogSettings",
    "OriginSettings",
    "Problem",
    "RecycleSettings",
    "RouteSettings",
    "Settings",
    "SettingsError",
    "ShutdownSettings",
    "SourceLocation",
    "load",
    "load_admin",
    "log_format",
]
