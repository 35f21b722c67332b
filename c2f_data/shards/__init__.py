"""Three-resolution data sets in HDF5: planned, built, resumed, read and verified.

``schema`` (with ``input_side``) and ``tasks`` say what goes where, ``estimate`` what it will cost;
``encode`` (with ``encodings``), ``hdf5`` (with ``attributes``) and ``build`` make one shard;
``pool``, ``lock`` and ``writer`` make all of them; ``manifest`` and ``head`` check what is read;
``reader``, ``verify`` and ``repair`` use it, and ``alone`` and ``summary`` look at shards of which
nothing else is known. Nothing is imported here: reading needs no torch, building does.
"""
