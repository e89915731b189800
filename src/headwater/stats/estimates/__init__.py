"""Performance before labels arrive: estimators, their bands, and when they abstain."""
