"""Everything with a network: training, calibration, prediction, reports."""
