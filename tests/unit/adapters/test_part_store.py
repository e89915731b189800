import json
import math
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from lightgbm import LGBMClassifier
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.isotonic import IsotonicRegression
from sklearn.preprocessing import StandardScaler

from headwater.adapters.part_store import FilePartStore
from headwater.core.errors import CorruptTable, ModelError, StorageError

SOURCE = str(Path(__file__).parents[3] / "src")


@pytest.fixture
def store(tmp_path):
    return FilePartStore(tmp_path / "parts")


def data(seed=0):
    random = np.random.default_rng(seed)
    rows = random.normal(size=(300, 3))
    return rows, (random.random(300) < 1 / (1 + np.exp(-rows[:, 0]))).astype(int)


def fitted(seed=0):
    rows, outcome = data()
    trees = {"n_estimators": 5, "verbose": -1, "n_jobs": 1, "subsample": 0.5, "subsample_freq": 1}
    return {
        "lightgbm": LGBMClassifier(random_state=seed, **trees).fit(rows, outcome),
        "forest": RandomForestClassifier(4, random_state=seed).fit(rows, outcome),
        "boosting": HistGradientBoostingClassifier(max_iter=3, random_state=seed).fit(rows, outcome),
    }


class Clip:
    """A part of the project's own kind."""

    def __init__(self, low):
        self.low = low

    def predict(self, p):
        return np.maximum(p, self.low)


@pytest.mark.parametrize("part", [None, True, 3, 0.25, -0.0, 1e-300, "text", "", "ü\n"])
def test_plain_values_come_back_as_they_are(store, part):
    back = store.load(store.put(part))
    assert (back, type(back)) == (part, type(part))


def test_plain_values_differ_by_type(store):
    assert len({store.put(part) for part in (1, 1.0, True, "1", None)}) == 5
    assert math.isnan(store.load(store.put(float("nan"))))


def test_a_numpy_scalar_is_the_number_it_holds(store):
    assert store.put(np.float64(0.25)) == store.put(0.25)


def test_models_score_as_before_and_keep_their_hash(store):
    rows, outcome = data()
    for model in fitted().values():
        part = store.put(model)
        again = store.load(part)
        assert np.array_equal(again.predict_proba(rows), model.predict_proba(rows))
        assert store.put(model) == store.put(again) == FilePartStore(store.folder).put(again) == part
    for part in (StandardScaler().fit(rows), IsotonicRegression().fit(rows[:, 0], outcome)):
        assert store.put(store.load(store.put(part))) == store.put(part)


def test_another_seed_is_another_part_and_the_same_seed_is_not(store):
    for one, same in zip(fitted(1).values(), fitted(1).values(), strict=True):
        assert store.put(one) == store.put(same)
    assert store.put(fitted(1)["forest"]) != store.put(fitted(2)["forest"])
    assert store.put(fitted(1)["lightgbm"]) != store.put(fitted(2)["lightgbm"])


def test_a_part_of_the_projects_own_class_loads_where_the_class_is_not(store, tmp_path):
    part = store.put(Clip(0.2))
    program = (
        "from pathlib import Path\nimport json\nfrom headwater.adapters.part_store import FilePartStore\n"
        f"print(json.dumps(FilePartStore(Path({str(store.folder)!r})).load({part!r}).predict([0.1, 0.5]).tolist()))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env={"PYTHONPATH": SOURCE}, cwd=tmp_path,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [0.2, 0.5]
    assert store.put(Clip(0.2)) == part != store.put(Clip(0.3))


def test_each_load_is_a_copy(store):
    part = store.put({"weights": [1, 2]})
    store.load(part)["weights"].append(3)
    assert store.load(part) == {"weights": [1, 2]}


def test_a_corrupt_part_is_refused_before_it_is_unpickled_and_mended_by_the_next_put(store):
    part = store.put({"a": 1})
    path = store.folder / f"{part}.part"

    class Trap:
        def __reduce__(self):
            return os.abort, ()

    import pickle

    path.write_bytes(b"pickle\n" + pickle.dumps(Trap()))
    with pytest.raises(CorruptTable, match=part[:12]):
        store.load(part)
    assert store.put({"a": 1}) == part
    assert store.load(part) == {"a": 1}


def test_what_cannot_be_stored_or_is_not_there_is_refused(store):
    with pytest.raises(ModelError, match="lock"):
        store.put({"lock": threading.Lock()})
    with pytest.raises(CorruptTable, match="not there any more"):
        store.load("0" * 64)


def test_a_folder_that_cannot_be_written_is_a_storage_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError):
        FilePartStore(tmp_path / "file" / "parts").put(0.5)


def test_what_is_wrong_with_a_stored_part_is_told_without_loading_it(store):
    part = store.put({"a": 1})
    assert store.flaw(part) == ""
    assert "missing" in store.flaw("0" * 64)
    path = store.folder / f"{part}.part"
    path.write_bytes(path.read_bytes() + b"x")
    assert "does not match its hash" in store.flaw(part)


def test_a_lost_part_is_not_promised_back_by_the_next_run(store):
    part = store.put({"a": 1})
    path = store.folder / f"{part}.part"
    path.write_bytes(b"x")
    with pytest.raises(CorruptTable) as damaged:
        store.load(part)
    path.unlink()
    with pytest.raises(CorruptTable) as lost:
        store.load(part)
    assert damaged.value.hint == lost.value.hint
    assert "next run" not in lost.value.hint and "train a new version" in lost.value.hint
