//! One session over several providers with the real binary, and what one wire cannot write as it is: whatever crosses over
//! is valid there, nobody's own things leave it, and what came back is what was meant.

use crate::support::generate::{SERVED, write};
use crate::support::rules::{self, Api};
use crate::support::{Answer, TestEnv, WireServer};
use code_pup::auth::Access;
use code_pup::base::net::Pool;
use code_pup::model::{Block, BlockKind, Message, Request, StreamEvent, ToolCall, ToolSpec};
use code_pup::provider::{Endpoint, HttpProvider, Provider, Timeouts};
use code_pup::wire::{Dialect, Encoder, Wire};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

/// A provider of the session: its API, the model that is asked, and the proofs that its replies carry.
struct Stage {
    api: Api,
    wire: Wire,
    model: &'static str,
    /// What must not be seen by anybody else.
    own: &'static [&'static str],
}

const ANTHROPIC: Stage =
    Stage { api: Api::Anthropic, wire: Wire::Anthropic, model: "anthropic/claude-opus-4-6", own: &["ErAnthropicProofAEw=="] };
const GEMINI: Stage = Stage { api: Api::Gemini, wire: Wire::Gemini, model: "gemini/gemini-3-pro-preview", own: &["CtGeminiProofAaa"] };
const RESPONSES: Stage = Stage {
    api: Api::Responses,
    wire: Wire::OpenaiResponses,
    model: "openai/gpt-5",
    own: &["gAAAAABoResponsesProof", "rs_crossing", "\"fc_"],
};
const CHAT: Stage = Stage { api: Api::Chat, wire: Wire::OpenaiChat, model: "acme/m", own: &["ChatProof"] };

impl Stage {
    /// Thinking with a proof and two parallel calls, then the answer, again and again.
    fn server(&'static self) -> WireServer {
        let mut asked = 0;
        WireServer::asked(move |_| {
            asked += 1;
            let blocks = if asked % 2 == 1 { self.step(asked) } else { vec![Block::Text { text: self.answer(asked / 2) }] };
            Answer::stream(write(self.wire, &blocks))
        })
    }

    fn answer(&self, n: usize) -> String {
        format!("answer {n} of {}", self.model)
    }

    fn step(&self, n: usize) -> Vec<Block> {
        let thought = format!("thought {n} of {}", self.model);
        let thinking = |signature: Option<String>| Block::Thinking { text: thought.clone(), signature, redacted: false };
        let call = |k: usize, signature: Option<&str>| {
            let args_raw = if k == 0 { json!({"path": "."}).to_string() } else { "{}".to_owned() };
            let id = format!("call_{:?}_{n}_{k}", self.api).to_lowercase();
            Block::ToolCall(ToolCall { id, name: "list_files".into(), args_raw, signature: signature.map(str::to_owned) })
        };
        match self.wire {
            Wire::OpenaiResponses => {
                let item = json!({"type": "reasoning", "id": "rs_crossing", "summary": [{"type": "summary_text", "text": thought}],
                    "encrypted_content": "gAAAAABoResponsesProof"});
                vec![thinking(Some(item.to_string())), call(0, None), call(1, None)]
            }
            Wire::Gemini => vec![thinking(None), call(0, Some(self.own[0])), call(1, None)],
            Wire::Anthropic => vec![thinking(Some(self.own[0].to_owned())), call(0, None), call(1, None)],
            Wire::OpenaiChat => {
                let details = json!({"reasoning_details": [{"type": "reasoning.encrypted", "data": self.own[0], "id": "d", "index": 0}]});
                let opaque = Block::Opaque { wire: Wire::OpenaiChat.as_str().to_owned(), raw: details.to_string() };
                vec![thinking(None), opaque, call(0, None), call(1, None)]
            }
            Wire::Antigravity | Wire::ClaudeCli | Wire::CodexCli => unreachable!("no stage of this session"),
        }
    }
}

