"""The report's figures and tables as files for a paper: SVG, PNG, PDF, LaTeX, CSV."""

from c2f_train.publication.write import FORMATS, write_figures, write_tables

__all__ = ["FORMATS", "write_figures", "write_tables"]
