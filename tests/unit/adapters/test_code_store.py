import functools
import importlib
import itertools
import json
import linecache
import os
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import polars as pl
import pytest

from headwater.adapters.code_store import FileCodeStore
from headwater.adapters.files import seal, unseal
from headwater.core.errors import CorruptTable, StorageError, UsageError
from headwater.core.project import _as_they_are

SOURCE = str(Path(__file__).parents[3] / "src")
_numbers = itertools.count()


@pytest.fixture
def store(tmp_path):
    return FileCodeStore(tmp_path / "code")


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write a module into a folder on the path and import it (again)."""
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    written = set()

    def made(text, name=None):
        name = name or f"pipeline_{next(_numbers)}"
        (folder / f"{name}.py").write_text(textwrap.dedent(text))
        importlib.invalidate_caches()
        written.add(name)
        return importlib.reload(sys.modules[name]) if name in sys.modules else importlib.import_module(name)

    yield made
    for name in written:
        sys.modules.pop(name, None)


def elsewhere(program, folder, seed="0"):
    """Run a program in a new process and return what it printed, as JSON."""
    paths = os.pathsep.join([SOURCE, str(folder)])
    environment = {"PYTHONPATH": paths, "PYTHONHASHSEED": seed, "PYTHONDONTWRITEBYTECODE": "1"}
    head = "import json, sys\nfrom pathlib import Path\nfrom headwater.adapters.code_store import FileCodeStore\n"
    program = head + textwrap.dedent(program)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


PLAIN = """
    LIMIT = 3
    UNUSED = 1

    def helper(x):
        return x + LIMIT

    def f(x, scale=2):
        y = helper(x)
        return [y * scale, "text"]
