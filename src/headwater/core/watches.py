"""What a project declares to be watched beside what is watched anyway."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from headwater.core.errors import ProjectInvalid
from headwater.core.metrics import check_watched
from headwater.core.names import NAME

Measure = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Watch:
    """A number of a dataset's windows that a project wants watched, and when it is a finding.

    With ``low`` or ``high`` it is a finding beyond them; without, when it leaves the band of its own history
    ``limit`` times over.

    Attributes:
        name: Names it in findings.
        dataset: The asset.
        measure: ``measure(frame) -> number`` over a window's rows; None when ``metric`` is given.
        metric: A metric of the profile, e.g. ``null_share.amount``; empty when ``measure`` is given.
        by: A column; every value of it is watched for itself.
        low: Smallest value that is in order.
        high: Largest value that is in order.
        limit: How many bands away from the expected level a value may be.
        severity: What a finding is: ``alarm`` opens an incident, ``notice`` is drawn and kept.
    """

    name: str
    dataset: str
    measure: Measure | None = None
    metric: str = ""
    by: str = ""
    low: float | None = None
    high: float | None = None
    limit: float = 2.0
    severity: Literal["alarm", "notice"] = "notice"

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise ProjectInvalid(f"`{self.name}` cannot name a monitor", hint="use lower-case letters, digits and _")
        if (self.measure is None) == (not self.metric):
            raise ProjectInvalid(
                f"monitor `{self.name}` needs a function or a metric, and not both",
                hint="for example metric='null_share.amount'",
            )
        if self.metric:
            check_watched(self.metric)
        if self.severity not in ("alarm", "notice"):
            raise ProjectInvalid(f"monitor `{self.name}` has severity `{self.severity}`", hint="`alarm` or `notice`")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ProjectInvalid(f"monitor `{self.name}`: low {self.low} is above high {self.high}")
        if not self.limit > 0:
            raise ProjectInvalid(f"monitor `{self.name}`: limit {self.limit} is not above 0")
