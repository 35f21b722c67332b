"""The command line: a thin skin over c2f_data and c2f_train."""
