"""Profiles of tables: one pass over each column into summaries that merge, and the numbers that follow from them."""
