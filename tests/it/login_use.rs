//! Logins in use: tokens that end in the middle of a task, many processes at once, refusals, and where a token never goes.
