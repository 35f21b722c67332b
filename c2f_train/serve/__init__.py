"""A local page and HTTP API over :class:`c2f_train.predict.Predictor`; extra ``serve``.

``limits`` says how much it takes, ``guard`` turns away what is too large, too slow or not meant for
this server, ``desk`` answers one image at a time, ``app`` has the addresses. Nothing is imported
here. No part of a request ever becomes a path, and no upload reaches the disk.
"""
