"""The paper's Table 3 from one command: every step of it, resumable, and the table."""
