"""One module per outside system, each behind a port of core. Only app.wiring names them."""
