//! Writes a JSON object field by field, compact and in a fixed order.

use serde::Serialize;

/// Appends `value` as JSON. Only strings, numbers, lists and maps with string keys are ever given here, which cannot fail.
pub fn value(out: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) {
    // A Vec takes every write, so an error could only come from a value that has no JSON form.
    let _ = serde_json::to_writer(out, value);
}

/// Appends JSON text without the white space between its tokens; everything else stays byte for byte.
pub fn compact(out: &mut Vec<u8>, json: &str) {
    let (mut quoted, mut escaped) = (false, false);
    for byte in json.bytes() {
        if quoted || !byte.is_ascii_whitespace() {
            out.push(byte);
        }
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ => {}
        }
    }
}

/// An object that is being written; [`Object::end`] closes it.
pub struct Object<'a> {
    out: &'a mut Vec<u8>,
    first: bool,
}

impl<'a> Object<'a> {
    pub fn begin(out: &'a mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, first: true }
    }

    /// Goes on with an object whose opening and first fields are already written.
    pub fn resume(out: &'a mut Vec<u8>) -> Self {
        Self { out, first: false }
    }

    /// Writes the key and leaves the value to the caller.
    pub fn key(&mut self, name: &str) -> &mut Vec<u8> {
        if !std::mem::take(&mut self.first) {
            self.out.push(b',');
        }
        value(self.out, name);
        self.out.push(b':');
        self.out
    }

    pub fn field(&mut self, name: &str, with: &(impl Serialize + ?Sized)) -> &mut Self {
        value(self.key(name), with);
        self
    }

    /// The field only where there is something to say: no nulls.
    pub fn maybe<T: Serialize>(&mut self, name: &str, with: Option<&T>) -> &mut Self {
        if let Some(with) = with {
            self.field(name, with);
        }
        self
    }

    /// A nested object.
    pub fn object(&mut self, name: &str, fill: impl FnOnce(&mut Object<'_>)) -> &mut Self {
        let mut inner = Object::begin(self.key(name));
        fill(&mut inner);
        inner.end();
        self
    }

    /// A list of objects or values, each written by `each`.
    pub fn list<T>(&mut self, name: &str, items: impl IntoIterator<Item = T>, mut each: impl FnMut(&mut Vec<u8>, T)) -> &mut Self {
        let out = self.key(name);
        out.push(b'[');
        for (n, item) in items.into_iter().enumerate() {
            if n > 0 {
                out.push(b',');
            }
            each(out, item);
        }
        out.push(b']');
        self
    }

    pub fn end(self) {
        self.out.push(b'}');
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn white_space_goes_only_from_between_tokens() {
        let mut out = Vec::new();
        super::compact(&mut out, "{\n \"a b\" : [1.50, \"\\\" \\\\\" , {} ],\t\"é\":\" \"}");
        assert_eq!(String::from_utf8(out).unwrap(), r#"{"a b":[1.50,"\" \\",{}],"é":" "}"#);
    }
}
