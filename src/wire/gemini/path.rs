//! Where requests go: the model and what is wanted of it stand in the path.

use std::borrow::Cow;
use std::fmt::Write;

/// What is wanted of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    Generate,
    Stream,
    Count,
    Embed,
}

impl Method {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Generate => "generateContent",
            Self::Stream => "streamGenerateContent?alt=sse",
            Self::Count => "countTokens",
            Self::Embed => "batchEmbedContents",
        }
    }
}

/// The model with the collection that it is in, as the wire names it in bodies.
pub fn resource(model: &str) -> Cow<'_, str> {
    let named = ["models/", "tunedModels/"].iter().any(|collection| model.starts_with(collection));
    if named { Cow::Borrowed(model) } else { Cow::Owned(format!("models/{model}")) }
}

/// What is added to the base URL.
pub fn of(model: &str, method: Method) -> String {
    let resource = resource(model);
    let (collection, name) = resource.split_once('/').unwrap_or(("models", &resource));
    let mut path = format!("/v1beta/{collection}/");
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            path.push(char::from(byte));
        } else {
            // A String takes every write.
            let _ = write!(path, "%{byte:02X}");
        }
    }
    path.push(':');
    path.push_str(method.as_str());
    path
}

/// The model and whether a stream is asked for, in a path that a client sent; also in Vertex's longer form.
pub fn read(path: &str) -> Option<(String, bool)> {
    let path = path.split('?').next().unwrap_or(path);
    let (resource, method) = path.rsplit_once(':')?;
    let at = ["/models/", "/tunedModels/"].iter().find_map(|c| resource.rfind(c).map(|at| (at, *c)))?;
    let name = resource.get(at.0 + at.1.len()..)?;
    let model = if at.1 == "/tunedModels/" { format!("tunedModels/{}", decoded(name)) } else { decoded(name) };
    (!name.is_empty()).then_some((model, method == "streamGenerateContent"))
}

fn decoded(name: &str) -> String {
    let mut out = Vec::new();
    let mut bytes = name.bytes();
    while let Some(byte) = bytes.next() {
        let mut ahead = bytes.clone();
        let digit = |b: Option<u8>| b.and_then(|b| char::from(b).to_digit(16));
        match (byte, digit(ahead.next()), digit(ahead.next())) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                bytes = ahead;
            }
            _ => out.push(byte),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_stand_in_the_path_and_are_read_out_of_it() {
        for (model, path) in [
            ("gemini-2.5-flash", "/v1beta/models/gemini-2.5-flash:generateContent"),
            ("models/gemini-2.5-flash", "/v1beta/models/gemini-2.5-flash:generateContent"),
            ("tunedModels/mine-1", "/v1beta/tunedModels/mine-1:generateContent"),
            ("a b/ü:x%", "/v1beta/models/a%20b%2F%C3%BC%3Ax%25:generateContent"),
        ] {
            assert_eq!(of(model, Method::Generate), path);
            let back = read(path).unwrap();
            assert_eq!((resource(&back.0), back.1), (resource(model), false));
        }
        assert_eq!(of("m", Method::Stream), "/v1beta/models/m:streamGenerateContent?alt=sse");
        let vertex = "/v1/projects/p/locations/l/publishers/google/models/gemini-3-pro:streamGenerateContent";
        assert_eq!(read(vertex), Some(("gemini-3-pro".to_owned(), true)));
        for no in ["", "/v1beta/models", "/v1beta/models/:generateContent", "/v1/chat/completions"] {
            assert_eq!(read(no), None, "{no}");
        }
    }
}
