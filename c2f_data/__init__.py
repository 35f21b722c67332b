"""Images, labels, resolutions, shards and the statistics of a calibration: everything but networks.

The rooms are named after what they hold; import from them directly, for example
``from c2f_data.taxonomy import Taxonomy``. Nothing is imported here, so that building a
hierarchy loads neither torch nor pandas.
"""
