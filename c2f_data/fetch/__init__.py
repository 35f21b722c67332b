"""Downloading a data set's archive: resumable, checked, and whole or not there.

``resume`` is the HTTP part: one file, continued where it broke off. ``archive`` is the rest: which
file, where it goes, its checksum, one download at a time. Nothing is imported here.
"""
