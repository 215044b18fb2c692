//! Row 4: files, edits and processes of the project that is worked on.
