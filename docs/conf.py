"""Sphinx settings."""

import re
import warnings

import sklae

project = "sklae"
author = "the sklae developers"
copyright = "2026, the sklae developers"
version = release = sklae.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "myst_parser",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
exclude_patterns = ["_build", "examples", "**/.ipynb_checkpoints"]
templates_path = ["_templates"]
default_role = "literal"
nitpicky = False

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

autosummary_generate = True
autodoc_typehints = "none"  # the docstrings say it
autodoc_inherit_docstrings = False  # a part's page shows what is its own
toc_object_entries_show_parents = "hide"
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False
numpydoc_xref_param_type = False

sphinx_gallery_conf = {
    "examples_dirs": "examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": r"/plot_",
    "within_subsection_order": "FileNameSortKey",
    "abort_on_example_error": True,
    "capture_repr": (),
    "show_signature": False,
    "download_all_examples": False,
    "remove_config_comments": True,
    "reset_modules": ("matplotlib",),
    "min_reported_time": 60,
    "show_memory": False,
}

html_theme = "pydata_sphinx_theme"
html_title = "sklae"
html_static_path = ["_static"]
html_css_files = ["sklae.css"]
html_show_sourcelink = False
html_show_sphinx = False
_ALONE = ["changelog", "comparison", "contributing", "extending", "faq", "install", "limits", "maths", "topics"]
html_sidebars = {page: [] for page in _ALONE}  # pages without others below them
html_theme_options = {
    "logo": {"text": "sklae"},
    "show_nav_level": 1,
    "navigation_with_keys": False,
    "show_prev_next": True,
    "secondary_sidebar_items": ["page-toc"],
    "navbar_end": ["theme-switcher"],
    "footer_start": ["copyright"],
    "footer_end": [],
}

# examples train for few epochs, and say so
warnings.filterwarnings("ignore", message="Maximum iterations")


def escape_fitted_names(app, what, name, obj, options, lines):
    """Let docstrings say n_components_ where reST would look for a link of that name."""
    literal_or_name = re.compile(r"(`+[^`]*`+)|(?<![\w.])([A-Za-z]\w*)_(?!\w)")
    for number, line in enumerate(lines):
        if not line.lstrip().startswith((">>>", "...")):
            lines[number] = literal_or_name.sub(lambda found: found[1] or rf"{found[2]}\_", line)


def setup(app):
    """Connect the above, to run before numpydoc."""
    app.connect("autodoc-process-docstring", escape_fitted_names, priority=100)
