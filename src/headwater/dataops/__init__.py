"""Data delivery: contracts, datasets as functions over windows, backfill, schema and volume checks."""
