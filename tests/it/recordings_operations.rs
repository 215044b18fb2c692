//! Every recorded list of models and every recorded embedding of OpenAI and its kin gives what an independent reader made of
//! the same bytes.

use super::recordings::{Exchange, exchanges};
use code_pup::model::{Class, EmbedRequest, Listed, Scope};
use code_pup::wire::{Dialect, Wire, classify, openai_embeddings, openai_models};
use serde_json::{Value, json};

const KIN: [&str; 5] = ["cerebras", "copilot", "groq", "openai", "openrouter"];

/// How many exchanges have `"api": "models"` and `"api": "embeddings"`, of these providers.
const LISTS: usize = 5;
const EMBEDDINGS: usize = 3;

fn of_kin(api: &str) -> Option<Vec<Exchange>> {
    let mut all = exchanges(api)?;
    all.retain(|x| KIN.contains(&x.provider.as_str()));
    Some(all)
}

#[test]
fn every_list_of_models_is_read_with_what_it_says_of_them() {
    let Some(lists) = of_kin("models") else { return };
    assert_eq!(lists.len(), LISTS);
    for x in &lists {
        let got = openai_models::decode(&x.body).unwrap();
        let ids: Vec<&str> = got.iter().map(|m| m.id.as_str()).collect();
        let want: Vec<&str> = x.expect["ids"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        assert_eq!(ids, want, "{}", x.name);
        let one = |id: &str| got.iter().find(|m| m.id == id).unwrap_or_else(|| panic!("{}: no {id}", x.name)).clone();
        let figures = |m: Listed| (m.context, m.max_output, m.price.input, m.price.cache_read, m.price.cache_write, m.price.output);
        let nothing = (None, None, None, None, None, None);
        match x.provider.as_str() {
            "openrouter" => {
                let want = (Some(200_000), Some(64_000), Some(3.0), Some(0.3), Some(3.75), Some(15.0));
                assert_eq!(figures(one("anthropic/claude-sonnet-4")), want);
            }
            "groq" => {
                let prices = got.iter().filter(|m| m.price.input.is_some()).count();
                assert!(prices > 2 && got.iter().all(|m| m.context.is_some() && m.max_output.is_some()), "{prices}");
                assert!(got.iter().all(|m| m.price.output.is_none_or(|p| (0.01..100.0).contains(&p))), "{got:?}");
            }
            "copilot" => {
                assert_eq!(figures(one("gpt-5.4")), (Some(400_000), Some(128_000), None, None, None, None));
                assert_eq!(figures(one("text-embedding-ada-002")), nothing);
            }
            _ => assert!(got.into_iter().all(|m| figures(m) == nothing), "{}", x.name),
        }
    }
}

#[test]
fn every_embedding_is_read_and_asked_for_as_it_was() {
    let Some(all) = of_kin("embeddings") else { return };
    assert_eq!(all.len(), EMBEDDINGS);
    for x in &all {
        let input: Vec<String> = match &x.request["input"] {
            Value::String(one) => vec![one.clone()],
            many => many.as_array().unwrap().iter().map(|v| v.as_str().unwrap().to_owned()).collect(),
        };
        let dimensions = x.request["dimensions"].as_u64().map(|n| n.try_into().unwrap());
        let model = x.request["model"].as_str().unwrap().to_owned();
        let asked = openai_embeddings::encode(&Dialect::default(), &EmbedRequest { model, input, dimensions, task: None });
        let body: Value = serde_json::from_slice(&asked.to_vec()).unwrap();
        let inputs = body["input"].as_array().unwrap().len();
        assert_eq!((&body["model"], &body["dimensions"]), (&x.request["model"], &x.request["dimensions"]), "{}", x.name);
        if x.status != 200 {
            let refused = classify(Wire::OpenaiResponses, x.status, &x.headers, &x.body);
            assert_eq!(
                (refused.class, refused.scope, json!(refused.message)),
                (Class::NotFound, Scope::Model, x.expect["error"]["message"].clone())
            );
            continue;
        }
        let got = openai_embeddings::decode(inputs, &x.body).unwrap_or_else(|e| panic!("{}: {e}", x.name));
        assert_eq!(got.usage.input, x.expect["usage_input"].as_u64(), "{}", x.name);
        for (vector, dims) in got.vectors.iter().zip(x.expect["dims"].as_array().unwrap()) {
            // The independent reader leaves base64 as it is.
            assert_eq!(vector.len() as u64, dims.as_u64().unwrap_or(1536), "{}", x.name);
            let length = vector.iter().map(|f| f64::from(*f).powi(2)).sum::<f64>().sqrt();
            assert!((0.99..1.01).contains(&length), "{}: its length is {length}", x.name);
        }
    }
}
