//! The provider's refusals, where they mean more on this wire than their words and status say.
//!
//! Before a reply they come with an HTTP status; inside one as the event `error`, flat or with an object in it, sometimes
//! with the status and headers that it would have had; or as a response that failed.

use crate::model::{Class, ProviderError, Scope};
use crate::wire::classify as shared;
use serde_json::Value;

/// An HTTP reply that is no success, or a success whose body is an error.
pub fn classify(status: u16, headers: &[(String, String)], body: &[u8]) -> ProviderError {
    let mut error = shared::http(status, headers, body);
    // xAI writes the code beside an error that is only words.
    if error.code.is_none()
        && let Ok(root) = serde_json::from_slice::<Value>(body)
    {
        error.code = root.get("code").and_then(Value::as_str).map(str::to_owned);
    }
    refine(&mut error);
    error
}

/// An error inside a reply that began well.
pub fn in_band(data: &[u8]) -> ProviderError {
    let headers = serde_json::from_slice::<Value>(data).ok().and_then(|root| {
        let listed = root.get("headers")?.as_object()?;
        Some(
            listed
                .iter()
                .map(|(k, v)| (k.to_ascii_lowercase(), v.as_str().map_or_else(|| v.to_string(), str::to_owned)))
                .collect::<Vec<_>>(),
        )
    });
    let mut error = match &headers {
        Some(headers) => shared::in_band_with(headers, data),
        None => shared::in_band(data),
    };
    refine(&mut error);
    error
}

/// A response whose status is `failed`; `error` is its field of that name.
pub fn failed(error: Option<&str>) -> ProviderError {
    match error {
        Some(error) => in_band(json_object(error).as_bytes()),
        None => ProviderError::new(Class::Server, Scope::Model, "the provider reported that the response failed, without a reason"),
    }
}

fn json_object(error: &str) -> String {
    format!("{{\"error\":{error}}}")
}

/// What code and message say that the shared rules do not know.
fn refine(error: &mut ProviderError) {
    // The event's own type is no code.
    if matches!(error.code.as_deref(), Some("error" | "response.failed")) {
        error.code = None;
    }
    let message = error.message.to_ascii_lowercase();
    let in_band = error.status.is_none();
    let verdict = match error.code.as_deref().unwrap_or_default() {
        "invalid_prompt" | "image_content_policy_violation" if message.contains("policy") => (Class::ContentFilter, Scope::Request),
        "image_content_policy_violation" => (Class::ContentFilter, Scope::Request),
        "data_residency_mismatch" => (Class::Permission, Scope::Key),
        "vector_store_timeout" => (Class::Timeout, Scope::Provider),
        // Nothing but the code tells these from the provider's own failures.
        "invalid_prompt"
        | "invalid_request_error"
        | "invalid_encrypted_content"
        | "thinking_signature_invalid"
        | "unsupported_parameter"
        | "invalid_value"
        | "unsupported_file"
        | "empty_image_file"
        | "failed_to_download_image"
        | "image_file_not_found"
        | "unsupported_image_media_type"
            if in_band =>
        {
            (Class::BadRequest, Scope::Request)
        }
        code if in_band
            && (code.starts_with("invalid_image") || code.starts_with("invalid_base64_image") || code.starts_with("image_")) =>
        {
            (Class::BadRequest, Scope::Request)
        }
        _ => return,
    };
    (error.class, error.scope) = verdict;
}

/// A response that somebody stopped; nothing says who.
pub fn cancelled() -> ProviderError {
    ProviderError::new(Class::Server, Scope::Model, "the response was cancelled before it was complete")
        .with_code(Some("cancelled".to_owned()))
}
