"""What the ledger acknowledges must be there: tables, code and parts; and what is lost is named with its way back."""

import shutil

import pytest

from headwater.core.errors import CorruptTable, DataError


def tables(shop):
    return shop.folder / ".headwater/tables"


def problems(shop, deep=False):
    answer = shop.opened().audit(deep)
    assert answer["verified"] is (not answer["problems"])
    return answer["problems"]


def backfilled(shop, hint):
    """Do what a hint says."""
    words = hint.partition("headwater backfill ")[2].split(";")[0].split()
    shop.wait(minutes=1)
    shop.workspace = shop.opened()
    return shop.workspace.backfill(words[0], words[2], words[4])


@pytest.mark.parametrize("deep", [False, True])
def test_a_sound_workspace_is_verified(shop, deep):
    answer = shop.opened().audit(deep)
    assert answer["verified"] and answer["deep"] is deep
    assert answer["datasets"] == 9 and answer["contents"] > 250 and answer["code"] >= 9 and answer["parts"] == 2


def test_a_restated_window_leaves_nothing_lost(shop):
    shop.feed(d2={"scale": 1.01})
    shop.wait(minutes=1)
    shop.workspace.backfill("raw_orders", shop.day(2), shop.day(2))
    assert problems(shop) == []


def test_a_deleted_table_is_named_and_comes_back_by_the_backfill_that_is_named(shop):
    shutil.rmtree(tables(shop) / "orders")
    (lost,) = problems(shop)
    assert lost["subject"] == "dataset:shop/orders"
    assert "is not there" in lost["message"] and "2024-02-01 to 2024-03-17" in lost["message"]
    with pytest.raises(CorruptTable, match="`orders` was delivered up to 2024-03-17"):
        shop.opened().run(shop.day(3))
    assert backfilled(shop, lost["hint"])["datasets"]["orders"][0] == "2024-02-01"
    assert problems(shop) == []
    assert shop.run(3)["failed"] == []


def test_a_cut_off_log_is_named_by_window(shop):
    log = tables(shop) / "orders/_delta_log"
    max(log.glob("*.json")).unlink()
    (lost,) = problems(shop)
    assert (lost["window"], lost["subject"]) == (shop.day(2), "dataset:shop/orders")
    backfilled(shop, lost["hint"])
    assert problems(shop) == []


def test_a_missing_file_is_named_by_window(shop):
    (file,) = (tables(shop) / f"orders/_window={shop.day(1)}").glob("*.parquet")
    file.unlink()
    (lost,) = problems(shop)
    assert str(file) in lost["message"] and lost["window"] == shop.day(1)
    backfilled(shop, lost["hint"])
    assert problems(shop) == []


def test_only_a_deep_audit_sees_bytes_changed_in_place(shop):
    (file,) = (tables(shop) / f"orders/_window={shop.day(1)}").glob("*.parquet")
    content = bytearray(file.read_bytes())
    content[4:60] = bytes(56)
    file.write_bytes(content)
    assert problems(shop) == []
    assert [item["window"] for item in problems(shop, deep=True)] == [shop.day(1)]


def test_a_replaced_version_is_not_promised_back_by_a_backfill(shop):
    (file,) = (tables(shop) / f"raw_orders/_window={shop.day(2)}").glob("*.parquet")
    shop.feed(d2={"scale": 1.01})
    shop.wait(minutes=1)
    shop.workspace.backfill("raw_orders", shop.day(2), shop.day(2))
    file.unlink()
    (lost,) = problems(shop)
    assert "was replaced since" in lost["hint"] and "backfill" not in lost["hint"]


def test_what_was_decided_is_not_made_again(shop):
    shutil.rmtree(tables(shop) / "refund_predictions")
    (lost,) = problems(shop)
    assert "restore it from a backup" in lost["hint"] and "headwater backfill" not in lost["hint"]
    with pytest.raises(CorruptTable, match="was delivered and is not there any more"):
        shop.opened().backfill("refund_predictions", shop.day(1), shop.day(1))


def test_a_damaged_commit_is_named_once(shop):
    log = tables(shop) / "orders/_delta_log"
    max(log.glob("*.json")).write_text("not json")
    (lost,) = problems(shop)
    assert "the log in" in lost["message"] and lost["window"] is None


@pytest.mark.parametrize(("kind", "folder"), [("code", "code"), ("part", "parts")])
def test_lost_code_and_parts_are_named(shop, kind, folder):
    stored = sorted((shop.folder / ".headwater" / folder).glob(f"*.{kind}"))
    stored[0].unlink()
    stored[1].write_bytes(stored[1].read_bytes() + b"x")
    found = problems(shop)
    assert {item["contents"] for item in found} == {stored[0].stem, stored[1].stem}
    assert all(item["message"].startswith(f"{kind} ") and "from a backup" in item["hint"] for item in found)


def test_a_run_with_a_lost_part_says_that_the_model_is_damaged(shop):
    shutil.rmtree(shop.folder / ".headwater/parts")
    with pytest.raises(CorruptTable, match="not there any more") as caught:
        shop.opened().run(shop.day(3))
    assert caught.value.exit_code == 1 and "train a new version" in caught.value.hint


def test_a_backfill_of_a_window_that_never_was_still_says_so(shop):
    with pytest.raises(DataError, match="never delivered"):
        shop.workspace.backfill("orders", shop.day(3), shop.day(3))
