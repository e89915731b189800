"""What every tracking must do: MLflow and the fake alike."""

from collections.abc import Callable, Iterator

import pytest

from headwater.adapters.mlflow_tracking import MlflowTracking
from headwater.core.errors import UnknownName
from headwater.core.ports import Tracking
from headwater.testing.memory_tracking import MemoryTracking

Resolve = Callable[[str, str], str]


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> MlflowTracking:
    return MlflowTracking(tmp_path_factory.mktemp("tracking"))


@pytest.fixture(params=["memory", "mlflow"])
def tracked(request: pytest.FixtureRequest, embedded: MlflowTracking) -> Iterator[tuple[Tracking, Resolve, str]]:
    """A tracking, how to look an alias up in it, and a model name of this test's own."""
    model = f"nyc/{request.node.originalname}"
    if request.param == "memory":
        memory = MemoryTracking()
        yield memory, lambda name, alias: memory.aliases[(name, alias)], model
        return

    def resolve(name: str, alias: str) -> str:
        from mlflow import MlflowClient

        found = MlflowClient(embedded.uri).get_model_version_by_alias(name.replace("/", "."), alias)
        return str(found.version)

    yield embedded, resolve, model


def log(tracking: Tracking, model: str, **given: object) -> tuple[str, str]:
    values = {"parts": {"threshold": 0.3}, "params": {"seed": 1}, "metrics": {"auc": 0.7}, "tags": {"code": "c1"}}
    return tracking.log_version(model, **{**values, **given})  # type: ignore[arg-type]


def test_versions_count_up_per_model(tracked: tuple[Tracking, Resolve, str]) -> None:
    tracking, _, model = tracked
    assert [log(tracking, model)[0], log(tracking, model)[0]] == ["1", "2"]
    assert log(tracking, f"{model}_other")[0] == "1"


def test_each_version_has_a_run_of_its_own(tracked: tuple[Tracking, Resolve, str]) -> None:
    tracking, _, model = tracked
    assert log(tracking, model)[1] != log(tracking, model)[1]


def test_an_alias_moves_and_moves_back(tracked: tuple[Tracking, Resolve, str]) -> None:
    tracking, resolve, model = tracked
    for _ in range(2):
        log(tracking, model)
    for version in ("1", "2", "1"):
        tracking.set_alias(model, "champion", version)
        assert resolve(model, "champion") == version


def test_aliases_do_not_disturb_each_other(tracked: tuple[Tracking, Resolve, str]) -> None:
    tracking, resolve, model = tracked
    for _ in range(2):
        log(tracking, model)
    tracking.set_alias(model, "champion", "1")
    tracking.set_alias(model, "challenger", "2")
    assert (resolve(model, "champion"), resolve(model, "challenger")) == ("1", "2")


def test_an_alias_to_nowhere_is_refused(tracked: tuple[Tracking, Resolve, str]) -> None:
    tracking, resolve, model = tracked
    log(tracking, model)
    tracking.set_alias(model, "champion", "1")
    with pytest.raises(UnknownName, match="version of model"):
        tracking.set_alias(model, "champion", "7")
    assert resolve(model, "champion") == "1"


def test_many_and_odd_parameters_are_taken(tracked: tuple[Tracking, Resolve, str]) -> None:
    tracking, _, model = tracked
    params = {f"model.p{number}": number for number in range(150)} | {"a (b) [c]": "x" * 20_000, "none": None}
    metrics = {f"m{number}": number / 7 for number in range(150)} | {"nan": float("nan")}
    assert log(tracking, model, params=params, metrics=metrics, tags={"windows": "a..b"})[0] == "1"


def test_the_versions_that_are_there_are_told_with_their_runs(tracked: tuple[Tracking, Resolve, str]) -> None:
    tracking, _, model = tracked
    assert tracking.versions(model) == {}
    made = dict(log(tracking, model) for _ in range(2))
    log(tracking, f"{model}_other")
    assert tracking.versions(model) == made and list(made) == ["1", "2"]
