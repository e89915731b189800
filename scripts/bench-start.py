"""Measure the CPU time of `import headwater` and `headwater --help`, each as a fresh process, and print the median."""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys

CEILINGS = {
    "import headwater": (["-c", "import headwater"], 0.120),
    "headwater --help": (["-m", "headwater", "--help"], 0.250),
}


def cpu(arguments: list[str]) -> float:
    """Return the user and system seconds that one fresh interpreter spends on ``arguments``."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime)


def main() -> int:
    """Print one line per start-up path and return 1 when a ceiling is passed."""
    late = 0
    for name, (arguments, ceiling) in CEILINGS.items():
        cpu(arguments)
        times = [cpu(arguments) for _ in range(9)]
        median = statistics.median(times)
        late += median > ceiling
        print(f"{name:20} {median * 1000:6.0f} ms CPU (ceiling {ceiling * 1000:.0f}, worst {max(times) * 1000:.0f})")
    return 1 if late else 0


if __name__ == "__main__":
    sys.exit(main())
