//! Row 8: the command line.
