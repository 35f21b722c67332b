"""Data only: hierarchy tables as CSV (see README.md), installed as ``c2f_taxonomies``."""
