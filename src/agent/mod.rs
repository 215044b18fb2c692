//! Row 6: the turn machine, its driver, and prompts.
