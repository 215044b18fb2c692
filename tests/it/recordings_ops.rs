//! Every recorded list of models, count and set of vectors, read by the operations of its wire.

use crate::recordings::exchanges;
use code_pup::wire::{Wire, ops};
use serde_json::json;

/// The wire that a provider was recorded over; none for those that this version does not speak.
fn wire(provider: &str) -> Option<Wire> {
    match provider {
        "anthropic" => Some(Wire::Anthropic),
        "gemini" => Some(Wire::Gemini),
        "vertex" | "antigravity" => None,
        _ => Some(Wire::OpenaiChat),
    }
}

#[test]
fn lists_counts_and_vectors_are_what_an_independent_reader_found() {
    let mut read = 0;
    for api in ["models", "count_tokens", "embeddings"] {
        let Some(all) = exchanges(api) else { return };
        for recorded in all.iter().filter(|r| r.status == 200) {
            let Some(wire) = wire(&recorded.provider) else { continue };
            let (name, expect) = (&recorded.name, &recorded.expect);
            match api {
                "models" => {
                    let page = ops::page(wire, &recorded.body).unwrap_or_else(|e| panic!("{name}: {e}"));
                    let ids: Vec<&str> = page.models.iter().map(|m| m.id.as_str()).collect();
                    // The reader kept the collection that Google writes before its names.
                    let wanted = expect["ids"].as_array().unwrap().iter().map(|id| id.as_str().unwrap().trim_start_matches("models/"));
                    assert_eq!((ids, json!(page.next)), (wanted.collect(), expect["next"].clone()), "{name}");
                }
                "count_tokens" => assert_eq!(Ok(expect["input_tokens"].as_u64().unwrap()), ops::counted(wire, &recorded.body), "{name}"),
                _ => {
                    let count = usize::try_from(expect["count"].as_u64().unwrap()).unwrap();
                    let got = ops::embeddings(wire, &recorded.body, count).unwrap_or_else(|e| panic!("{name}: {e}"));
                    let dims = expect["dims"].as_array().unwrap();
                    assert!(got.vectors.iter().zip(dims).all(|(v, dim)| dim == "base64" || *dim == v.len()), "{name}");
                    assert_eq!(json!(got.usage.input), expect["usage_input"], "{name}");
                    // OpenAI's vectors have the length one, which tells that their bytes were read the right way round.
                    let length: f32 = got.vectors[0].iter().map(|x| x * x).sum();
                    assert!(recorded.provider != "openai" || (length - 1.0).abs() < 1e-3, "{name}: {length}");
                }
            }
            read += 1;
        }
    }
    assert!(read >= 12, "{read}");
}

#[test]
fn the_prompt_that_a_price_holds_for_and_anthropic_s_windows_are_read() {
    let Some(all) = exchanges("models") else { return };
    let of = |provider: &str, id: &str| {
        let recorded = all.iter().find(|r| r.provider == provider).unwrap();
        ops::page(wire(provider).unwrap(), &recorded.body).unwrap().models.into_iter().find(|m| m.id == id).unwrap()
    };
    // Two windows stand there; the smaller one is served, and above it a token costs more.
    let sonnet = of("openrouter", "anthropic/claude-sonnet-4");
    assert_eq!((sonnet.context, sonnet.price.up_to), (Some(200_000), Some(200_000)));
    let opus = of("anthropic", "claude-opus-5");
    assert_eq!((opus.context, opus.max_output, opus.price.input), (Some(1_000_000), Some(128_000), None));
}
