//! The settings of a request's body: fields written one by one, and what was lost of them.

use super::json_out::Object;
use crate::model::Loss;
use serde::Serialize;

/// Writes fields into an object that is already begun, and remembers which.
pub struct Fields<'a, 'o> {
    o: &'a mut Object<'o>,
    losses: &'a mut Vec<Loss>,
    written: Vec<&'static str>,
    /// Fields that the server refuses.
    refused: &'a [&'static str],
}

impl<'a, 'o> Fields<'a, 'o> {
    /// `reserved` are fields that only the request itself sets, present or not.
    pub fn new(o: &'a mut Object<'o>, losses: &'a mut Vec<Loss>, reserved: &[&'static str], refused: &'a [&'static str]) -> Self {
        Self { o, losses, written: reserved.to_vec(), refused }
    }

    pub fn set(&mut self, name: &'static str, value: &(impl Serialize + ?Sized)) {
        if self.refused.contains(&name) {
            return self.lose(name, "this server refuses the field");
        }
        self.o.field(name, value);
        self.written.push(name);
    }

    /// A field that is passed on as the caller wrote it.
    pub fn pass(&mut self, at: &str, name: &str, value: &serde_json::Value) {
        if self.has(name) {
            self.lose(at, "a field that the request itself sets");
        } else {
            self.o.field(name, value);
        }
    }

    pub fn has(&self, name: &str) -> bool {
        self.written.contains(&name)
    }

    pub fn lose(&mut self, at: impl Into<String>, what: &str) {
        self.losses.push(Loss::new(at, what));
    }
}
