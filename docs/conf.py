"""Sphinx configuration. Build with `tox -e docs`; warnings are errors."""

from __future__ import annotations

from importlib.metadata import version as installed

project = "actorflow"
author = "actorflow contributors"
copyright = "actorflow contributors"
release = installed("actorflow")
version = ".".join(release.split(".")[:2])

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"actorflow {version}"

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_inherit_docstrings = False
napoleon_google_docstring = True
napoleon_numpy_docstring = False
