"""How abnormal a number is against its own past: bands, e-processes, and the forms of metrics."""
