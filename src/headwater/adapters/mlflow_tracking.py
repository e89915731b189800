"""Experiment tracking and model registry on MLflow, embedded: a SQLite file and a folder of artifacts."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from importlib import metadata
from itertools import islice
from pathlib import Path
from typing import Any

from headwater.core.errors import HeadwaterError, MissingExtra, ModelError, StorageError, UnknownName

_BATCH = 100
_MAX_NAME, _MAX_VALUE = 250, 5000
_LIBRARIES = ("polars", "numpy", "lightgbm", "scikit-learn", "xgboost", "cloudpickle", "pandas")


class MlflowTracking:
    """MLflow's client on ``mlflow.db`` in a folder, with artifacts beside it.

    MLflow is slow to come up (about 2 s of CPU to import, 2 s more to create a database, 1.3 s to open one; then a
    version costs some 0.1 s), so it is imported by the first call. MLflow's names allow no ``/``: model ``nyc/delay``
    is ``nyc.delay`` there.

    Each part of a version is an artifact ``model/parts/<name>.pkl`` that ``pickle.load`` reads. With ``score``, the
    version is also a model in MLflow's sense: ``mlflow.pyfunc.load_model("models:/nyc.delay@champion").predict(frame)``
    returns ``p`` and ``decision`` wherever mlflow and the model's libraries are installed; Headwater need not be.
    Artifact locations are absolute in MLflow's database: a moved workspace keeps its history, not its artifacts.

    Args:
        folder: Where ``mlflow.db`` and ``artifacts`` live; made on first use.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        self._client: Any = None

    @property
    def uri(self) -> str:
        """The tracking address to give to an mlflow client or ``mlflow ui --backend-store-uri``."""
        return f"sqlite:///{(self.folder / 'mlflow.db').resolve()}"

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
        """Log a training run and register a model version; return (version, tracking run id).

        Args:
            model: Namespace and name, e.g. ``nyc/delay``.
            parts: The trained parts by name.
            params: What it was trained with. MLflow keeps text: long values are cut.
            metrics: What was measured.
            tags: Anything else, e.g. the code hash.
            score: The project's score function, to make the version loadable by mlflow alone.

        Raises:
            MissingExtra: mlflow is not installed.
            ModelError: a part cannot be pickled.
            StorageError: MLflow's database or the artifact folder cannot be written.
        """
        name = _name(model)
        with self._connected(f"logging a version of `{model}`") as client:
            run = client.create_run(self._experiment(client, name), run_name=name)
            try:
                _log(client, run.info, params, metrics, {"headwater.model": model, **tags})
                with tempfile.TemporaryDirectory() as folder:
                    _write_model(Path(folder), parts, score, run.info)
                    client.log_artifacts(run.info.run_id, folder, "model")
                if not client.search_registered_models(f"name='{name}'"):
                    client.create_registered_model(name)
                source = f"{run.info.artifact_uri}/model"
                made = client.create_model_version(name, source, run.info.run_id, tags={"headwater.model": model})
            except BaseException:
                client.set_terminated(run.info.run_id, "FAILED")
                raise
            client.set_terminated(run.info.run_id)
            return str(made.version), str(run.info.run_id)

    def versions(self, model: str) -> dict[str, str]:
        """Return the tracking run id of each registered version; empty for an unknown model.

        A database that is not there is not made by asking.

        Raises:
            StorageError: MLflow's database cannot be read.
        """
        if not (self.folder / "mlflow.db").exists():
            return {}
        with self._connected(f"listing the versions of `{model}`") as client:
            found: dict[str, str] = {}
            token: str | None = None
            while True:
                page = client.search_model_versions(f"name='{_name(model)}'", max_results=1000, page_token=token)
                found |= {str(item.version): str(item.run_id) for item in page}
                token = page.token
                if not token:
                    return found

    def set_alias(self, model: str, alias: str, version: str) -> None:
        """Point an alias at a version.

        Raises:
            UnknownName: MLflow has no such model version.
        """
        with self._connected(f"pointing `{model}@{alias}` at version {version}") as client:
            from mlflow.exceptions import MlflowException

            try:
                client.set_registered_model_alias(_name(model), alias, version)
            except MlflowException as error:
                if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                    raise
                there = client.search_model_versions(f"name='{_name(model)}'")
                known = [str(item.version) for item in there]
                raise UnknownName.of(f"version of model `{model}`", version, known) from error

    def _experiment(self, client: Any, name: str) -> str:
        found = client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        return str(client.create_experiment(name, artifact_location=(self.folder / "artifacts").resolve().as_uri()))

    @contextlib.contextmanager
    def _connected(self, doing: str) -> Iterator[Any]:
        """Yield MLflow's client, silent, and translate its errors."""
        # read by mlflow when it is imported
        for name, value in (
            ("MLFLOW_DISABLE_TELEMETRY", "true"),
            ("DO_NOT_TRACK", "true"),
            ("GIT_PYTHON_REFRESH", "0"),
        ):
            os.environ.setdefault(name, value)
        try:
            import mlflow
            import sqlalchemy
            from mlflow.exceptions import MlflowException
        except ModuleNotFoundError as error:
            raise MissingExtra.of("mlflow-skinny", "mlflow") from error
        try:
            with _silence():
                if self._client is None:
                    self.folder.mkdir(parents=True, exist_ok=True)
                    self._client = mlflow.MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)
                yield self._client
        except HeadwaterError:
            raise
        except (MlflowException, sqlalchemy.exc.SQLAlchemyError, OSError) as error:
            raise StorageError(
                f"MLflow cannot do this: {str(error).splitlines()[0]}",
                doing=doing,
                hint=f"check that {self.folder} is writable, has room, and was made by this or an older mlflow",
            ) from error


