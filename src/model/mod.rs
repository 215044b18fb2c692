//! Row 1: the neutral conversation. Every wire translates to and from these types, every layer above speaks only them.
//!
//! Nothing here does IO, reads a clock, or knows a provider, but for the spellings in [`google_fields`].

pub mod accumulate;
pub mod aside;
pub mod blame;
pub mod event;
pub mod fault;
pub mod google_fields;
pub mod history;
pub mod message;
pub mod money;
pub mod operation;
pub mod request;
pub mod usage;

pub use accumulate::{Accumulator, Reply};
pub use blame::Blame;
pub use event::{BlockKind, Delta, Stop, StreamEvent};
pub use fault::{Class, ProviderError, Scope};
pub use history::History;
pub use message::{Block, ImageSource, Message, Origin, Part, Role, ToolCall, ToolResult};
pub use operation::{EmbedRequest, Embeddings, Listed, ListedPrice};
pub use request::{CacheMark, Loss, Request, ResponseFormat, ToolChoice, ToolSpec};
pub use usage::Usage;
