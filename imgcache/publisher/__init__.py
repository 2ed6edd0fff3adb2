"""Brings the cached images to the pages that readers open.

`export/` writes data files, templates and web server configurations for the build of a site. `placement.py` puts the
files of images where pages ask for them, `picture_data.py` holds what a `<picture>` needs.
"""
