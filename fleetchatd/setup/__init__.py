"""Setting up: `fleetchat init`, `login`, `logout`, `check` and `doctor`."""
