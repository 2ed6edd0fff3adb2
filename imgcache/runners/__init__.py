"""Where the jobs of a run are done: here, so far."""
