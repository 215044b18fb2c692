//! `pup debug classify`: a provider's refusal by hand, and what pup would do about it.

use crate::base::places::Places;
use crate::base::{Failure, clock, nearest};
use crate::catalog::Catalog;
use crate::route;
use crate::wire::Wire;
use crate::wire::classify::{self, Sender, Vendor};
use serde_json::{Value, json};
use std::io::Write;
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Whose error it is: a provider of the catalogue, or any other name, which gets the rules that hold for all
    #[arg(long, value_name = "ID")]
    provider: String,
    /// The HTTP status; 200 for an error inside a good reply
    #[arg(long, value_name = "N")]
    status: u16,
    /// A header of the reply; may be repeated
    #[arg(long = "header", value_name = "NAME: VALUE")]
    headers: Vec<String>,
    /// The reply's body; stdin without it
    pub file: Option<PathBuf>,
}

/// The verdict in the form of `docs/cli.md`.
pub fn run(args: &Args, body: &[u8]) -> Result<Value, Failure> {
    let env = |name: &str| super::app::env(name);
    let catalog = Catalog::load(&Places::from_env()?, None, &env)?;
    let sender = sender(&catalog, &args.provider)?.at(clock::unix_ms());
    let headers = args.headers.iter().map(|line| header(line)).collect::<Result<Vec<_>, _>>()?;
    show(sender, args.status, &headers, body)
}

fn show(sender: Sender, status: u16, headers: &[(String, String)], body: &[u8]) -> Result<Value, Failure> {
    let error = classify::refusal(sender, status, headers, body).ok_or_else(|| {
        Failure::usage(format!("status {status} and no error in the body: there is nothing to classify"))
            .hint("`pup debug decode` shows what a good reply says")
    })?;
    Ok(json!({
        "class": error.class.as_str(),
        "scope": error.scope.as_str(),
        "retry_after_s": error.retry_after_s,
        "verdict": route::verdict(error.class, error.scope).as_str(),
    }))
}

/// A provider of the catalogue by its wire; any other plain name by OpenAI's, which is what such servers speak.
fn sender(catalog: &Catalog, id: &str) -> Result<Sender, Failure> {
    let known = catalog.provider(id);
    let near = || {
        let listed: Vec<&str> = catalog.providers().iter().map(|p| p.id.as_str()).collect();
        let others: Vec<&str> = Vendor::names().filter(|name| !listed.contains(name)).collect();
        nearest::did_you_mean(id, [listed, others].concat())
    };
    let plain = id.starts_with(|c: char| c.is_ascii_alphanumeric())
        && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b':' | b'/'));
    if known.is_none() && !plain {
        let hint = near().unwrap_or_else(|| "`pup models list` has the providers of the catalogue".to_owned());
        return Err(Failure::usage(format!("`{id}` is not a provider's name")).hint(hint));
    }
    if known.is_none() && Vendor::of(id, Wire::OpenaiChat) == Vendor::Unknown {
        let near = near().map(|n| format!(" ({n})")).unwrap_or_default();
        // Only the printed object is a contract; nobody has to read this.
        let _ = writeln!(std::io::stderr(), "pup: `{id}` is not a provider that pup knows{near}; the rules that hold for all apply");
    }
    let wire = known.and_then(|p| p.wire.as_str().parse().ok()).unwrap_or(Wire::OpenaiChat);
    Ok(Sender::new(wire, id))
}

fn header(line: &str) -> Result<(String, String), Failure> {
    let split = line.split_once(':').map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()));
    split
        .filter(|(name, _)| !name.is_empty())
        .ok_or_else(|| Failure::usage(format!("`{line}` is not a header")).hint("write it as on the wire: --header 'Retry-After: 7'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(provider: &str, status: u16, lines: &[&str], body: &str) -> String {
        let headers: Vec<_> = lines.iter().map(|l| header(l).unwrap()).collect();
        show(Sender::new(Wire::OpenaiChat, provider), status, &headers, body.as_bytes()).unwrap().to_string()
    }

    #[test]
    fn it_prints_the_contract_and_nothing_else() {
        let limit = r#"{"error":{"code":"rate_limit_exceeded","message":"m"}}"#;
        let got: Value = serde_json::from_str(&printed("openai", 429, &["Retry-After: 7"], limit)).unwrap();
        assert_eq!(got, json!({"class": "rate_limit", "scope": "key", "retry_after_s": 7.0, "verdict": "next_key"}));
        let got: Value = serde_json::from_str(&printed("together", 403, &[], "")).unwrap();
        assert_eq!(got, json!({"class": "context_too_long", "scope": "request", "retry_after_s": null, "verdict": "compact"}));
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        let good = show(Sender::default(), 200, &[], br#"{"choices":[]}"#).unwrap_err();
        assert!(good.message.contains("nothing to classify"), "{}", good.message);
        assert!(header("Retry-After 7").unwrap_err().message.contains("Retry-After 7"));
    }
}
