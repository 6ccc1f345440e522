"""Other published provers, measured beside this one on the same statement: ``make bench-peers``."""
