//! Row 3: the journal of a session.
