"""Partner's HTTP: parse, call a handler, answer."""
