__all__ = ["Workspace", "built_name", "difference", "index_home", "name_of", "root_of"]

from .site_parts import built_name, difference, name_of, root_of
from .workspace import Workspace, index_home
