"""Recorded scenes, one by one, and what each takes a tool; runs in the tools' environments."""

import json
import sys
import time
import warnings
from pathlib import Path

import pandas as pd


class Scene:
    """A case as it was recorded; see `recording`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.told = json.loads((folder / "scene.json").read_text())

    def table(self, name: str) -> pd.DataFrame | None:
        """Read one of its tables; None when there is none."""
        path = self.folder / f"{name}.parquet"
        return pd.read_parquet(path) if path.exists() else None


def main(rank) -> None:
    """Rank every scene whose folder is in a list; write by case who is suspected, and seconds of processor time.

    python SCRIPT LIST.json ANSWER.json
    """
    warnings.filterwarnings("ignore")
    asked, answered = map(Path, sys.argv[1:])
    folders, answer = json.loads(asked.read_text()), {}
    for folder in folders:
        scene = Scene(Path(folder))
        began, failed = time.process_time(), ""
        try:
            ranked = list(dict.fromkeys(rank(scene)))
        except Exception as error:  # a tool that breaks on a case has named nobody
            ranked, failed = [], f"{type(error).__name__}: {error}"[:300]
        answer[scene.told["case"]] = {"ranked": ranked, "seconds": time.process_time() - began, "failed": failed}
        # after each, and whole: a tool that is stopped keeps what it ranked
        whole = answered.with_suffix(".part")
        whole.write_text(json.dumps(answer))
        whole.replace(answered)
