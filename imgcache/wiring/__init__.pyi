__all__ = ["Workspace", "difference", "index_home", "name_of", "root_of"]

from .site_parts import difference, name_of, root_of
from .workspace import Workspace, index_home
