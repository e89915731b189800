"""Whole frames: their identity, their differences, and windows of them on top of each other."""
