"""The last that the fork server of `render_pool` imports, and nobody else: it and its workers write on no terminal.

libtiff and others write there what a file told them to. And a worker that is still starting when the run is over ends
with a traceback, for Pebble takes its locks away before it ends it.
"""

import os

_nowhere = os.open(os.devnull, os.O_WRONLY)
os.dup2(_nowhere, 2)
os.close(_nowhere)
