import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from lightgbm import LGBMClassifier
from sklearn.isotonic import IsotonicRegression

from headwater.adapters.mlflow_tracking import MlflowTracking
from headwater.core.errors import MissingExtra, ModelError, StorageError

COLUMNS = ["a", "b"]


def score(parts, served):
    p = parts["model"].predict_proba(served.select(COLUMNS).to_numpy())[:, 1]
    p = parts["calibrator"].predict(p)
    return pl.DataFrame({"p": p, "decision": (p > parts["threshold"]).astype(int)})


@pytest.fixture(scope="module")
def parts():
    random = np.random.default_rng(3)
    rows = random.normal(size=(600, 2))
    outcome = (random.random(600) < 1 / (1 + np.exp(-2 * rows[:, 0]))).astype(int)
    model = LGBMClassifier(n_estimators=10, verbose=-1, n_jobs=1, random_state=1).fit(rows, outcome)
    calibrator = IsotonicRegression(out_of_bounds="clip").fit(model.predict_proba(rows)[:, 1], outcome)
    return {"model": model, "calibrator": calibrator, "threshold": 0.4}


@pytest.fixture(scope="module")
def logged(tmp_path_factory, parts):
    folder = tmp_path_factory.mktemp("mlflow")
    tracking = MlflowTracking(folder)
    _, run = tracking.log_version(
        "nyc/delay",
        parts=parts,
        params={"seed": 7, "long": "x" * 9000},
        metrics={"auc": 0.71},
        tags={"code": "c1"},
        score=score,
    )
    tracking.set_alias("nyc/delay", "champion", "1")
    return folder, tracking, run


def test_a_plain_client_loads_and_scores_the_champion_without_headwater(logged, parts, tmp_path):
    """In a process that can neither import headwater nor this file."""
    _, tracking, _ = logged
    frame = pl.DataFrame({"a": [0.5, -1.0, 2.0], "b": [0.0, 1.0, 2.0]})
    expected = score(parts, frame)["p"].to_list()
    program = (
        "import mlflow, pandas, sys\n"
        f"mlflow.set_tracking_uri({tracking.uri!r})\n"
        "model = mlflow.pyfunc.load_model('models:/nyc.delay@champion')\n"
        "found = model.predict(pandas.DataFrame({'a': [0.5, -1.0, 2.0], 'b': [0.0, 1.0, 2.0]}))\n"
        "assert 'headwater' not in sys.modules\n"
        "print('p', *found['p'])\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", program], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert done.returncode == 0, done.stderr
    line = next(line for line in done.stdout.splitlines() if line.startswith("p "))
    assert [float(text) for text in line.split()[1:]] == pytest.approx(expected)


def test_a_plain_client_finds_params_metrics_tags_and_parts(logged):
    import pickle

    from mlflow import MlflowClient

    folder, tracking, run = logged
    client = MlflowClient(tracking.uri)
    data = client.get_run(run).data
    assert data.params["seed"] == "7"
    assert data.metrics == {"auc": 0.71}
    assert data.tags["code"] == "c1"
    assert client.get_run(run).info.status == "FINISHED"
    path = folder / "artifacts" / run / "artifacts" / "model" / "parts" / "threshold.pkl"
    assert pickle.loads(path.read_bytes()) == 0.4


def test_it_says_nothing(tmp_path):
    program = (
        "from pathlib import Path\n"
        "from headwater.adapters.mlflow_tracking import MlflowTracking\n"
        f"tracking = MlflowTracking(Path({str(tmp_path)!r}))\n"
        "tracking.log_version('nyc/delay', parts={'t': 1}, params={}, metrics={}, tags={}, score=print)\n"
    )
    source = str(Path(__file__).parents[3] / "src")
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env={"PYTHONPATH": source}, check=True
    )
    assert (done.stdout, done.stderr) == ("", "")


def test_without_a_score_function_only_artifacts_are_logged(logged, parts):
    folder, tracking, _ = logged
    _, run = tracking.log_version("nyc/other", parts=parts, params={}, metrics={}, tags={})
    stored = folder / "artifacts" / run / "artifacts" / "model"
    assert {path.name for path in stored.iterdir()} == {"parts", "requirements.txt"}
    assert {path.name for path in (stored / "parts").iterdir()} == {"model.pkl", "calibrator.pkl", "threshold.pkl"}


def test_a_failed_version_is_marked_failed_and_not_registered(logged):
    from mlflow import MlflowClient

    _, tracking, _ = logged
    with pytest.raises(ModelError, match="part `lock`"):
        tracking.log_version(
            "nyc/broken", parts={"lock": __import__("threading").Lock()}, params={}, metrics={}, tags={}
        )
    client = MlflowClient(tracking.uri)
    experiment = client.get_experiment_by_name("nyc.broken")
    assert [run.info.status for run in client.search_runs([experiment.experiment_id])] == ["FAILED"]
    assert not client.search_model_versions("name='nyc.broken'")


def test_a_folder_that_cannot_be_made_is_a_storage_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError):
        MlflowTracking(tmp_path / "file" / "mlflow").set_alias("nyc/delay", "champion", "1")


def test_a_database_that_is_none_is_a_storage_error(tmp_path):
    (tmp_path / "mlflow.db").write_bytes(b"not a database at all" * 100)
    with pytest.raises(StorageError, match="MLflow"):
        MlflowTracking(tmp_path).set_alias("nyc/delay", "champion", "1")


def test_a_missing_package_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(MissingExtra) as caught:
        MlflowTracking(tmp_path).set_alias("nyc/delay", "champion", "1")
    assert "headwater[mlflow]" in str(caught.value)
