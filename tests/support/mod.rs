//! What integration tests stand on: a hermetic environment, a scripted model server, a pseudo terminal.
//!
//! ```ignore
//! let server = Server::script([Reply::tool_call("read_file", json!({"path": "a.txt"})), Reply::text("It says hi.")]);
//! let env = TestEnv::new();
//! env.write("a.txt", "hi\n");
//! env.pup().args(["run", "what is in a.txt?"]).model_server(&server).run().expect_code(0);
//! assert_eq!(server.finish().len(), 2);
//! ```

pub mod authority;
pub mod browser;
pub mod env;
pub mod generate;
pub mod http;
pub mod invariant;
pub mod launch;
pub mod need;
pub mod proxy;
pub mod pty;
pub mod reply;
pub mod request;
pub mod responses;
pub mod rules;
pub mod server;
pub mod tls;
pub mod wire;

pub use authority::Authority;
pub use env::TestEnv;
pub use launch::{Launch, Outcome, Stdin, Stdout};
pub use proxy::Proxy;
pub use pty::{Key, Terminal};
pub use reply::{Api, Cut, Framing, Reply};
pub use server::{Request, Server};
pub use tls::{Ca, Front};
pub use wire::{Answer, End, WireServer};
