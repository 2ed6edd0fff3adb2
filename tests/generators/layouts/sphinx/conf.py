project = "Tides"
extensions = ["myst_parser"]
html_baseurl = "https://site.example/news/"
html_static_path = ["_static"]
html_css_files = ["style.css"]
html_js_files = ["late.js"]
html_copy_source = False
html_show_sourcelink = False
