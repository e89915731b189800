"""For tests, ours and yours: a conformance suite per port, fakes, and generators of events and faults."""
