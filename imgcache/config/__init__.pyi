__all__ = ["Config", "ReaderBudget", "ServePolicy", "load_config"]

from .loading import Config, ReaderBudget, ServePolicy, load_config
