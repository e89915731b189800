"""The workspace's folder, its configuration and its project module: found, read, refused, read again."""

from pathlib import Path

import pytest

from headwater.app.config import code_stamp, find, load_config, load_project
from headwater.app.workspace import Workspace
from headwater.core.errors import ProjectInvalid, UsageError

PIPELINE = """
from headwater import Project
project = Project("shop")

@project.source(key=["id"])
def raw(window):
    return None
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "headwater.yaml").write_text("module: pipeline.py\n")
    (tmp_path / "pipeline.py").write_text(PIPELINE)
    return tmp_path


def configured(folder: Path, text: str):
    (folder / "headwater.yaml").write_text(text)
    return load_config(folder)


def refused(folder: Path, text: str, file: str = "headwater.yaml") -> ProjectInvalid:
    (folder / file).write_text(text)
    with pytest.raises(ProjectInvalid) as told:
        load_project(load_config(folder))
    return told.value


# --- headwater.yaml ---------------------------------------------------------------------------------------------------
def test_a_workspace_is_found_from_below(folder):
    (folder / "a/b").mkdir(parents=True)
    assert find(folder / "a/b") == find(folder) == folder.resolve()


def test_no_workspace_is_said(tmp_path):
    with pytest.raises(UsageError, match=r"no workspace here: .* has no headwater\.yaml") as told:
        find(tmp_path)
    assert "headwater init" in told.value.hint


def test_settings_have_defaults_and_are_read(folder):
    plain = configured(folder, "")
    assert (plain.module, plain.contracts, plain.state) == (
        folder / "pipeline.py", folder / "contracts", folder / ".headwater",
    )  # fmt: skip
    assert (plain.gate, plain.policy) == ({}, {})
    (folder / "promises").mkdir()
    told = configured(folder, "module: flow.py\nstate: kept\ncontracts: promises\ngate: {auc: 0.6}\n")
    assert (told.module.name, told.state.name, told.contracts.name) == ("flow.py", "kept", "promises")
    assert told.gate == {"auc": 0.6}


@pytest.mark.parametrize(
    ("text", "said", "hint"),
    [
        ("module: pipeline.py\ngate: [1, 2\n", "line 3 is not valid YAML", ""),
        ("module: 'pipeline.py\n", "headwater.yaml line 2 is not valid YAML", "unexpected end"),
        ("gate: {auc: 0.6\npolicy: {}\n", "headwater.yaml line", ""),
        ("modul: pipeline.py\n", "has an unknown setting `modul`", "module"),
        ("module: [pipeline.py]\n", "`module` is not text", "list"),
        ("gate: strict\n", "`gate` is not a mapping", "str"),
        ("- module\n", "is not a mapping", "module: pipeline.py"),
        ("just text", "is not a mapping", "module: pipeline.py"),
        ("module: !!python/object:os.system x\n", "is not valid YAML", ""),
    ],
)
def test_a_broken_setting_is_named(folder, text, said, hint):
    error = refused(folder, text)
    assert said in error.message
    assert hint in str(error.hint)
    assert error.exit_code == 2


def test_bytes_that_are_no_text_are_refused(folder):
    (folder / "headwater.yaml").write_bytes(b"module: \xff\xfe\n")
    with pytest.raises(ProjectInvalid, match="cannot be read"):
        load_config(folder)


# --- pipeline.py ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = 1\nproject = (\n", "pipeline.py line 2:"),
        ("import headwater\n\ndef f(:\n    pass\n", "pipeline.py line 3:"),
        ("if True:\nx = 1\n", "pipeline.py line 2:"),
        ("import nowhere_to_be_found\n", "pipeline.py cannot be imported: ModuleNotFoundError"),
        ("1 / 0\n", "pipeline.py cannot be imported: ZeroDivisionError"),
        ("x = 1\n", "pipeline.py defines no `project`"),
        ("project = 'shop'\n", "pipeline.py defines no `project`"),
        (PIPELINE + "@project.dataset\ndef made(rwa):\n    return rwa\n", "`made` reads `rwa`, which does not exist"),
        (PIPELINE + "@project.dataset\ndef raw(raw):\n    return raw\n", "`raw` is defined twice"),
    ],
)
def test_a_broken_pipeline_is_named(folder, text, said):
    assert said in refused(folder, text, "pipeline.py").message


@pytest.mark.parametrize(
    ("line", "said", "hint"),
    [
        ('project.monitor("rwa", metric="rows")\n', "dataset `rwa` is not in this workspace", "did you mean `raw`?"),
        ('project.mute("raw", "meen.x")\n', "there is no metric `meen` to declare", "did you mean `mean.x`?"),
        ('project.monitor("raw", metric="rows", low=2, high=1)\n', "low 2 is above high 1", None),
    ],
)
def test_what_is_declared_wrongly_is_said_with_file_and_line_and_what_was_meant(folder, line, said, hint):
    error = refused(folder, PIPELINE + line, "pipeline.py")
    assert error.message.startswith(f"pipeline.py line {PIPELINE.count(chr(10)) + 1}: ") and said in error.message
    assert "UnknownName" not in str(error) and "ProjectInvalid" not in str(error)
    assert hint is None or hint in error.hint


def test_a_mistake_in_a_module_of_the_project_names_that_file_and_line(folder):
    (folder / "rules.py").write_text("def declare(project):\n\n    project.mute('nothing', 'rows')\n")
    error = refused(folder, PIPELINE + "import rules\nrules.declare(project)\n", "pipeline.py")
    assert error.message.startswith("rules.py line 3: dataset `nothing`")
    (folder / "rules.py").write_text("\n1 / 0\n")
    error = refused(folder, PIPELINE + "import rules\n", "pipeline.py")
    assert "pipeline.py cannot be imported: ZeroDivisionError: division by zero" in error.message
    assert error.hint == "it was raised in rules.py line 2"


def test_a_syntax_error_in_a_module_of_the_project_names_that_file(folder):
    (folder / "rules.py").write_text("ok = 1\nbad = (\n")
    error = refused(folder, "import rules\n" + PIPELINE, "pipeline.py")
    assert "rules.py line 2" in error.message


def test_a_missing_module_is_named_with_the_setting(folder):
    error = refused(folder, "module: flow.py\n")
    assert "flow.py is not there" in error.message
    assert "module" in error.hint


def test_bytes_that_are_no_text_are_no_pipeline(folder):
    (folder / "pipeline.py").write_bytes(b"x = '\xff'\n")
    with pytest.raises(ProjectInvalid, match=r"pipeline\.py"):
        load_project(load_config(folder))


# --- reading again ----------------------------------------------------------------------------------------------------
def names(workspace: Workspace) -> list[str]:
    workspace.line.refresh()
    return list(workspace.line.assets)


def test_an_edit_is_noticed_and_without_one_nothing_is_loaded_again(folder):
    workspace = Workspace.open(folder)
    before = workspace.project
    assert names(workspace) == ["raw"]
    assert workspace.project is before
    (folder / "pipeline.py").write_text(PIPELINE + "@project.dataset\ndef made(raw):\n    return raw\n")
    assert names(workspace) == ["raw", "made"]


@pytest.mark.parametrize("helper", ["rules.py", "rules/__init__.py", "rules/deep/names.py"])
def test_an_edit_of_a_module_that_the_pipeline_imports_is_noticed(folder, helper):
    file = folder / helper
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("NAME = 'first'\n")
    module = helper.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    (folder / "pipeline.py").write_text(
        f"from {module} import NAME\n" + PIPELINE + "project.source(lambda window: None, name=NAME)\n"
    )
    workspace = Workspace.open(folder)
    assert names(workspace) == ["raw", "first"]
    before = workspace.project
    assert names(workspace)
    assert workspace.project is before
    file.write_text("NAME = 'second'\n")
    assert names(workspace) == ["raw", "second"]


def test_a_broken_edit_is_refused_and_a_mended_one_taken(folder):
    workspace = Workspace.open(folder)
    (folder / "pipeline.py").write_text("project = (")
    for _ in range(2):
        with pytest.raises(ProjectInvalid):
            workspace.line.refresh()
    (folder / "pipeline.py").write_text(PIPELINE.replace("def raw", "def landed"))
    assert names(workspace) == ["landed"]


def test_two_projects_with_modules_of_the_same_name_do_not_mix(folder, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    for place, name in ((folder, "ours"), (other, "theirs")):
        (place / "headwater.yaml").write_text("module: pipeline.py\n")
        (place / "rules.py").write_text(f"NAME = {name!r}\n")
        (place / "pipeline.py").write_text(
            "from rules import NAME\n" + PIPELINE + "project.source(lambda window: None, name=NAME)\n"
        )
    ours, theirs = Workspace.open(folder), Workspace.open(other)
    assert (names(ours), names(theirs)) == (["raw", "ours"], ["raw", "theirs"])


def test_loading_leaves_no_compiled_files_in_the_project(folder):
    (folder / "rules.py").write_text("NAME = 'first'\n")
    (folder / "pipeline.py").write_text("import rules\n" + PIPELINE)
    load_project(load_config(folder))
    assert not list(folder.rglob("__pycache__"))


def test_the_stamp_tells_contents_not_times(folder):
    config = load_config(folder)
    before = code_stamp(config)
    (folder / "pipeline.py").write_text(PIPELINE)
    assert code_stamp(config) == before
    (folder / "pipeline.py").write_text(PIPELINE + "\n")
    assert code_stamp(config) != before


def test_a_contract_for_nothing_is_refused(folder):
    (folder / "contracts").mkdir()
    (folder / "contracts/rwa.yaml").write_text(
        "apiVersion: v3.1.0\nkind: DataContract\nid: rwa\nversion: 1.0.0\nstatus: active\nschema:\n  - name: rwa\n"
    )
    with pytest.raises(UsageError, match="contract for dataset `rwa` is not in this workspace") as told:
        Workspace.open(folder)
    assert "did you mean `raw`?" in told.value.hint


@pytest.mark.parametrize(
    ("text", "line", "key"),
    [
        ("module: pipeline.py\nstate: a\nmodule: other.py\n", 3, "module"),
        ("gate:\n  auc: 0.6\n  ece: 0.1\n  auc: 0.5\n", 4, "auc"),
        ("policy: {notify: [{to: a, to: b}]}\n", 1, "to"),
    ],
)
def test_a_setting_that_is_written_twice_is_refused_with_its_line(folder, text, line, key):
    told = refused(folder, text)
    assert f"headwater.yaml line {line}: `{key}` is written twice" in told.message and "keep one" in told.hint


# --- a project and its state ------------------------------------------------------------------------------------------
def test_a_renamed_project_is_refused_on_its_old_state(shop):
    shop.edit('Project("shop",', 'Project("other",')
    for ask in (shop.opened, lambda: shop.run(3), lambda: shop.run(3)):
        with pytest.raises(
            ProjectInvalid, match="called `other`, but what is stored was made by project `shop`"
        ) as told:
            ask()
        assert 'Project("shop")' in told.value.hint and "`state:`" in told.value.hint
    (shop.folder / "headwater.yaml").write_text("module: pipeline.py\nstate: .fresh\n")
    assert shop.opened().datasets()[0]["dataset"] == "dataset:other/raw_orders"
    shop.edit('Project("other",', 'Project("shop",')
    (shop.folder / "headwater.yaml").write_text("module: pipeline.py\n")
    assert shop.run(3)["failed"] == []
