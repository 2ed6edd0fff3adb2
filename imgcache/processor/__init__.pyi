__all__ = ["RenderPool", "probe", "render"]

from .header import probe
from .pool import RenderPool
from .variants import render
