"""Follow a silent failure upstream: from a bad decision to the asset that failed and the side that owns it.

The names below are loaded when they are first used, so that ``import headwater`` stays cheap.

Example:
    >>> import headwater
    >>> headwater.Project("shop").name
    'shop'
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from headwater.app.comparison import Comparison, compare
    from headwater.app.profiles import Profile, profile, profile_by
    from headwater.app.workspace import Workspace
    from headwater.core.project import Project
    from headwater.core.windows import Window

__version__ = "0.1.0"
__all__ = ["Comparison", "Profile", "Project", "Window", "Workspace", "__version__", "compare", "profile", "profile_by"]

_HOMES = {
    "Comparison": "headwater.app.comparison",
    "Profile": "headwater.app.profiles",
    "Project": "headwater.core.project",
    "Window": "headwater.core.windows",
    "Workspace": "headwater.app.workspace",
    "compare": "headwater.app.comparison",
    "profile": "headwater.app.profiles",
    "profile_by": "headwater.app.profiles",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module `headwater` has no attribute `{name}`")


def __dir__() -> list[str]:
    return sorted(__all__)
