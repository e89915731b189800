"""The nouns: frozen records, names, windows, clock, errors and ports. Standard library only."""
