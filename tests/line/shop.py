"""The web shop, lived hour by hour through the public calls of a workspace."""

from __future__ import annotations

import os
import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

from headwater.app.workspace import Workspace
from headwater.core.clock import SimulatedClock
from headwater.testing import webshop

SEED = 5
HISTORY = "2024-01-05T00", "2024-01-11T16"
FIRST = "2024-01-11T17"
"""A Thursday evening; the promotion, which history has never seen, is on Friday evening."""
CALENDAR = webshop.CALENDAR


class Live:
    """A workspace of the shop that stands before its next hour."""

    def __init__(self, folder: Path, hour: str) -> None:
        self.folder = folder
        self.project = webshop.build(SEED)
        self.hour = CALENDAR.window(hour)
        self.clock = SimulatedClock(self.hour.start)
        self.workspace = Workspace.of(self.project, folder, self.clock)

    def run(self) -> dict[str, Any]:
        """Live through one hour; its run begins five minutes after it ended."""
        self.clock.move_to(self.hour.end + timedelta(minutes=5))
        report = self.workspace.run(self.hour.key)
        self.hour = CALENDAR.shift(self.hour, 1)
        return report

    def copy(self, folder: Path) -> Live:
        """Go on in a copy of the folder, as another process would."""
        shutil.copytree(self.folder, folder, copy_function=_link)
        return Live(folder, self.hour.key)


def begin(folder: Path) -> Live:
    """Deliver the history, train and release the first model, and live through one hour."""
    live = Live(folder, FIRST)
    live.workspace.run_range(*HISTORY)
    trained = live.workspace.train()
    live.workspace.release(trained["version"], by="milo")
    report = live.run()
    assert report["accepted"], report["alarms"]
    return live


def _link(source: str, target: str) -> None:
    """Files of tables, code and parts never change, so a link is a copy; databases are written in place."""
    if ".db" in Path(source).name:
        shutil.copy2(source, target)
    else:
        os.link(source, target)
