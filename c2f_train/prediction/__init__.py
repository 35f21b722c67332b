"""How fine an answer can be trusted: from an image to a path through the hierarchy.

:class:`c2f_train.predict.Predictor` answers. What it needs besides a model are weights and a
guarantee, which :mod:`c2f_train.prediction.fit` finds on images that were held out of training.
"""
