"""Builders that make a :class:`c2f_data.taxonomy.Taxonomy`: from committed tables or any CSV."""
