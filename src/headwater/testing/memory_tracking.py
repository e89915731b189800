"""Experiment tracking in memory, for tests and for projects that keep no registry."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from headwater.core.errors import UnknownName


@dataclass(frozen=True, slots=True)
class LoggedVersion:
    """One registered version and what was logged with it."""

    model: str
    version: str
    run: str
    parts: Mapping[str, Any]
    params: Mapping[str, Any]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]


@dataclass
class MemoryTracking:
    """A `headwater.core.ports.Tracking` that keeps everything in two dictionaries.

    Attributes:
        logged: Every version by (model, version).
        aliases: The version that (model, alias) means.
    """

    logged: dict[tuple[str, str], LoggedVersion] = field(default_factory=dict)
    aliases: dict[tuple[str, str], str] = field(default_factory=dict)

    def log_version(
        self,
        model: str,
        *,
        parts: Mapping[str, Any],
        params: Mapping[str, Any],
        metrics: Mapping[str, float],
        tags: Mapping[str, str],
        score: Callable[..., Any] | None = None,
    ) -> tuple[str, str]:
        """Log a training run and register a model version; return (version, tracking run id)."""
        version = str(1 + sum(1 for known, _ in self.logged if known == model))
        run = f"run-{len(self.logged) + 1}"
        logged = LoggedVersion(model, version, run, dict(parts), dict(params), dict(metrics), dict(tags))
        self.logged[(model, version)] = logged
        return version, run

    def versions(self, model: str) -> dict[str, str]:
        """Return the tracking run id of each registered version; empty for an unknown model."""
        return {version: logged.run for (name, version), logged in self.logged.items() if name == model}

    def set_alias(self, model: str, alias: str, version: str) -> None:
        """Point an alias at a version; raise `UnknownName` when there is no such version."""
        if (model, version) not in self.logged:
            known = [number for name, number in self.logged if name == model]
            raise UnknownName.of(f"version of model `{model}`", version, known)
        self.aliases[(model, alias)] = version

    def copy(self) -> MemoryTracking:
        """Return a registry that goes on from the same versions on its own."""
        return MemoryTracking(dict(self.logged), dict(self.aliases))