"""


def test_comments_layout_docstrings_annotations_and_unused_things_do_not_count(write, store):
    dressed = """
    import math
    LIMIT: int = 3  # a limit
    UNUSED = 2

    def other():
        return 1

    def helper(x: int) -> int:
        '''Add.'''
        # why
        return x + LIMIT


    def f(x, scale: float = 2) -> list:
        '''Say what it does.'''

        y: int = helper(
            x
        )
        return [
            y * scale,
            'text',
        ]
    """
    assert store.put(write(PLAIN).f) == store.put(write(dressed).f)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("LIMIT = 3", "LIMIT = 4"),
        ("LIMIT = 3", "LIMIT = 3.0"),
        ("return x + LIMIT", "return x - LIMIT"),
        ("scale=2", "scale=3"),
        ("y * scale", "scale * y"),
        ('"text"', '"test"'),
        ("def helper(x):", "def helper(x):\n        x = abs(x)"),
    ],
)
def test_what_it_does_or_reaches_counts(write, store, old, new):
    assert old in PLAIN
    assert store.put(write(PLAIN).f) != store.put(write(PLAIN.replace(old, new)).f)


def test_a_helper_in_another_module_counts_through_either_import(write, store):
    for statement, call in (("import {0}", "{0}.clean(x)"), ("from {0} import clean", "clean(x)")):
        other = write("def clean(x):\n    return x + 1\ndef loose():\n    return 0\n").__name__
        text = f"{statement}\ndef f(x):\n    return {call}\n".format(other)
        before = store.put(write(text).f)
        write("def clean(x):\n    return x + 1\ndef loose():\n    return 1\n", other)
        assert store.put(write(text).f) == before
        write("def clean(x):\n    return x + 2\n", other)
        assert store.put(write(text).f) != before


def test_a_helper_that_is_replaced_in_a_loaded_module_counts_at_once(write, store):
    module = write(PLAIN)
    before = store.put(module.f)
    module.LIMIT = 30
    moved = store.put(module.f)
    module.helper = lambda x: x
    assert len({before, moved, store.put(module.f)}) == 3


def test_closures_defaults_partials_methods_and_objects_count_by_value(write, store):
    module = write(
        """
        import functools
        def make(k):
            def inner(x):
                return x * k
            return inner
        def g(x, k=1, *, j=1):
            return x * k * j
        class Scale:
            unit = 1
            def __init__(self, k):
                self.k = k
            def __call__(self, x):
                return x * self.k * self.unit
            def apply(self, x):
                return self(x)
        @functools.lru_cache
        def cached(x):
            return g(x)
        pair = (lambda x: x + 1, lambda x: x + 2)
        """
    )
    variants = [
        module.make(2),
        module.make(3),
        module.g,
        functools.partial(module.g, k=2),
        functools.partial(module.g, k=3),
        module.Scale(2),
        module.Scale(3),
        module.Scale(2).apply,
        module.cached,
        *module.pair,
    ]
    codes = [store.put(variant) for variant in variants]
    assert len(set(codes)) == len(codes)
    assert store.put(module.make(2)) == codes[0]
    assert store.put(module.Scale(3)) == codes[6]
    for variant, code in zip(variants, codes, strict=True):
        assert FileCodeStore(store.folder).load(code)(5) == variant(5)
    module.Scale.unit = 2
    assert store.put(module.Scale(3)) != codes[6]


def test_frames_and_arrays_count_by_content(write, store):
    module = write(
        """
        import numpy as np
        import polars as pl
        def make(values, words):
            table, array = pl.DataFrame({"x": values, "w": words}), np.array(values)
            return lambda: (table["x"].sum(), float(array.sum()), table["w"].to_list())
        """
    )
    code = store.put(module.make([1, 2], ["a", None]))
    assert store.put(module.make([1, 2], ["a", None])) == code
    assert store.put(module.make([1, 3], ["a", None])) != code
    assert store.put(module.make([1, 2], ["b", None])) != code
    assert FileCodeStore(store.folder).load(code)() == (3, 3.0, ["a", None])


def test_what_a_librarys_decorator_wraps_counts(write, store):
    text = """
        import contextlib, dataclasses, functools
        @contextlib.contextmanager
        def opened(x):
            yield x + {0}
        @dataclasses.dataclass(frozen=True)
        class Rate:
            by: int
            @functools.cached_property
            def twice(self):
                return 2 * self.by
        @functools.singledispatch
        def apply(rate, x):
            return x
        @apply.register
        def _(rate: Rate, x):
            return rate.twice * x
        RATE = Rate(3)
        def f(x):
            with opened(x) as y:
                return apply(RATE, y) + apply(None, 1)
        """
    module = write(text.format(1))
    code = store.put(module.f)
    assert module.f(1) == 13
    assert store.put(module.f) == code  # though caches have filled
    assert FileCodeStore(store.folder).load(code)(1) == 13
    assert store.put(write(text.format(2)).f) != code
    assert store.put(write(text.format(1).replace("2 * self", "3 * self")).f) != code
    assert store.put(write(text.format(1).replace("Rate(3)", "Rate(4)")).f) != code


def test_functions_that_call_each_other_end(write, store):
    text = "def even(n):\n    return n == 0 or odd(n - 1)\ndef odd(n):\n    return n != 0 and even(n - {0})\n"
    module = write(text.format(1))
    codes = [store.put(module.even), store.put(module.odd)]
    again = write(text.format(1))
    assert [store.put(again.even), store.put(again.odd)] == codes
    assert store.put(write(text.format(2)).even) != codes[0]
    assert [FileCodeStore(store.folder).load(codes[0])(n) for n in range(3)] == [True, False, True]


def test_the_hash_is_the_same_in_every_process(write, store, tmp_path):
    module = write(
        """
        import decimal, enum, re, zoneinfo
        import polars as pl
        class Colour(enum.Enum):
            RED = 1
        VALUES = [pl.col("a") * 2, re.compile("a+", re.I), Colour.RED, zoneinfo.ZoneInfo("UTC"), decimal.Decimal("1.2")]
        WORDS = {"alpha", "beta", "gamma", "delta"}
        TABLE = {"a": frozenset({"x", "y", "z"}), "b": [1.5, None]}
        class Rule:
            words = WORDS
            def holds(self, x):
                return x in self.words
        RULE = Rule()
        def f(x):
            return VALUES and RULE.holds(x) or x in TABLE["a"] or x in {"p", "q", "r"}
        """
    )
    program = f"""
        import {module.__name__} as module
        print(json.dumps(FileCodeStore(Path({str(store.folder)!r})).put(module.f)))
    """
    seen = {elsewhere(program, tmp_path / "project", seed) for seed in ("1", "2", "3")}
    assert seen == {store.put(module.f)}


def test_last_good_code_runs_in_another_process_after_the_file_changed(write, store, tmp_path):
    other = write("def clean(x):\n    return x + 1\n").__name__
    text = f"""
        import {other}
        LIMIT = 10
        class Cap:
            def __call__(self, x):
                return min(x, LIMIT)
        cap = Cap()
        def f(x):
            from {other} import clean
            return cap(clean(x)) + {other}.clean(0)
        """
    module = write(text)
    code = store.put(module.f)
    assert module.f(3) == 5
    write("def clean(x):\n    return x - 1\n", other)
    changed = write(text.replace("LIMIT = 10", "LIMIT = 1"), module.__name__)
    assert changed.f(3) == 0
    program = f"""
        store = FileCodeStore(Path({str(store.folder)!r}))
        f = store.load({code!r})
        import {module.__name__} as module
        print(json.dumps([f(3), f(30), module.f(3), store.put(f), store.put(module.f)]))
    """
    was, capped, now, again, new = elsewhere(program, tmp_path / "project")
    assert (was, capped, now) == (5, 11, 0)
    assert again == code
    assert new == store.put(changed.f) != code


def test_loading_old_code_leaves_the_live_classes_alone(write, store):
    module = write(
        """
        class Scale:
            def apply(self, x):
                return x * 2
        def f(x):
            return Scale().apply(x)
        """
    )
    code = store.put(module.f)
    module.Scale.apply = lambda self, x: x * 3
    old = FileCodeStore(store.folder).load(code)
    assert (old(1), module.f(1)) == (2, 3)


def test_loaded_code_keeps_its_hash_here_and_in_another_store(write, store):
    module = write(PLAIN)
    code = store.put(module.f)
    write(PLAIN.replace("x + LIMIT", "x - LIMIT"), module.__name__)
    fresh = FileCodeStore(store.folder)
    assert fresh.put(fresh.load(code)) == code
    assert FileCodeStore(store.folder).put(fresh.load(code)) == code


def test_what_counts_is_what_is_loaded_not_what_the_file_says_now(write, store):
    module = write(PLAIN)
    path = Path(module.__file__)
    before = store.put(module.f)
    path.write_text(textwrap.dedent(PLAIN.replace("x + LIMIT", "x - LIMIT")))
    assert store.put(module.f) == before
    assert FileCodeStore(store.folder).put(module.f) == before  # from what the store knows of this bytecode
    linecache.clearcache()
    blind = FileCodeStore(store.folder / "other").put(module.f)
    assert blind != FileCodeStore(store.folder / "third").put(importlib.reload(module).f)
    reloaded = store.put(module.f)
    assert reloaded != before
    assert "x - LIMIT" in store.source(reloaded)
    assert "x + LIMIT" in store.source(before)


def test_a_function_that_moved_in_its_file_is_the_same(write, store):
    module = write(PLAIN)
    function = module.f
    code = store.put(function)
    Path(module.__file__).write_text("import os\n\n\n\n" + textwrap.dedent(PLAIN))
    assert FileCodeStore(store.folder / "fresh").put(function) == code


def test_code_without_source_is_stored_by_its_bytecode(store):
    scope = {"__name__": "made_up"}
    exec("K = 2\ndef f(x):\n    return x * K", scope)
    code = store.put(scope["f"])
    assert FileCodeStore(store.folder).load(code)(4) == 8
    other = {"__name__": "made_up"}
    exec("K = 2\ndef f(x):\n\n    'Say.'\n    return x * K", other)
    assert store.put(other["f"]) == code
    exec("K = 2\ndef f(x):\n    return x + K", other)
    assert store.put(other["f"]) != code


def test_source_shows_helpers_and_constants(write, store):
    text = store.source(store.put(write(PLAIN).f))
    for line in ("def f(x, scale=2):", "def helper(x):", "LIMIT = 3"):
        assert line in text
    assert "UNUSED" not in text
    assert store.source("0" * 64) == ""


def test_mentioning_the_project_does_not_tie_a_function_to_all_of_it(write, store):
    text = """
        from headwater import Project
        project = Project("nyc")
        @project.source
        def raw(window):
            return {0}
        @project.dataset
        def clean(raw):
            return (project.name, raw)
        """
    code = store.put(write(text.format(1)).clean)
    assert store.put(write(text.format(2)).clean) == code
    assert FileCodeStore(store.folder).load(code)(5) == ("nyc", 5)


def test_a_path_beside_the_module_counts_from_the_module(tmp_path, store, monkeypatch):
    text = "from pathlib import Path\nFEEDS = Path(__file__).parent / 'feeds'\ndef f():\n    return str(FEEDS)\n"
    codes = []
    for place in ("here", "there"):
        (tmp_path / place).mkdir()
        (tmp_path / place / "placed_pipeline.py").write_text(text)
        with monkeypatch.context() as patch:
            patch.syspath_prepend(str(tmp_path / place))
            codes.append(store.put(importlib.import_module("placed_pipeline").f))
            del sys.modules["placed_pipeline"]
    assert codes[0] == codes[1]


def test_an_identity_of_headwaters_own_is_stored(store):
    frame = pl.DataFrame({"x": [1]})
    assert store.load(store.put(_as_they_are))(frame) is frame


def test_what_cannot_be_pickled_has_a_hash_but_does_not_load(store):
    lock = threading.Lock()

    def f(x):
        with lock:
            return x

    code = store.put(f)
    assert store.put(f) == code
    with pytest.raises(StorageError, match="cannot be run again") as caught:
        store.load(code)
    assert "locks" in str(caught.value)


def test_a_corrupt_file_is_refused_and_mended_by_the_next_run(write, store):
    module = write(PLAIN)
    code = store.put(module.f)
    path = store.folder / f"{code}.code"
    content = bytearray(path.read_bytes())
    content[-20] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(CorruptTable, match=code[:12]):
        FileCodeStore(store.folder).load(code)
    fresh = FileCodeStore(store.folder)
    assert fresh.put(module.f) == code
    assert fresh.load(code)(1) == [8, "text"]


def test_code_of_another_python_says_so(write, store):
    code = store.put(write(PLAIN).f)
    path = store.folder / f"{code}.code"
    path.write_bytes(seal(unseal(path).replace(f'"{sys.version_info[0]}.{sys.version_info[1]}"'.encode(), b'"2.7"')))
    with pytest.raises(StorageError, match=r"Python 2\.7"):
        store.load(code)


def test_unknown_code_and_wrong_arguments_are_refused(store):
    with pytest.raises(CorruptTable, match="not there any more"):
        store.load("0" * 64)
    with pytest.raises(UsageError):
        store.put(3)


def test_a_folder_that_cannot_be_written_is_a_storage_error(tmp_path, write):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="nothing was half-written"):
        FileCodeStore(tmp_path / "file" / "code").put(write(PLAIN).f)


def test_nothing_but_whole_files_is_left(write, store):
    code = store.put(write(PLAIN).f)
    assert [path.name for path in store.folder.iterdir()] == [f"{code}.code"]


def test_different_text_for_the_same_bytecode_still_loads(write, store):
    module = write("def a():\n    return 60 * 24\ndef b():\n    return 1440\ndef f():\n    return a() - b()\n")
    assert FileCodeStore(store.folder).load(store.put(module.f))() == 0
    assert store.put(module.a) != store.put(module.b)
    write("def a():\n    return 1440\ndef b():\n    return 1440\ndef f():\n    return a() - b()\n", module.__name__)
    assert len(list(store.folder.iterdir())) == 3
    for path in store.folder.iterdir():
        assert FileCodeStore(store.folder).load(path.stem)() in (0, 1440)


def test_what_is_wrong_with_stored_code_is_told_without_loading_it(write, store):
    code = store.put(write(PLAIN).f)
    assert store.flaw(code) == ""
    assert "missing" in store.flaw("0" * 64)
    path = store.folder / f"{code}.code"
    path.write_bytes(path.read_bytes()[:-1])
    assert "does not match its hash" in store.flaw(code)
