"""Intake of events, evidence, the lineage graph, and the monitors that turn evidence into findings."""
