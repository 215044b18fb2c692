//! The one integration binary: a topic a module.

mod recordings;
