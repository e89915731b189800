"""Silent Failures: a public benchmark of who finds the cause of a fault that no job reports.

A pipeline enters as an `entry.Entry` of plain functions, faults with their ground truth and harmless changes; a
detective is what is asked for the culprit afterwards. How to bring either is told in the guide *Enter Silent Failures*.
Faults are planted through the doors that a team has, by code that detection and triage never import.
"""