def _name(model: str) -> str:
    return model.replace("/", ".")


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Keep mlflow's and alembic's log lines and warnings off the screen while they work for us."""
    loggers = [logging.getLogger(name) for name in ("mlflow", "alembic")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings(record=True):  # mlflow sets filters of its own, so filters alone do not help
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


def _log(
    client: Any, run: Any, params: Mapping[str, Any], metrics: Mapping[str, float], tags: Mapping[str, str]
) -> None:
    from mlflow.entities import Metric, Param, RunTag

    texts = {_key(name): str(value)[:_MAX_VALUE] for name, value in params.items()}
    numbers = [Metric(_key(name), float(value), run.start_time, 0) for name, value in metrics.items()]
    marks = [RunTag(_key(name), str(value)[:_MAX_VALUE]) for name, value in tags.items()]
    for batch in _batches([Param(name, value) for name, value in texts.items()]):
        client.log_batch(run.run_id, params=batch)
    for batch in _batches(marks):
        client.log_batch(run.run_id, tags=batch)
    for batch in _batches(numbers):
        client.log_batch(run.run_id, metrics=batch)


def _batches(items: list[Any]) -> Iterator[list[Any]]:
    rest = iter(items)
    while batch := list(islice(rest, _BATCH)):
        yield batch


def _key(name: str) -> str:
    return re.sub(r"[^\w\-. :/]", "_", name)[:_MAX_NAME]


def _write_model(folder: Path, parts: Mapping[str, Any], score: Callable[..., Any] | None, run: Any) -> None:
    (folder / "parts").mkdir()
    for name, part in parts.items():
        (folder / "parts" / f"{_key(name).replace('/', '_')}.pkl").write_bytes(_pickle(f"part `{name}`", part))
    needed = [f"{name}=={version}" for name in ("mlflow-skinny", *_LIBRARIES) if (version := _installed(name))]
    (folder / "requirements.txt").write_text("\n".join(needed) + "\n")
    if score is None:
        return
    python = f"{sys.version_info.major}.{sys.version_info.minor}.{sys.version_info.micro}"
    (folder / "python_model.pkl").write_bytes(_pickle("score function", _scorer(score, dict(parts))))
    (folder / "python_env.yaml").write_text(
        f"python: '{python}'\nbuild_dependencies: [pip]\ndependencies: ['-r requirements.txt']\n"
    )
    flavor = {
        "loader_module": "mlflow.pyfunc.model",
        "python_model": "python_model.pkl",
        "python_version": python,
        "cloudpickle_version": _installed("cloudpickle"),
        "env": {"virtualenv": "python_env.yaml"},
        "code": None,
    }
    described = {"run_id": run.run_id, "artifact_path": "model", "flavors": {"python_function": flavor}}
    (folder / "MLmodel").write_text(json.dumps(described, indent=2) + "\n")  # JSON is YAML


def _scorer(score: Callable[..., Any], parts: Mapping[str, Any]) -> Any:
    """Make MLflow's kind of model. The class is local so that it is pickled by value and loads without Headwater."""
    from mlflow.pyfunc import PythonModel

    class Scorer(PythonModel):
        def __init__(self, parts: Any, score: Any) -> None:
            self.parts = parts
            self.score = score

        def predict(self, context, model_input, params=None):
            import pandas
            import polars

            if isinstance(model_input, polars.DataFrame):
                return self.score(self.parts, model_input)
            whole = model_input.astype(object).where(model_input.notna(), None)  # needs no pyarrow
            served = polars.DataFrame({name: whole[name].tolist() for name in whole.columns})
            return pandas.DataFrame(self.score(self.parts, served).to_dict(as_series=False))

    return Scorer(dict(parts), score)


def _pickle(what: str, value: Any) -> bytes:
    from headwater.adapters.by_value import dump_plain
    from headwater.adapters.fingerprint import Fingerprint

    fingerprint = Fingerprint()
    try:
        return dump_plain(value, fingerprint, fingerprint.of(value)[1])
    except Exception as error:
        raise ModelError(f"{what} cannot be pickled: {type(error).__name__}: {error}") from error


def _installed(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""
