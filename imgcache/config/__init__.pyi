__all__ = ["Config", "ReaderBudget", "RewritePolicy", "ServePolicy", "load_config"]

from .loading import Config, ReaderBudget, RewritePolicy, ServePolicy, load_config
