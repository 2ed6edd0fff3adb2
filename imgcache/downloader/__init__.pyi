__all__ = ["ConnectTo", "Downloader", "Guard", "HostStatistics", "Prober"]

from .fetch import Downloader
from .http.connect_to import ConnectTo
from .http.guard import Guard
from .http.statistics import HostStatistics
from .probe import Prober
