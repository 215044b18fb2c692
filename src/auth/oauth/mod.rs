//! Logins: made with OAuth as the provider's manifest says, kept in the vault, renewed ahead of their end, ended on request.
//!
//! Making one goes [`Flow`] (or [`Device`]) → [`Grant`] → [`keep`]. Using one is [`Login`], which is asked for a token
//! before each request. The forms of the requests are the `oauth2` crate's; what servers make of them is not always the
//! standard's, and [`Transport`] stands in between.

mod account;
pub mod browser;
mod callback;
mod client;
mod device;
mod end;
mod flow;
mod grant;
mod keep;
mod login;
mod logins;
mod onboard;
mod page;
pub mod paste;
mod record;
mod store;
mod transport;
mod trouble;

pub use callback::Callback;
pub use client::{Client, Variables};
pub use device::Device;
pub use end::{Revoked, end};
pub use flow::Flow;
pub use grant::Grant;
pub use keep::keep;
pub use login::{Bearer, Login};
pub use logins::Logins;
pub use record::{Ended, Freshness, Record};
pub use store::{ACCESS, Shelf, Store, token_id};
pub use transport::Transport;
pub use trouble::{Kind, Trouble};

use oauth2::{ErrorResponse, RequestTokenError};

/// What the `oauth2` crate says went wrong. Refusals never come this way: [`Transport`] has read them.
fn failed<E: ErrorResponse>(error: RequestTokenError<Trouble, E>) -> Trouble {
    match error {
        RequestTokenError::Request(trouble) => trouble,
        RequestTokenError::ServerResponse(said) => Trouble::refused(format!("the server answered {said}")),
        // The body is not repeated: it may hold tokens.
        RequestTokenError::Parse(error, _) => Trouble::passing(format!("the server's answer is not what it should be: {error}")),
        RequestTokenError::Other(what) => Trouble::passing(what),
    }
}
