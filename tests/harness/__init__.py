"""Real programs for the tests: a Synapse, the installed daemon, and people who talk."""
