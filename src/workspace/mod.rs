//! Row 4: files, edits and processes of the project that is worked on.

pub mod diff;
pub mod edit;
pub mod file;
pub mod locate;
pub mod path;
pub mod process;
pub mod seen;
mod similar_lines;

pub use path::{PathError, Workspace};

#[cfg(test)]
mod edit_tests;
#[cfg(test)]
mod path_tests;
