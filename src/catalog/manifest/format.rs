//! The form of `plugin.json`: what a plugin provides. This version knows logins and the terms that come before them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One `plugin.json`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct File {
    /// Address of this schema, for editors; pup ignores it.
    #[serde(rename = "$schema")]
    pub json_schema: Option<String>,
    /// Version of the form: 1.
    pub schema: Option<u32>,
    /// For people.
    pub description: Option<String>,
    pub provides: Provides,
}

/// What a plugin provides. Only built-in plugins and the user's own may provide these.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Provides {
    /// Logins, by provider id of the catalogue.
    pub oauth: BTreeMap<String, OAuthEntry>,
    /// What a user has to agree to, by provider id.
    pub terms: BTreeMap<String, TermsEntry>,
}

/// A login as a file says it. A user's entry of the id of a built-in one changes it key by key.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OAuthEntry {
    /// The name for people.
    pub display_name: Option<String>,
    /// The id of the client that the user logs in to.
    pub client_id: Option<String>,
    /// The variable (of the environment, or of `.env` in the config folder) that holds the client's id, if it does.
    pub client_id_env: Option<String>,
    /// The variable that holds the client's secret, for providers that ask installed programs for one. The secret itself
    /// never stands in a plugin.
    pub client_secret_env: Option<String>,
    pub endpoints: Endpoints,
    pub scopes: Option<Vec<String>>,
    /// How the bodies of token requests are written.
    pub token_body: Option<TokenBody>,
    /// The same for revocation, where it differs.
    pub revoke_body: Option<TokenBody>,
    /// Whether `state` is repeated in the exchange of the code.
    pub state_in_body: Option<bool>,
    /// Further parameters of the address that the user opens.
    pub authorize_params: BTreeMap<String, String>,
    /// Further fields of the code's exchange and of refreshes.
    pub token_params: BTreeMap<String, String>,
    pub redirect: Option<Redirect>,
    /// Where the provider shows the code instead of sending it to this machine; for `--no-browser`.
    pub paste: Option<Paste>,
    pub account_from: Option<AccountFrom>,
    /// What the plain flows do not cover.
    pub strategy: Option<Strategy>,
    /// The cloud project to use instead of one that is found; for `google_onboard`.
    pub project: Option<String>,
    /// `host` or `host:port`: where a token may be sent, besides the endpoints above. Stored with each login.
    pub allowed_hosts: Option<Vec<String>>,
    /// Sent with every request that carries the token; `{account}` is the account's id.
    pub headers: BTreeMap<String, String>,
}

/// Addresses of a login. Which of them are needed depends on what the provider offers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Endpoints {
    /// Opened by the user; without it only the device flow is left.
    pub authorize: Option<String>,
    /// Exchanges codes and refreshes tokens.
    pub token: Option<String>,
    /// Takes back a refresh token.
    pub revoke: Option<String>,
    /// Starts the device flow.
    pub device: Option<String>,
    /// Asked whether the user is done, where that is not the token endpoint.
    pub device_token: Option<String>,
    /// The page for the code, where the device flow's answer does not say.
    pub device_page: Option<String>,
    /// The redirect address that device codes belong to.
    pub device_redirect: Option<String>,
    /// Tells who the token belongs to.
    pub userinfo: Option<String>,
    /// Finds, or makes, the cloud project of an account.
    pub onboard: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TokenBody {
    #[default]
    Form,
    Json,
}

/// Where the provider sends the browser after the user agreed: `http://localhost:PORT/PATH`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Redirect {
    /// Tried in order; 0 is any free one.
    pub ports: Vec<u16>,
    /// From the slash on.
    pub path: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Paste {
    /// The provider's own page, which shows what to paste.
    pub redirect_uri: String,
}

/// Where the account is read from. Without it a login has no name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AccountFrom {
    /// Looked through in order.
    pub sources: Vec<AccountSource>,
    /// JSON pointers to the account's id; the first that leads somewhere.
    pub id: Vec<String>,
    /// JSON pointers to a name for people.
    pub email: Vec<String>,
    /// JSON pointers to the plan.
    pub plan: Vec<String>,
    /// Whether a login without an account's id is of no use.
    pub required: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AccountSource {
    /// The claims of the id token.
    IdToken,
    /// The claims of the access token, where that is a JWT.
    AccessToken,
    /// The answer that the tokens came in.
    TokenResponse,
    /// The answer of `endpoints.userinfo`.
    Userinfo,
}

/// Flows that need code of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    #[default]
    None,
    /// The device flow of RFC 8628.
    Rfc8628,
    /// OpenAI's device flow.
    CodexDevice,
    /// Google Cloud Code Assist: a project belongs to the account.
    GoogleOnboard,
}

/// What a user has to agree to before a provider is used.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TermsEntry {
    /// Paragraphs, shown before the question.
    pub text: Vec<String>,
    /// Where the provider's own words are.
    pub links: Vec<String>,
}
