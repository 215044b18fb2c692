#![no_main]

use code_pup::wire::Wire;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| fuzzing::reply(Wire::Gemini, body));
