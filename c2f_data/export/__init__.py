"""Finished shards in the forms that other loaders read: WebDataset, parquet, folders of classes.

``plan`` says what is wanted; ``samples`` reads the shards one after another; ``webdataset``,
``parquet`` and ``class_folders`` write; ``croissant`` and ``card`` describe what was written;
``export`` does all of it in a folder that ``place`` shows only when it is complete. Nothing is
imported here, and nothing is uploaded anywhere.
"""
