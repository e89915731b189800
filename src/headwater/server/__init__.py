"""Doors for other programs: the HTTP API, receivers and the console stand here."""
