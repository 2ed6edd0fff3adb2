"""Records which article uses which image: the relations of a site, in SQLite.

`catalogue.py` has the class `Catalogue`; the other modules have one group of tables or queries each. Everything here
can be rebuilt by reading the articles: a damaged file is deleted.
"""
