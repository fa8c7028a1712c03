"""`make bench`: every figure that the project promises, measured against a peer in the same run."""
