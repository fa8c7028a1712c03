"""`make demo`: the daemon's main job on real input, in one command."""
