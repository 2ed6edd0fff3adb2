"""The audit: what is broken, where, since when, and what to do."""
