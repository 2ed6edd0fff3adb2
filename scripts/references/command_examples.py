"""An example of each command whose help has none. Options in them are checked by a test."""

from __future__ import annotations

EXAMPLES: dict[str, tuple[str, ...]] = {
    "imgcache sync": ("imgcache sync --dry-run", "imgcache sync --max-time 10m --json"),
    "imgcache audit": ("imgcache audit", "imgcache audit --since origin/main --format sarif --output images.sarif"),
    "imgcache watch": ("imgcache watch path/to/site",),
    "imgcache status": ("imgcache status --json",),
    "imgcache show": ("imgcache show https://images.example.com/2026/01/tide-clock.jpg",),
    "imgcache verify": ("imgcache verify --repair",),
    "imgcache rewrite": ("imgcache rewrite _site", "imgcache rewrite _site --check --offline"),
    "imgcache scan": ("imgcache scan --json",),
    "imgcache quarantine accept": ("imgcache quarantine accept https://images.example.com/2026/01/tide-clock.jpg",),
    "imgcache quarantine list": ("imgcache quarantine list",),
    "imgcache quarantine reject": ("imgcache quarantine reject https://images.example.com/2026/01/tide-clock.jpg",),
    "imgcache gc": ("imgcache gc --dry-run",),
    "imgcache forget": ("imgcache forget https://images.example.com/2026/01/tide-clock.jpg",),
    "imgcache export jekyll": ("imgcache export jekyll --copy-to assets/imgcache",),
    "imgcache export hugo": ("imgcache export hugo --copy-to static/assets/imgcache",),
    "imgcache export eleventy": ("imgcache export eleventy --copy-to assets/imgcache",),
    "imgcache export nginx": ("imgcache export nginx --server-name images.example.org --output imgcache.conf",),
    "imgcache export caddy": ("imgcache export caddy --server-name images.example.org --output Caddyfile",),
    "imgcache serve": ("imgcache serve --port 8080", "imgcache serve --host 0.0.0.0 --workers 4"),
    "imgcache init": ("imgcache init",),
    "imgcache completion": ("imgcache completion bash",),
}
