//! `api-key-header`: Azure takes a resource's key in a header of its own; `authorization` is for its logins.

use super::Quirk;
use crate::wire::KeyStyle;

pub(super) const QUIRK: Quirk = Quirk {
    name: "api-key-header",
    what: "shows the key as `api-key: KEY` instead of `authorization: Bearer KEY`",
    apply: |dialect| dialect.key = Some(KeyStyle::ApiKey),
};
