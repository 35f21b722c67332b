"""The publications of the data sets that c2f knows by name."""

from __future__ import annotations

# Wah et al. 2011; Krause et al. 2013: the only two data sets whose publication c2f knows.
CITATIONS = {
    "cub": (
        "@techreport{WahEtAl2011, author = {Wah, C. and Branson, S. and Welinder, P. and "
        "Perona, P. and Belongie, S.}, title = {The Caltech-UCSD Birds-200-2011 Dataset}, "
        "institution = {California Institute of Technology}, number = {CNS-TR-2011-001}, "
        "year = {2011}}"
    ),
    "cars": (
        "@inproceedings{KrauseEtAl2013, author = {Krause, Jonathan and Stark, Michael and "
        "Deng, Jia and Fei-Fei, Li}, title = {3D Object Representations for Fine-Grained "
        "Categorization}, booktitle = {4th International IEEE Workshop on 3D Representation "
        "and Recognition (3dRR-13)}, address = {Sydney, Australia}, year = {2013}}"
    ),
}
