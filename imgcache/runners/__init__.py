"""Runs the jobs of a sync or an audit in this process or on the workers of a cluster, under a schedule and a budget."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
