"""The model's lifecycle in a workspace: what may be trained on, who is champion, what is loaded."""

from dataclasses import replace

import pytest

from headwater.core.errors import DataError, GateRefused, ModelError, Quarantined, StorageError, UnknownName


@pytest.fixture
def versions(shop):
    """Three versions, each released in its turn."""
    for seed in (1, 2):
        shop.wait(minutes=1)
        made = shop.workspace.train(seed=seed)
        shop.wait(minutes=1)
        shop.workspace.release(made["version"], by=f"person-{seed}")
    return shop


def champion(shop, **when):
    return shop.line.state.aliases.champion("refund", **when).version


def loaded(shop):
    return shop.line.state.deployments.get("refund")


# --- quarantine -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("dataset", ["order_features", "returns", "raw_orders", "dataset:shop/orders", "raw_shops"])
def test_training_refuses_quarantined_windows_of_anything_it_stands_on(shop, dataset):
    shop.workspace.quarantine_add(dataset, shop.day(-9), shop.day(-8), "double load")
    with pytest.raises(Quarantined, match="2 of 45 windows to train on are quarantined") as told:
        shop.workspace.train()
    assert "double load" in told.value.message
    assert "quarantined" in told.value.hint


def test_training_can_leave_quarantined_windows_out(shop):
    whole = shop.workspace.train()
    shop.workspace.quarantine_add("orders", shop.day(-9), shop.day(-8), "double load")
    shop.wait(minutes=1)
    made = shop.workspace.train(skip_quarantined=True)
    assert made["rows"] < whole["rows"]
    event = shop.line.state.graph.runs(f"model:shop/refund@{made['version']}")[-1]
    used = {key for item in event.inputs for key in item.contents}
    assert used
    assert not {shop.day(-9), shop.day(-8)} & used


def test_windows_outside_of_the_range_asked_for_do_not_matter(shop):
    shop.workspace.quarantine_add("orders", shop.day(-9), shop.day(-8), "double load")
    assert shop.workspace.train(first=shop.day(-40), last=shop.day(-10))["windows"] == [shop.day(-40), shop.day(-10)]
    shop.workspace.quarantine_add("raw_orders", shop.day(-40), shop.day(-10), "all of it")
    with pytest.raises(Quarantined, match="every window"):
        shop.workspace.train(first=shop.day(-40), last=shop.day(-10), skip_quarantined=True)


def test_a_lifted_quarantine_is_gone_and_one_beside_the_model_never_mattered(shop):
    shop.workspace.quarantine_add("orders", shop.day(-9), shop.day(-8), "double load")
    shop.wait(minutes=1)
    shop.workspace.quarantine_lift("orders", shop.day(-9), shop.day(-8))
    shop.workspace.quarantine_add("refund_predictions", shop.day(1), shop.day(1), "beside it")
    assert shop.workspace.quarantine_list()[0]["dataset"] == "dataset:shop/refund_predictions"
    assert shop.workspace.train()["version"] == "2"


def test_a_version_trained_on_what_is_quarantined_now_is_not_released(shop):
    shop.wait(minutes=1)
    made = shop.workspace.train(seed=3)
    shop.workspace.quarantine_add("raw_orders", shop.day(-9), shop.day(-8), "found out later")
    with pytest.raises(GateRefused, match="quarantined windows"):
        shop.workspace.release(made["version"], by="ann")
    assert champion(shop) == "1"
    assert shop.tracking.aliases[("shop/refund", "champion")] == "1"


def test_nonsense_is_not_quarantined(shop):
    with pytest.raises(UnknownName, match="`ordres`"):
        shop.workspace.quarantine_add("ordres", shop.day(1), shop.day(1))
    with pytest.raises((DataError, UnknownName, ValueError, Exception), match="before"):
        shop.workspace.quarantine_add("orders", shop.day(2), shop.day(1))
    assert shop.workspace.quarantine_list() == []


# --- releases ---------------------------------------------------------------------------------------------------------
def test_a_release_moves_the_alias_what_is_approved_and_what_is_loaded(versions):
    history = versions.line.state.aliases.history("refund")
    assert [(item.version, item.by, item.reason) for item in history] == [
        ("1", "ann", "release"), ("2", "person-1", "release"), ("3", "person-2", "release"),
    ]  # fmt: skip
    assert history[0].displacement is None
    assert history[1].displacement > 0
    assert (loaded(versions).version, loaded(versions).approved_version, loaded(versions).mismatch) == ("3", "3", ())
    assert versions.tracking.aliases[("shop/refund", "champion")] == "3"


def test_history_can_be_asked_as_of_then(versions):
    history = versions.line.state.aliases.history("refund")
    for known, following in zip(history, [*history[1:], None], strict=True):
        assert champion(versions, as_of=known.valid_from) == known.version
        if following is not None:
            assert champion(versions, as_of=following.valid_from.replace(second=0)) in (
                known.version,
                following.version,
            )
    then = versions.workspace.trace("model:shop/refund@champion", as_of=history[0].valid_from)
    now = versions.workspace.trace("model:shop/refund@champion")
    assert (then["version"], now["version"]) == ("1", "3")
    assert then["alias"]["since"] == history[0].valid_from.isoformat() != now["alias"]["since"]
    assert now["alias"]["name"] == "champion" and now["alias"]["by"] == history[-1].by != ""


def test_an_approved_release_raises_no_incident(versions):
    answer = versions.run(3)
    assert answer["alarms"] == []
    assert versions.workspace.incidents(all=True) == []


