"""The benchmarks are no package of the product: their folder is put on the path for these tests."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[3] / "benchmarks"))
