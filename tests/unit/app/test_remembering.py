"""An incident that came back: what is remembered of it, and why the check of last time did not stop it."""

from dataclasses import replace

import pytest

from headwater.app.remembering import parsed, remembered, runbook, why_not_stopped


def broken_again(shop, factor, number):
    shop.edit('pl.col("amount") * 1.5)', f'pl.col("amount") * {factor})')
    shop.run(number)
    return shop.workspace.why("2")


@pytest.fixture
def again(recoded, closed):
    """The code of the orders went wrong, was rolled back and closed; a week later it goes wrong in another way."""
    closed(recoded, 4)
    recoded.run(5)
    return recoded


def test_a_fault_that_came_back_is_said_counted_and_linked(again):
    first = again.workspace.why("1")
    assert (first["recurrence"], first["similar"]) == (None, [])
    told = broken_again(again, 1.7, 6)
    assert (told["recurrence"]["times"], told["recurrence"]["last"]) == (2, "incident:shop/1")
    assert told["recurrence"]["remedy"] == "rollback_code"
    assert told["recurrence"]["check"] == "change_share"
    (alike,) = told["similar"]
    assert (alike["incident"], alike["subject"], alike["held"]) == ("incident:shop/1", "dataset:shop/orders", False)
    assert alike["parts"]["fault"] == alike["parts"]["subject"] == alike["parts"]["side"] == 1.0


def test_the_check_of_last_time_said_so_and_let_the_rows_pass(again):
    told = broken_again(again, 1.7, 6)["recurrence"]
    day = again.day(6)
    assert told["prevention"] == (
        f"the check `change_share` failed in window {day} and said so, and let the rows pass: its severity is warning"
    )


def test_a_check_that_was_taken_out_is_missed(again):
    path = again.folder / "contracts/orders.yaml"
    text = path.read_text()
    assert "change_share" in text
    path.write_text(text.replace("name: change_share", "name: something_else"))
    told = broken_again(again, 1.7, 6)["recurrence"]
    assert told["prevention"].startswith("the check `change_share` is not in the contract of `orders`")


def test_a_check_that_passed_says_what_it_saw(in_cents, closed):
    closed(in_cents, 5)
    incident = in_cents.line.state.incidents.get("1")
    check = incident.prevention
    in_cents.run(6)
    quiet = replace(incident, verdict=replace(incident.verdict, start_window=in_cents.day(6)))
    said = why_not_stopped(in_cents.line, quiet, check)
    assert said.startswith(f"the check `{check['name']}` ran and passed: {check['implementation']['metric']} was ")
    assert said.endswith("is allowed")
    late = replace(incident, verdict=replace(incident.verdict, start_window=in_cents.day(9)))
    assert "did not run" in why_not_stopped(in_cents.line, late, check)


def test_without_a_check_that_is_said(recoded):
    incident = recoded.line.state.incidents.get("1")
    assert "no check was written" in why_not_stopped(recoded.line, incident, None)


def test_the_runbook_is_filled_in(recoded):
    book = recoded.workspace.why("1")["runbook"]
    assert (book["fault"], book["title"]) == ("transform_code", "A job's code changed its rows")
    assert any("`headwater approve orders --dry-run`" in step for step in book["steps"])
    assert not any(word in step for step in book["steps"] for word in ("INCIDENT", "ASSET", "WINDOW"))
    assert any("incident:shop/1" in step for step in book["steps"])


def test_the_runbook_names_all_windows_that_the_remedy_is_about(in_cents):
    """An owner delivers again what was hit, which is more than the window it began in."""
    incident = in_cents.line.state.incidents.get("1")
    remedy = replace(incident.verdict.remedy, windows=(in_cents.day(3), in_cents.day(4)))
    held = replace(incident, verdict=replace(incident.verdict, fault="null_burst", remedy=remedy))
    steps = runbook(in_cents.line, held)["steps"]
    again = f"headwater backfill raw_orders --from {in_cents.day(3)} --to {in_cents.day(4)}`"
    assert any(again in step for step in steps)
    assert not any(word in step for step in steps for word in ("WINDOW", "UNTIL"))


def test_what_is_remembered_is_no_part_of_what_is_signed(again):
    told = broken_again(again, 1.7, 6)
    incident = again.line.state.incidents.get("2")
    assert told["evidence_hash"] == incident.verdict.id
    assert remembered(again.line, incident)["recurrence"] is not None
    assert not {"recurrence", "similar", "runbook"} & set(incident.verdict.body())


def test_a_dispute_shows_its_next_test(recoded):
    recoded.workspace.sign("1", "ml", "bob", disagree="not convinced")
    told = recoded.workspace.why("1")
    assert told["next_test"].startswith("`orders` failed if its present code gives other rows")
    assert recoded.only()["next_test"] == told["next_test"]


def test_steps_are_read_as_lines():
    page = "# Title\n\nWhat it is.\n\n1. One\n   goes on.\n2. Two.\n"
    assert parsed(page) == ("Title", ["One goes on.", "Two."])
