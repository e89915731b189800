"""What happened to a source table: what its normal is, and the repair that brings an abnormal frame back to it."""
