"""How fast c2f is, beside named baselines measured in the same run: ``python -m benchmarks.NAME``.

Not part of the installed package.
"""
