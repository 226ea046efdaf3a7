"""How Sphinx makes the site; ``scripts/docs_site.py`` calls it once for each language."""

from __future__ import annotations

import site
from pathlib import Path

HERE = Path(__file__).parent

# The reference is made from docstrings, and so imports what Airflow needs; the tools of the site come first.
for packages in HERE.parent.glob(".venv/lib/python*/site-packages"):
    site.addsitedir(str(packages))

project = "airflow-bitrix"
html_title = "airflow-bitrix"

extensions = ["myst_parser", "sphinx.ext.autodoc"]
myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence"]
autodoc_typehints = "none"
autodoc_member_order = "bysource"
autodoc_inherit_docstrings = False

templates_path = [str(HERE / "_templates")]
locale_dirs = ["_locale"]
html_static_path = [str(HERE / "_static")]
html_css_files = ["site.css"]
html_theme = "furo"
html_theme_options = {"top_of_page_buttons": []}
html_sidebars = {
    "**": [
        "sidebar/brand.html",
        "languages.html",
        "sidebar/search.html",
        "sidebar/scroll-start.html",
        "sidebar/navigation.html",
        "sidebar/scroll-end.html",
    ]
}
html_context = {"languages": {"en": "English", "ru": "Русский"}}
html_show_copyright = False
html_show_sphinx = False
html_copy_source = False
html_use_index = False
pygments_style = "a11y-high-contrast-light"
pygments_dark_style = "a11y-high-contrast-dark"
html_show_search_summary = False
