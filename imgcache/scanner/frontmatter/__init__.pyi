__all__ = [
    "DEFAULT",
    "IMAGE_EXTENSIONS",
    "Fields",
    "FrontMatter",
    "MarkupValue",
    "Outline",
    "apply",
    "apply_to_file",
    "check_utf8",
    "outline",
    "parse",
    "read",
    "read_file",
]

from .edits import apply
from .fields import DEFAULT, IMAGE_EXTENSIONS, Fields
from .reading import FrontMatter, Outline, outline, parse, read
from .texts import MarkupValue
from .whole_files import apply_to_file, read_file
from .yaml_marks import check_utf8
