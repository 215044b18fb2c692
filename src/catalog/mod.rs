//! Row 2: providers, models, chains (`models.json` and its overlays) and agent files.
