//! Row 4: files, edits and processes of the project that is worked on.

pub mod path;
pub mod process;
pub mod seen;

pub use path::{PathError, Workspace};

#[cfg(test)]
mod path_tests;
