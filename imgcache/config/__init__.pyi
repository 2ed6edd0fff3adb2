__all__ = ["Config", "ReaderBudget", "RewritePolicy", "ServePolicy", "load_config"]

from .defaults import Config, ReaderBudget, RewritePolicy, ServePolicy
from .loading import load_config
