//! Row 2: layered settings that can say where a value came from.
