__all__ = [
    "NEVER_ENTERED",
    "SIGNATURE",
    "TEMPLATE_ENDINGS",
    "Layout",
    "Mount",
    "Role",
    "layout_of",
]

from .detection import layout_of
from .layout import NEVER_ENTERED, SIGNATURE, TEMPLATE_ENDINGS, Layout, Mount, Role
