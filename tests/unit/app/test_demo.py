"""What the demo refuses before it begins, and what it may remove."""

import pytest

from headwater.app.demo import STARTS, Options, begin, run_demo
from headwater.app.demo_table import run_table
from headwater.core.errors import UsageError


class Begun(Exception):
    """The demo got as far as saying something."""


def say(text, share):
    raise Begun


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"fault": "wether_offset"}, "fault `wether_offset` is not"),
        ({"start": "2013-7-20"}, "`2013-7-20` is not a window"),
        ({"start": "2014-01-01"}, "no fault can begin on 2014-01-01"),
    ],
)
@pytest.mark.parametrize("play", [run_demo, lambda options, say: run_table(options, [options.fault], say)])
def test_what_is_mistyped_is_refused_before_anything_is_made(tmp_path, options, said, play):
    with pytest.raises(UsageError, match=said):
        play(Options(tmp_path / "demo", **options), say)
    assert not (tmp_path / "demo").exists()


def test_a_project_that_no_demo_made_is_never_removed(tmp_path):
    mine = tmp_path / "mine"
    (mine / ".headwater").mkdir(parents=True)
    (mine / "pipeline.py").write_text("mine")
    with pytest.raises(UsageError, match="not of an earlier demo"):
        begin(mine, "none", 0, STARTS[0], say)
    assert (mine / "pipeline.py").read_text() == "mine" and (mine / ".headwater").is_dir()


def test_what_an_earlier_demo_made_is_made_anew(tmp_path):
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo/.demo").touch()
    with pytest.raises(Begun):
        begin(tmp_path / "demo", "none", 0, STARTS[0], say)
