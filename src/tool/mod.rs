//! Row 5: what a model can call, one file a tool, spec and runtime on one object.
