//! Row 3: talks to providers. HTTP driven by the catalogue's data, and the built-in scripted provider.
