//! Row 4: files, edits and processes of the project that is worked on.

pub mod checkpoint;
pub mod commit;
pub mod diff;
pub mod edit;
pub mod encoding;
pub mod file;
mod indentation;
mod lease;
pub(crate) mod lines;
pub mod locate;
pub mod omission;
pub mod patch;
pub mod path;
pub mod process;
pub mod rollback;
pub mod seen;
mod similar_lines;
mod splice;

pub use path::{PathError, Workspace};

#[cfg(test)]
mod edit_tests;
#[cfg(test)]
mod path_tests;
