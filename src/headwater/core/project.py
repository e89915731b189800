"""A project: plain functions put together into a pipeline, from source tables to a business metric.

The functions stay plain: a dataset's parameters are named like its parents (plus ``window`` if it wants it) and it
returns a frame. Each method works as a decorator and as a call on a function that exists already.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from typing import Any, Literal

from headwater.core.assets import Asset, Layer, Read
from headwater.core.errors import ProjectInvalid, UnknownName
from headwater.core.metrics import check_muted
from headwater.core.names import NAME, Ref
from headwater.core.watches import Watch
from headwater.core.windows import Calendar

Function = Callable[..., Any]
Task = Literal["binary", "regression", "ranking"]
ANSWERS: Mapping[str, tuple[str, ...]] = {
    "binary": ("p", "decision"),
    "regression": ("prediction",),
    "ranking": ("score",),
}
"""The columns that the score function returns, by task; the first is the number that is monitored."""


@dataclass(frozen=True, slots=True)
class Model:
    """A model of the project and the functions of its lifecycle.

    Attributes:
        name: Bare name, e.g. ``delay``.
        features: The asset with one row per entity to score.
        labels: The asset with one row per entity whose outcome is known.
        entity: The column that joins features, predictions and labels.
        outcome: The label column: 0 or 1; for regression any number, for ranking the relevance, 0 or more.
        columns: The feature columns, in the order the model wants them.
        train: ``train(frame, seed) -> {part: object}``; frame is features joined with labels. Parts can be anything
            picklable, typically scaler, model, calibrator and threshold.
        score: ``score(parts, served) -> frame`` with a row per row of ``served``, in the same order, and columns
            ``p`` (probability) and ``decision`` (0 or 1); for regression ``prediction``, and ``low`` and ``high`` if
            it says how sure it is; for ranking ``score``, higher is earlier.
        serve: ``serve(features) -> frame``: what the online store hands to the scorer; None: the features as they are.
        cost: ``cost(rows) -> series``: the business metric per row. ``rows`` has the prediction log's columns, the
            label's columns and nothing else; label columns other than the outcome are null where unknown.
        unit: What the cost is counted in.
        carry: Columns of the feature view that the prediction log keeps beside the features.
        task: What is predicted: ``binary``, ``regression`` or ``ranking``.
        query: For ranking: the column whose rows are ranked against each other.
        groups: Columns of the prediction log whose values are compared for fairness.
        latency: Column of the prediction log that holds how many milliseconds a prediction took; empty: none.
        interval: For regression: the share of outcomes that should lie between ``low`` and ``high``.
    """

    name: str
    features: str
    labels: str
    entity: str
    outcome: str
    columns: tuple[str, ...]
    train: Function
    score: Function
    serve: Function | None = None
    cost: Function | None = None
    unit: str = "cost"
    carry: tuple[str, ...] = ()
    task: Task = "binary"
    query: str = ""
    groups: tuple[str, ...] = ()
    latency: str = ""
    interval: float = 0.9

    def __post_init__(self) -> None:
        if self.task not in ANSWERS:
            raise ProjectInvalid(
                f"model `{self.name}` has the task `{self.task}`, which is not known", hint=f"take {', '.join(ANSWERS)}"
            )
        if (self.task == "ranking") != bool(self.query):
            wanted = "a ranking model needs" if self.task == "ranking" else "only a ranking model has"
            raise ProjectInvalid(
                f"model `{self.name}`: {wanted} a query column", hint="query='session_id' names what its rows belong to"
            )
        logged = {self.entity, *self.columns, *self.carry}
        if taken := sorted(logged & set(self.answers)):
            raise ProjectInvalid(
                f"model `{self.name}`: its prediction log would have two columns `{taken[0]}`",
                hint=f"rename the feature: what the model predicts is called {' and '.join(self.answers)}",
            )
        for what, names in (("query", (self.query,)), ("groups", self.groups)):
            for name in names:
                if name and name not in logged:
                    raise ProjectInvalid(
                        f"model `{self.name}`: `{name}` in `{what}` is no column of its prediction log",
                        hint=f"add it to carry=, or take one of {', '.join(sorted(logged))}",
                    )
        if not 0 < self.interval < 1:
            raise ProjectInvalid(f"model `{self.name}`: interval {self.interval} is not between 0 and 1")

    @property
    def answers(self) -> tuple[str, ...]:
        """The columns that the score function must return."""
        return ANSWERS[self.task]

    @property
    def predicted(self) -> str:
        """The column of the prediction log that holds the predicted number."""
        return self.answers[0]

    @property
    def served(self) -> str:
        """Name of the asset that holds the features as the server saw them."""
        return f"{self.name}_served"

    @property
    def predictions(self) -> str:
        """Name of the asset that holds the prediction log."""
        return f"{self.name}_predictions"


@dataclass
class Project:
    """A pipeline put together from plain functions.

    Args:
        name: Namespace of all names, e.g. ``nyc``.
        every: Length of a window, ``1d`` or ``1h``.
        timezone: IANA zone that days are cut in.
        holidays: Window keys (days) treated as a slot of their own by monitors, or the name of a public calendar,
            e.g. ``US-NY`` (with the extra ``holidays``).

    Example:
        >>> project = Project("shop")
        >>> @project.source(key=["id"])
        ... def raw_orders(window):
        ...     return None
        >>> @project.dataset(key=["id"])
        ... def orders(raw_orders):
        ...     return raw_orders
        >>> [asset.name for asset in project.ordered()]
        ['raw_orders', 'orders']
    """

    name: str
    every: str = "1d"
    timezone: str = "UTC"
    holidays: tuple[str, ...] | str = ()
    assets: dict[str, Asset] = field(default_factory=dict, init=False)
    functions: dict[str, Function] = field(default_factory=dict, init=False)
    models: dict[str, Model] = field(default_factory=dict, init=False)
    watches: dict[str, Watch] = field(default_factory=dict, init=False)
    muted: list[tuple[str, str]] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise ProjectInvalid(f"`{self.name}` cannot name a project", hint="use lower-case letters, digits and _")
        Calendar(self.every, self.timezone)

    @property
    def calendar(self) -> Calendar:
        """The calendar that cuts this project's time into windows."""
        return Calendar(self.every, self.timezone)

    def ref(self, name: str, kind: str = "dataset", version: str | None = None) -> str:
        """Write the full reference of a bare name."""
        return str(Ref(kind, self.name, name, version))

    def source(
        self,
        function: Function | None = None,
        *,
        name: str | None = None,
        key: Sequence[str] = (),
        time: str | None = None,
        lag: int = 0,
        snapshot: bool = False,
        side: Literal["data", "ml"] = "data",
        parents: Sequence[str] = (),
        layer: Layer = "raw",
    ) -> Any:
        """Add a source: ``function(window) -> frame`` lands one window (or a range) as it comes from outside.

        ``parents`` names the datasets that a job elsewhere makes it from: Headwater takes what the job wrote and knows
        the lineage, but cannot run it again, so the job is judged by what its tables look like.
        """

        def add(made: Function) -> Function:
            asset = Asset(
                name=name or _name_of(made),
                layer=layer,
                reads=tuple(Read(parent) for parent in parents),
                lag=lag,
                snapshot=snapshot,
                key=tuple(key),
                time=time,
                side=side,
                recomputable=False,
            )
            return self._add(asset, made)

        return add if function is None else add(function)

    def dataset(
        self,
        function: Function | None = None,
        *,
        name: str | None = None,
        parents: Sequence[str] | None = None,
        layer: Layer = "modeled",
        key: Sequence[str] = (),
        time: str | None = None,
        lag: int = 0,
        lookback: Mapping[str, int] | None = None,
        snapshot: bool = False,
        side: Literal["data", "ml"] | None = None,
    ) -> Any:
        """Add a dataset: a pure function of its parents' frames, over one window or a range of windows.

        Parents are the function's parameter names, or ``parents`` in parameter order when they differ. A parameter
        named ``window`` receives the window. ``lookback`` says how many windows before its own a dataset reads of a
        parent.
        """

        def add(made: Function) -> Function:
            named = list(parents) if parents is not None else _parents_of(made)
            back = dict(lookback or {})
            for extra in set(back) - set(named):
                raise UnknownName.of("parent", extra, named)
            asset = Asset(
                name=name or _name_of(made),
                layer=layer,
                reads=tuple(Read(parent, back.get(parent, 0)) for parent in named),
                lag=lag,
                snapshot=snapshot,
                key=tuple(key),
                time=time,
                side=side or ("ml" if layer in ("feature", "label") else "data"),
            )
            return self._add(asset, made)

        return add if function is None else add(function)

    def features(self, function: Function | None = None, **options: Any) -> Any:
        """Add a feature view: a dataset of the feature layer, one row per entity to score, owned by the ml side."""
        return self.dataset(function, layer="feature", **options)

    def labels(self, function: Function | None = None, **options: Any) -> Any:
        """Add a label build: a dataset of the label layer, owned by the ml side; ``lag`` says how late it comes."""
        return self.dataset(function, layer="label", **options)

    def model(
        self,
        name: str,
        *,
        features: str,
        labels: str,
        entity: str,
        outcome: str,
        columns: Sequence[str],
        train: Function,
        score: Function,
        serve: Function | None = None,
        cost: Function | None = None,
        unit: str = "cost",
        carry: Sequence[str] = (),
        task: Task = "binary",
        query: str = "",
        groups: Sequence[str] = (),
        latency: str = "",
        interval: float = 0.9,
    ) -> Model:
        """Add a model on top of a feature view and a label build.

        ``carry`` names columns of the feature view that the prediction log keeps beside the features, e.g. what the
        business metric needs. See `Model` for the rest.
        """
        for asset in (features, labels):
            if asset not in self.assets:
                raise UnknownName.of("dataset", asset, self.assets)
        model = Model(
            name=name,
            features=features,
            labels=labels,
            entity=entity,
            outcome=outcome,
            columns=tuple(columns),
            train=train,
            score=score,
            serve=serve,
            cost=cost,
            unit=unit,
            carry=tuple(carry),
            task=task,
            query=query,
            groups=tuple(groups),
            latency=latency,
            interval=interval,
        )
        if not NAME.fullmatch(name) or name in self.models:
            raise ProjectInvalid(f"model `{name}` is there already or cannot be a name")
        self.models[name] = model
        view = self.assets[features]
        common: dict[str, Any] = {"key": (entity,), "lag": view.lag, "side": "ml"}
        self.assets[model.served] = Asset(name=model.served, layer="served", reads=(Read(features),), **common)
        self.assets[model.predictions] = Asset(
            name=model.predictions, layer="prediction", reads=(Read(model.served),), **common
        )
        self.functions[model.served] = serve or _as_they_are
        self.functions[model.predictions] = score
        return model

    def monitor(
        self,
        dataset: str,
        measure: Function | None = None,
        *,
        metric: str = "",
        name: str | None = None,
        by: str = "",
        low: float | None = None,
        high: float | None = None,
        limit: float = 2.0,
        severity: Literal["alarm", "notice"] = "notice",
    ) -> Any:
        """Watch a number of a dataset beside what is watched anyway.

        Either a metric of its profile, ``project.monitor("orders", metric="null_share.email", high=0.02)``, or, as a
        decorator, a function of a window's rows. See `Watch` for the rest.
        """
        if dataset not in self.assets:
            raise UnknownName.of("dataset", dataset, self.assets)

        def add(made: Function | None) -> Any:
            called = name or (_name_of(made) if made else f"{dataset}_{re.sub('[^a-z0-9]+', '_', metric.lower())}")
            if called in self.watches:
                raise ProjectInvalid(f"monitor `{called}` is defined twice", hint="give one of them name=")
            self.watches[called] = Watch(called, dataset, made, metric, by, low, high, limit, severity)
            return made

        return add(measure) if metric or measure is not None else add

    def mute(self, dataset: str, *metrics: str) -> None:
        """Stop findings on metrics of a dataset: names as in findings, with ``*`` for any, e.g. ``*.updated_at``."""
        if dataset not in self.assets:
            raise UnknownName.of("dataset", dataset, self.assets)
        for metric in metrics:
            check_muted(metric)
        self.muted += [(dataset, metric) for metric in metrics]

    def replace(self, name: str, function: Function) -> None:
        """Deploy new code for an asset: a changed feed for a source, a changed function for anything else.

        For ``<model>_served`` it is the online path, for ``<model>_predictions`` the scoring code.
        """
        if name not in self.assets:
            raise UnknownName.of("dataset", name, self.assets)
        self.functions[name] = function

    def ordered(self) -> list[Asset]:
        """Return the assets in an order in which parents come first; raise `ProjectInvalid` if that is impossible."""
        for asset in self.assets.values():
            for read in asset.reads:
                parent = self.assets.get(read.parent)
                if parent is None:
                    raise ProjectInvalid(
                        f"dataset `{asset.name}` reads `{read.parent}`, which does not exist",
                        hint=UnknownName.of("dataset", read.parent, self.assets).hint,
                    )
                if parent.lag > asset.lag + read.lookback and not parent.snapshot:
                    raise ProjectInvalid(
                        f"dataset `{asset.name}` reads `{read.parent}`, which comes {parent.lag} windows late",
                        hint=f"give it lookback={{'{read.parent}': {parent.lag - asset.lag}}} or more, or a lag",
                    )
        try:
            order = list(TopologicalSorter({name: asset.parents for name, asset in self.assets.items()}).static_order())
        except CycleError as error:
            raise ProjectInvalid(f"datasets read each other in a circle: {' -> '.join(error.args[1])}") from error
        rank = {name: index for index, name in enumerate(self.assets)}
        depth: dict[str, int] = {}
        for name in order:
            depth[name] = 1 + max((depth[parent] for parent in self.assets[name].parents), default=0)
        return sorted(self.assets.values(), key=lambda asset: (depth[asset.name], rank[asset.name]))

    def _add(self, asset: Asset, function: Function) -> Function:
        if not NAME.fullmatch(asset.name):
            raise ProjectInvalid(f"`{asset.name}` cannot name a dataset", hint="use lower-case letters, digits and _")
        if asset.name in self.assets:
            raise ProjectInvalid(f"dataset `{asset.name}` is defined twice")
        self.assets[asset.name] = asset
        self.functions[asset.name] = function
        return function


def arguments(function: Function, frames: Mapping[str, Any], parents: Sequence[str], window: Any) -> list[Any]:
    """Put a dataset function's arguments in the order its parameters ask for."""
    given = iter(parents)
    return [window if name == "window" else frames[next(given)] for name in inspect.signature(function).parameters]


def _as_they_are(features: Any) -> Any:
    return features


def _name_of(function: Function) -> str:
    return str(getattr(function, "__name__", "")).strip("_") or "unnamed"


def _parents_of(function: Function) -> list[str]:
    return [name for name in inspect.signature(function).parameters if name != "window"]
