"""From findings to a verdict: incidents, replay, suspects, remedies, signatures."""
