//! Row 3: credentials. For now: keys from the environment.
