"""Things to try imgcache on: a site of our own, and an origin that answers for the hosts that its articles name."""
