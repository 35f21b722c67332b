"""Three-resolution data sets in HDF5: planned, built, resumed, read and verified.

``schema`` and ``tasks`` say what goes where; ``encode``, ``hdf5`` and ``build`` make one shard;
``pool``, ``lock`` and ``writer`` make all of them; ``manifest`` and ``head`` check what is read;
``reader`` and ``verify`` use it. Nothing is imported here: reading needs no torch, building does.
"""
