//! Row 4: the one door to a model: which link to try, when to retry, when to give up.
