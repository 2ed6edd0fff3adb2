__all__ = ["Endpoint", "app", "build", "choose_protocol", "reach"]

from .application import app, build
from .endpoint import Endpoint
from .upstream import reach
from .uvicorn_parts import choose_protocol
