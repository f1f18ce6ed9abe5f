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
exclude_patterns = ["_build", "examples", "generated/backreferences/*", "**/.ipynb_checkpoints"]
templates_path = ["_templates"]
default_role = "literal"
nitpicky = False
# `nox -s links`: needs the network, hence is no test
linkcheck_timeout = 30
linkcheck_retries = 2
linkcheck_workers = 4
linkcheck_anchors_ignore_for_url = [r"https://github\.com/.*"]  # anchors there are made by scripts
linkcheck_allowed_redirects = {r"https://doi\.org/.*": r"https://.*"}

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

autosummary_generate = True
# What pages of the reference show of what the object draws: file of docs/images/pictures -> what it shows.
autosummary_context = {
    "pictures": {
        "ArchitectureDisplay": {"architecture": "A bar for each layer, with shapes and numbers of parameters."},
        "ExplanationDisplay": {"explanation": "What each column adds to the anomaly of a row."},
        "ImputationDisplay": {"imputation": "Observed and filled values, column by column."},
        "InterpolationDisplay": {
            "interpolation": "Digits that become other digits.",
            "interpolated_table": "A wine that becomes another one, column by column.",
        },
        "KLDisplay": {"kl": "Nats by component, the most telling first."},
        "LatentGridDisplay": {"latent_grid": "Decoded codes on a grid: digits that turn into each other."},
        "LatentSpaceDisplay": {
            "latent_space": "Codes of digits, coloured by digit.",
            "latent_density": "100,000 codes as a density, two of them far out.",
        },
        "LossCurveDisplay": {
            "loss_curves": "The loss of two models, on training and on validation rows.",
            "loss_terms": "The KL term and the learning rate by epoch.",
        },
        "OutlierScoreDisplay": {"outlier_scores": "How many rows have which score, and the threshold."},
        "ReconstructionDisplay": {
            "reconstructions": "Digits, noisy digits, and what the model makes of these.",
            "reconstructed_table": "Rows of a table above their reconstructions.",
        },
        "SynthesisDisplay": {
            "synthesis": "Real and synthetic values of the columns that differ most.",
            "synthesis_pairs": "Real and synthetic rows, by pair of columns.",
        },
        "TraversalDisplay": {"traversal": "A digit, varied along its components."},
        "image_grid": {"latent_grid": "Pictures in a grid; these are drawn by `LatentGridDisplay`."},
        "latent_map": {"latent_space": "What `LatentSpaceDisplay` draws, to which this is a short way."},
        "reconstructions": {"reconstructions": "What `ReconstructionDisplay` draws, to which this is a short way."},
        "score_histogram": {"outlier_scores": "What `OutlierScoreDisplay` draws, to which this is a short way."},
        "summary": {"architecture": "What `ArchitectureDisplay` draws, and this says in text."},
        "training_curve": {"loss_curves": "What `LossCurveDisplay` draws, to which this is a short way."},
    }
}
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
    "backreferences_dir": "generated/backreferences",
    "doc_module": ("sklae",),
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
    # examples have wide code, and are short
    "secondary_sidebar_items": {
        **{pages: ["page-toc"] for pages in ("*", "guide/*", "api/*", "generated/*")},
        "auto_examples/*": [],
    },
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