/// A body without the marks for the prompt cache, which move from turn to turn.
fn unmarked(body: &[u8]) -> Vec<u8> {
    String::from_utf8(body.to_vec()).unwrap().replace(r#","cache_control":{"type":"ephemeral"}"#, "").into_bytes()
}

#[test]
fn a_session_goes_from_provider_to_provider_and_back() {
    let env = TestEnv::new();
    let stages = [&ANTHROPIC, &GEMINI, &RESPONSES, &CHAT];
    let servers = stages.map(Stage::server);
    let [anthropic, gemini, openai, chat] = &servers;
    let acme = json!({"wire": "openai-chat", "base_url": chat.url(), "api_key_env": []});
    env.write_config("models.json", json!({"providers": {"acme": acme}}).to_string());
    env.write("there.txt", "here\n");
    // Round twice, and home at the end.
    let route = [0, 1, 2, 3, 0, 2, 1, 3, 0];
    let mut asked = [0; 4];
    for (turn, at) in route.into_iter().enumerate() {
        let resume: &[&str] = if turn == 0 { &[] } else { &["--resume", "last"] };
        let prompt = format!("question {turn}");
        let launch = env.pup().args(["run", "--yolo", "--output", "json", "--model", stages[at].model]).args(resume).arg(&prompt);
        let launch = launch.env("ANTHROPIC_BASE_URL", anthropic.url()).env("ANTHROPIC_API_KEY", "test-key-not-a-secret");
        let launch = launch.env("GOOGLE_GEMINI_BASE_URL", gemini.url()).env("GEMINI_API_KEY", "test-key-not-a-secret");
        let out = launch.env("OPENAI_BASE_URL", openai.url()).env("OPENAI_API_KEY", "test-key-not-a-secret").run().expect_code(0);
        asked[at] += 1;
        assert_eq!(out.json()["text"], json!(stages[at].answer(asked[at])), "turn {turn}: {}", out.report());
    }
    for (at, (stage, server)) in stages.iter().zip(&servers).enumerate() {
        let bodies: Vec<Vec<u8>> = server.requests().iter().map(|r| unmarked(&r.body)).collect();
        assert_eq!(bodies.len(), 2 * asked[at], "two requests a turn");
        for (n, body) in bodies.iter().enumerate() {
            let text = String::from_utf8_lossy(body);
            let name = stage.model.split_once('/').unwrap().1;
            let reading = rules::read(stage.api, name, body);
            assert!(reading.violations.is_empty(), "{} request {n}: {:?}\n{text}", stage.model, reading.violations);
            for other in stages.iter().filter(|s| s.api != stage.api) {
                let foreign = other.own.iter().find(|own| text.contains(**own));
                assert_eq!(foreign, None, "{} request {n} holds what is {}'s: {text}", stage.model, other.model);
            }
        }
        for (n, pair) in bodies.windows(2).enumerate() {
            let (earlier, later) = (&pair[0], &pair[1]);
            // All but the bracket that closes the list, and what stands behind it.
            let kept = rules::messages(stage.api, earlier).end - 1;
            assert!(later.starts_with(&earlier[..kept]), "{}: request {n} is not the beginning of the next", stage.model);
        }
        let last = String::from_utf8_lossy(bodies.last().unwrap());
        for (turn, other) in route.iter().map(|ix| stages[*ix]).enumerate().take(route.iter().rposition(|ix| *ix == at).unwrap() + 1) {
            assert!(last.contains(&format!("question {turn}")), "turn {turn} of {} is gone: {last}", other.model);
        }
        // Its own things are back where they came from.
        assert!(stage.own.iter().all(|own| last.contains(own)), "{}: {last}", stage.model);
    }
}

#[test]
fn names_that_a_wire_cannot_write_come_back_as_they_are() {
    let wait = Duration::from_secs(5);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let long = format!("files.read/{}", "every-single-one-of-them-".repeat(6));
    let tools: Arc<[ToolSpec]> = [long.as_str(), "mcp.server tool", "plain"]
        .map(|name| ToolSpec {
            name: name.to_owned(),
            description: "reads".into(),
            parameters: json!({"type": "object", "properties": {"path": {"type": "string"}}}),
        })
        .into();
    for wire in SERVED {
        let (api, model) = match wire {
            Wire::OpenaiChat => (Api::Chat, "m"),
            Wire::OpenaiResponses => (Api::Responses, "gpt-5"),
            Wire::Anthropic => (Api::Anthropic, "claude-sonnet-4-5"),
            Wire::Gemini => (Api::Gemini, "gemini-3-pro-preview"),
            Wire::Antigravity => (Api::Antigravity, "gemini-3-pro-high"),
            Wire::ClaudeCli | Wire::CodexCli => unreachable!("no server speaks it"),
        };
        // It calls every tool by the name that it was offered under.
        let server = WireServer::asked(move |request| {
            let offered = rules::read(api, model, &request.body).tools;
            let call = |(n, name): (usize, String)| {
                Block::ToolCall(ToolCall { id: format!("call_{n}"), name, args_raw: r#"{"path":"x"}"#.into(), signature: None })
            };
            Answer::stream(write(wire, &offered.into_iter().enumerate().map(call).collect::<Vec<_>>()))
        });
        let dialect = Dialect { project: Some("p-1".to_owned()), ..Dialect::default() };
        let request = Request {
            model: model.to_owned(),
            messages: [Message::user("read it")].into_iter().collect(),
            tools: Arc::clone(&tools),
            stream: true,
            ..Request::default()
        };
        let encoded = Encoder::new(wire, dialect.clone()).encode(&request);
        let timeouts = Timeouts { connect: wait, first_byte: wait, idle: wait };
        let (provider, base_url, headers) = ("acme".to_owned(), server.url(), Vec::new());
        let endpoint = Endpoint { provider, wire, base_url, headers, access: Access::Open, dialect, timeouts };
        let provider = Provider::Http(HttpProvider::new(endpoint, Pool::default()));
        let called: Vec<String> = runtime.block_on(async {
            let mut exchange = provider.send(&encoded, &request.tools).await.unwrap();
            let mut called = Vec::new();
            while let Some(event) = exchange.next().await {
                if let StreamEvent::BlockStart { kind: BlockKind::ToolCall { name, .. }, .. } = event {
                    called.push(name);
                }
            }
            called
        });
        let offered = rules::read(api, model, &server.requests()[0].body).tools;
        assert_ne!(offered[0], long, "{wire}: the test needs a name that has to be mapped");
        assert_eq!(called, [long.as_str(), "mcp.server tool", "plain"], "{wire}: offered as {offered:?}");
    }
}
