//! One command from spawn to the last of its descendants.

/// A command's process, for the journal: enough to find and end it after a crash.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Spawned {
    pub pid: u32,
    /// Its process group and session, which it leads.
    pub pgid: u32,
    /// When it started, in the kernel's clock ticks since boot: tells it from a later process with the same id.
    /// `None` where the system has no /proc.
    pub start_time: Option<u64>,
    /// The value of `PUP_CALL` in the environment of it and of everything that it starts.
    pub marker: String,
}
