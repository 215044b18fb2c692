//! Finds model servers on this machine: Ollama, llama.cpp and LM Studio at their usual ports, or the one that
//! `PUP_LOCAL_BASE_URL` names. Only loopback is probed.
//!
//! Ports and the `owned_by` words are those of each server's documentation and of its own model list.

use crate::base::net::Pool;
use reqwest::Method;
use std::time::Duration;

/// How long a server on the same machine may take to list its models.
const PROBE: Duration = Duration::from_millis(1500);

/// Which program answers, as far as its model list tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Software {
    Ollama,
    LlamaCpp,
    LmStudio,
    Vllm,
    /// Speaks the protocol; nothing else is known of it.
    Unknown,
}

impl Software {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ollama => "Ollama",
            Self::LlamaCpp => "llama.cpp",
            Self::LmStudio => "LM Studio",
            Self::Vllm => "vLLM",
            Self::Unknown => "a server",
        }
    }

    /// The provider of the catalogue that says how it differs from others; none where nothing is known.
    pub const fn provider(self) -> Option<&'static str> {
        match self {
            Self::Ollama => Some("ollama"),
            Self::LlamaCpp => Some("llamacpp"),
            Self::LmStudio => Some("lmstudio"),
            Self::Vllm => Some("vllm"),
            Self::Unknown => None,
        }
    }
}

/// A server that answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    pub base_url: String,
    pub software: Software,
    /// Names of its models, in its order.
    pub models: Vec<String>,
}

/// The usual places, in the order in which they are preferred.
pub const USUAL: [(&str, Software); 3] = [
    ("http://127.0.0.1:11434/v1", Software::Ollama),
    ("http://127.0.0.1:8080/v1", Software::LlamaCpp),
    ("http://127.0.0.1:1234/v1", Software::LmStudio),
];

/// Every usual place that answers with at least one model.
pub async fn find(pool: &Pool) -> Vec<Server> {
    let probes = USUAL.iter().map(|(url, usual)| probe(pool, url, *usual));
    let found = futures_util::future::join_all(probes).await;
    found.into_iter().flatten().filter(|s| !s.models.is_empty()).collect()
}

/// Asks one server for its models; none if nothing there speaks the protocol in time.
/// `usual` is what is assumed where the list does not tell.
pub async fn probe(pool: &Pool, base_url: &str, usual: Software) -> Option<Server> {
    let list = async {
        let list = format!("{}/models", base_url.trim_end_matches('/'));
        let response = pool.request(Method::GET, &list).ok()?.send(PROBE).await.ok()?;
        if !response.status().is_success() {
            return None;
        }
        serde_json::from_slice::<serde_json::Value>(&response.bytes().await.ok()?).ok()
    };
    let list = tokio::time::timeout(PROBE, list).await.ok()??;
    let entries = list.get("data")?.as_array()?;
    let field = |entry: &serde_json::Value, name: &str| entry.get(name).and_then(|v| v.as_str()).map(str::to_owned);
    let models = entries.iter().filter_map(|e| field(e, "id")).collect();
    let owner = entries.iter().find_map(|e| field(e, "owned_by"));
    Some(Server { base_url: base_url.to_owned(), software: software(owner.as_deref(), usual), models })
}

fn software(owned_by: Option<&str>, usual: Software) -> Software {
    match owned_by {
        Some("llamacpp") => Software::LlamaCpp,
        Some("library") => Software::Ollama,
        Some("organization_owner") => Software::LmStudio,
        Some("vllm") => Software::Vllm,
        _ => usual,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_tells_the_software_and_the_port_only_helps() {
        assert_eq!(software(Some("llamacpp"), Software::Unknown), Software::LlamaCpp);
        assert_eq!(software(Some("vllm"), Software::Ollama), Software::Vllm);
        assert_eq!(software(Some("me"), Software::LmStudio), Software::LmStudio);
        assert_eq!((Software::Unknown.provider(), Software::Vllm.provider()), (None, Some("vllm")));
    }
}