def test_a_version_that_does_not_exist_is_said(shop):
    with pytest.raises(UnknownName, match="version of model `refund` `9`"):
        shop.workspace.release("9")


# --- rollback ---------------------------------------------------------------------------------------------------------
def test_a_rollback_goes_back_one_champion_at_a_time(versions):
    for expected, left in (("2", "3"), ("1", "2")):
        versions.wait(minutes=1)
        answer = versions.workspace.rollback(by="ann")
        assert (answer["version"], answer["previous"]) == (expected, left)
        assert champion(versions) == expected
        assert (loaded(versions).version, loaded(versions).mismatch) == (expected, ())
        assert versions.tracking.aliases[("shop/refund", "champion")] == expected
    versions.wait(minutes=1)
    with pytest.raises(ModelError, match="no earlier champion"):
        versions.workspace.rollback(by="ann")
    reasons = [item.reason for item in versions.line.state.aliases.history("refund")]
    assert reasons == ["release", "release", "release", "rollback", "rollback"]


def test_after_a_rollback_and_a_new_release_the_way_back_leads_past_what_was_left(versions):
    versions.wait(minutes=1)
    versions.workspace.rollback(by="ann")
    versions.wait(minutes=1)
    versions.workspace.release(versions.workspace.train(seed=9)["version"], by="ann")
    versions.wait(minutes=1)
    assert versions.workspace.rollback(by="ann")["version"] == "2"


def test_a_rollback_to_a_given_version_must_have_been_champion(versions):
    made = versions.workspace.train(seed=7)["version"]
    with pytest.raises(ModelError, match=f"version {made} of `refund` was never champion"):
        versions.workspace.rollback(to=made)
    with pytest.raises(UnknownName):
        versions.workspace.rollback(to="99")
    versions.wait(minutes=1)
    assert versions.workspace.rollback(to="1")["version"] == "1"
    versions.wait(minutes=1)
    assert versions.workspace.rollback(to="3")["version"] == "3"


def test_without_a_second_champion_there_is_no_way_back(shop):
    with pytest.raises(ModelError, match="no earlier champion than version 1"):
        shop.workspace.rollback()


# --- deployments ------------------------------------------------------------------------------------------------------
def test_a_deployment_past_the_registry_is_a_mismatch_and_an_alarm(shop):
    shop.wait(minutes=1)
    shop.workspace.deploy(parts={"threshold": 0.05}, by="eve")
    assert loaded(shop).mismatch == ("threshold",)
    assert champion(shop) == "1"
    (alarm,) = shop.run(3)["alarms"]
    assert (alarm["monitor"], alarm["subject"]) == ("release", "deployment:shop/refund")
    assert shop.only()["verdict"]["fault"] == "loaded_threshold"


def test_a_deployment_of_another_version_loads_all_its_parts(versions):
    versions.wait(minutes=1)
    versions.workspace.deploy(version="1", by="eve")
    assert (loaded(versions).version, loaded(versions).approved_version) == ("1", "3")
    assert loaded(versions).mismatch == ("weights",)
    versions.wait(minutes=1)
    versions.workspace.deploy(by="eve")  # what is approved, again
    assert loaded(versions).mismatch == ()


def test_parts_that_the_model_has_not_are_refused(shop):
    with pytest.raises(UnknownName, match="part of model `refund` `treshold`") as told:
        shop.workspace.deploy(parts={"treshold": 0.1})
    assert "did you mean `threshold`?" in told.value.hint


@pytest.mark.parametrize("act", ["train", "release", "rollback"])
def test_a_registry_that_lost_what_the_ledger_knows_is_not_gone_on_with(versions, act):
    versions.tracking.logged.clear()
    versions.tracking.aliases.clear()
    acts = {
        "train": lambda: versions.workspace.train(seed=9),
        "release": lambda: versions.workspace.release("2"),
        "rollback": lambda: versions.workspace.rollback(to="1"),
    }
    records = versions.line.state.seq
    with pytest.raises(StorageError, match="not in the model registry any more") as told:
        acts[act]()
    assert "backup" in told.value.hint
    assert versions.tracking.logged == versions.tracking.aliases == {} and versions.line.state.seq == records


def test_a_registry_that_began_again_is_noticed(versions):
    versions.tracking.logged.clear()
    for number in range(3):
        versions.tracking.log_version(
            "shop/refund", parts={}, params={}, metrics={}, tags={"made": f"elsewhere {number}"}
        )
    versions.tracking.logged = {
        key: replace(item, run=f"other-{item.run}") for key, item in versions.tracking.logged.items()
    }
    with pytest.raises(StorageError, match="is another one in the model registry"):
        versions.workspace.train(seed=9)


def test_without_a_backup_of_the_registry_a_model_goes_on_under_a_new_name(shop):
    shop.tracking.logged.clear()
    shop.edit('"refund", features=', '"refund_again", features=')
    shop.wait(minutes=1)
    assert shop.workspace.train(seed=0)["version"] == "1"
    shop.workspace.release("1", by="ann")
    assert shop.run(3)["failed"] == []
    assert shop.frame("refund_again_predictions", 3).height


def test_a_champion_whose_parts_are_lost_can_be_replaced(shop):
    for part in (shop.folder / ".headwater/parts").glob("*.part"):
        part.unlink()
    shop.workspace = shop.opened()
    shop.wait(minutes=1)
    made = shop.workspace.train(seed=5)
    answer = shop.workspace.release(made["version"], by="ann")
    assert (answer["previous"], answer["passed"], answer["compared"]) == ("1", True, False)
    assert shop.run(3)["failed"] == []
