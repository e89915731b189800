"""References: ``kind:namespace/name[@version]``."""

from __future__ import annotations

import re
from dataclasses import dataclass

from headwater.core.errors import UsageError

KINDS = ("dataset", "model", "deployment", "job", "run", "incident")
_PATTERN = re.compile(
    r"(?P<kind>[a-z]+):(?P<namespace>[A-Za-z0-9_.-]+)/(?P<name>[A-Za-z0-9_.-]+)(@(?P<version>[A-Za-z0-9_.:+-]+))?"
)
NAME = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Ref:
    """A name of one thing, e.g. ``model:nyc/delay@champion``.

    Example:
        >>> Ref.parse("model:nyc/delay@champion").version
        'champion'
        >>> str(Ref("dataset", "nyc", "weather"))
        'dataset:nyc/weather'
    """

    kind: str
    namespace: str
    name: str
    version: str | None = None

    def __str__(self) -> str:
        tail = f"@{self.version}" if self.version else ""
        return f"{self.kind}:{self.namespace}/{self.name}{tail}"

    @property
    def bare(self) -> Ref:
        """The same thing without its version."""
        return Ref(self.kind, self.namespace, self.name)

    @classmethod
    def parse(cls, text: str) -> Ref:
        """Read a reference; raise `UsageError` with an example when it is malformed."""
        match = _PATTERN.fullmatch(text.strip())
        if match is None or match["kind"] not in KINDS:
            raise UsageError(
                f"`{text}` is not a reference",
                hint=f"write kind:namespace/name[@version] with kind one of {', '.join(KINDS)}, "
                "e.g. model:nyc/delay@champion",
            )
        return cls(match["kind"], match["namespace"], match["name"], match["version"])
