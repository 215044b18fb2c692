//! The elements of a JSON array, handed out while it arrives.
//!
//! Google streams a reply as one array where nobody asked for events. Only elements that are objects or arrays are told
//! apart; an array that holds anything else is handed out at the end, as it stands.

/// An array so far.
#[derive(Debug, Clone, Default)]
pub struct Elements {
    /// What has come of the current element; or of everything, where the array is not one of objects.
    pending: Vec<u8>,
    place: Place,
    /// Some element was handed out.
    any: bool,
    depth: usize,
    quoted: bool,
    escaped: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Place {
    /// The opening bracket has not come.
    #[default]
    Before,
    Between,
    Inside,
    /// Behind the closing bracket, or where nothing can be told any more: kept until the end.
    Rest,
}

impl Elements {
    /// How much waits for more.
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Takes the next bytes and hands out each element that they complete.
    pub fn feed(&mut self, bytes: &[u8], on_element: &mut impl FnMut(&[u8])) {
        for (at, byte) in bytes.iter().enumerate() {
            match self.place {
                Place::Before => self.place = if *byte == b'[' { Place::Between } else { Place::Rest },
                Place::Between => match byte {
                    b'{' | b'[' => {
                        self.place = Place::Inside;
                        self.depth = 1;
                        self.pending.push(*byte);
                    }
                    b',' => {}
                    b']' if self.any => self.place = Place::Rest,
                    b if b.is_ascii_whitespace() => {}
                    _ => {
                        if !self.any {
                            self.pending.push(b'[');
                        }
                        self.place = Place::Rest;
                        self.pending.push(*byte);
                    }
                },
                Place::Inside => {
                    self.pending.push(*byte);
                    if self.closes(*byte) {
                        on_element(&self.pending);
                        self.any = true;
                        self.pending.clear();
                        self.place = Place::Between;
                    }
                }
                Place::Rest => return self.pending.extend_from_slice(bytes.get(at..).unwrap_or_default()),
            }
        }
    }

    /// Whether this byte ends the element.
    fn closes(&mut self, byte: u8) -> bool {
        match byte {
            _ if self.escaped => self.escaped = false,
            b'\\' if self.quoted => self.escaped = true,
            b'"' => self.quoted = !self.quoted,
            _ if self.quoted => {}
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
        self.depth == 0
    }

    /// What was not handed out: a cut element, or what stood behind the array.
    pub fn finish(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.pending)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(pieces: &[&[u8]]) -> (Vec<String>, String) {
        let (mut elements, mut found) = (Elements::default(), Vec::new());
        for piece in pieces {
            elements.feed(piece, &mut |e| found.push(String::from_utf8(e.to_vec()).unwrap()));
        }
        (found, String::from_utf8_lossy(&elements.finish()).into_owned())
    }

    #[test]
    fn elements_come_whole_wherever_the_array_is_cut() {
        let array = "[{\"a\":\"]}\\\"\"}\n,\r\n[1,{}] , {\"é\":[[]]}]".as_bytes();
        let want = ["{\"a\":\"]}\\\"\"}", "[1,{}]", "{\"é\":[[]]}"].map(str::to_owned).to_vec();
        assert_eq!(cut(&[array]), (want.clone(), String::new()));
        for at in 0..array.len() {
            let (a, b) = array.split_at(at);
            assert_eq!(cut(&[a, b]), (want.clone(), String::new()), "{at}");
            let (found, rest) = cut(&[a]);
            assert!(want.starts_with(&found) && (found.len() < 3 || rest.is_empty()), "{at}");
        }
    }

    #[test]
    fn what_is_no_element_is_kept_for_the_end() {
        for (bytes, found, rest) in [
            ("[", 0, ""),
            ("[]", 0, "[]"),
            ("[1, 2]", 0, "[1, 2]"),
            ("[DONE]", 0, "[DONE]"),
            ("[{}] tail", 1, " tail"),
            ("[{\"a\"", 0, "{\"a\""),
            ("[{},x", 1, "x"),
        ] {
            let (got, left) = cut(&[bytes.as_bytes()]);
            assert_eq!((got.len(), left.as_str()), (found, rest), "{bytes}");
        }
    }
}
