"""The tests: through the front door, with a fake only at the seam."""
