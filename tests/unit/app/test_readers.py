"""Who reads a column is told from contracts, code, carried columns, models and the lineage of others."""

from datetime import UTC, datetime

import pytest

from headwater.app.readers import readers
from headwater.core.ports import Entry
from unit.observe.test_journeys import event


@pytest.fixture
def line(shop):
    return shop.line


def told(line, name, *columns):
    return readers(line, line.assets[name], columns)


def test_each_kind_of_reader_is_named(line):
    found = told(line, "orders", "euros", "at", "shop", "nobody")
    assert "its contract" in found["euros"]
    assert "dataset:shop/history" in found["euros"], "history aggregates it under another name"
    assert "dataset:shop/history" in found["at"]
    assert "nobody" not in found
    features = told(line, "order_features", "euros", "mean_euros", "size")
    assert "model:shop/refund" in features["euros"] and "model:shop/refund" in features["size"]


def test_a_column_that_no_code_names_is_read_by_nobody(line):
    assert told(line, "raw_shops", "opened_by") == {}


def test_jobs_of_others_count_by_their_column_lineage(line):
    fields = {"total": {"inputFields": [{"namespace": "shop", "name": "orders", "field": "voucher"}]}}
    facets = {"columnLineage": {"fields": fields, "_producer": "p", "_schemaURL": "u"}}
    made = event("COMPLETE", "2024-03-16", 1.0, "load_bi", inputs=[{"namespace": "shop", "name": "orders"}],
                 outputs=[{"namespace": "bi", "name": "vouchers", "facets": facets}])  # fmt: skip
    assert told(line, "orders", "voucher") == {}
    line.record([Entry("event", "job:airflow/load_bi", made, datetime(2024, 3, 17, tzinfo=UTC))])
    assert told(line, "orders", "voucher") == {"voucher": ["dataset:bi/vouchers"]}


def test_a_column_that_is_gone_was_read_by_who_passed_it_on(shop):
    """What carries it on has lost it too, by the time that somebody asks."""
    shop.edit("frames.append(frame.head(", 'frame = frame.drop("age") if day >= "2024-03-18" else frame\n'
              "        frames.append(frame.head(")  # fmt: skip
    for number in (3, 4, 5):
        shop.run(number)
        assert "age" not in shop.frame("orders", number).columns
        assert "dataset:shop/orders" in told(shop.line, "raw_orders", "age")["age"]
    verdict = shop.only()["verdict"]
    assert (verdict["subject"], verdict["fault"]) == ("dataset:shop/raw_orders", "missing_column")
    assert shop.workspace.why("1")["runbook"]["title"] == "A column is gone"


def test_what_is_only_passed_on_is_read_by_nobody(shop):
    """A stamp of the delivery that came for two days: everything carries it on, and nothing needs it."""
    shop.edit("frames.append(frame.head(", 'frame = frame.with_columns(batch=pl.lit(7)) if day == "2024-03-18" '
              "else frame\n        frames.append(frame.head(")  # fmt: skip
    for number in (3, 4, 5):
        shop.run(number)
        assert ("batch" in shop.frame("orders", number).columns) == (
            "batch" in shop.frame("raw_orders", number).columns
        )
        assert told(shop.line, "raw_orders", "batch") == {}
    assert shop.workspace.incidents() == []


def test_helpers_and_lists_of_the_module_are_looked_into(shop):
    shop.edit("def orders(raw_orders):", "COLUMNS = ['voucher']\n\n\ndef helper(frame):\n"
              "    return frame.select(pl.col(['till']))\n\n\n@project.dataset(layer=\"staged\", name=\"sums\")\n"
              "def sums(raw_orders):\n    return helper(raw_orders.select(COLUMNS))\n\n\n"
              "@project.dataset(layer=\"staged\", key=[\"order\"], time=\"at\")\ndef orders(raw_orders):")  # fmt: skip
    text = (shop.folder / "pipeline.py").read_text()
    doubled = '@project.dataset(layer="staged", key=["order"], time="at")\nCOLUMNS'
    (shop.folder / "pipeline.py").write_text(text.replace(doubled, "COLUMNS"))
    line = shop.opened().line
    found = told(line, "raw_orders", "voucher", "till", "unheard")
    assert set(found) == {"voucher", "till"}
