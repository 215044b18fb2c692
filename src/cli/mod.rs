//! Row 8: the command line.

pub mod debug_tool;
