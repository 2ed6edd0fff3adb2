__all__ = ["Budget", "ClusterRunner", "LocalRunner", "Progress", "Schedule", "ShardHandler", "Shards", "WorkerGroup"]

from .budget import Budget
from .cluster import ClusterRunner, WorkerGroup
from .local import LocalRunner
from .progress import Progress
from .schedule import Schedule
from .shards import Shards
from .worker_session import ShardHandler
