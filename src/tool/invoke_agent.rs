//! `invoke_agent`: another agent does a task, in a conversation of its own.

use super::delegate::Errand;
use super::{Args, Context, Effect, Output, Running, Tool, ToolError, args, schema};
use crate::base::text;
use crate::model::ToolSpec;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

pub const NAME: &str = "invoke_agent";
/// With more agents than this, their names are in `list_agents` only.
const NAMED: usize = 12;

pub struct InvokeAgent {
    schema: Value,
}

#[derive(Deserialize, JsonSchema)]
struct InvokeArgs {
    agent: String,
    /// All that it has to know: it sees nothing else of this conversation.
    prompt: String,
    /// Do not wait; its answer reaches you later.
    #[serde(default)]
    background: bool,
}

impl InvokeAgent {
    /// For an agent that may invoke those of these names.
    pub fn new(names: &[String]) -> Self {
        let mut schema = schema::of::<InvokeArgs>();
        if (1..=NAMED).contains(&names.len())
            && let Some(Value::Object(agent)) = schema.pointer_mut("/properties/agent")
        {
            agent.insert("enum".to_owned(), json!(names));
        }
        Self { schema }
    }

    async fn hand_over(&self, args: &Args, ctx: &Context) -> Result<Output, ToolError> {
        let InvokeArgs { agent, prompt, background } = args::read(NAME, &self.schema, args)?;
        let Some(delegate) = &ctx.delegate else { return Err(ToolError::model("no other agents can be invoked here")) };
        if prompt.trim().is_empty() {
            return Err(ToolError::model("the prompt is empty; write all that the agent has to know"));
        }
        delegate.invoke(Errand { agent: agent.trim().to_owned(), prompt, background }, ctx).await
    }
}

impl Tool for InvokeAgent {
    fn name(&self) -> &'static str {
        NAME
    }

    fn spec(&self) -> ToolSpec {
        let description = "Give another agent a task; its final answer is the result. Several in one turn work side by side.".into();
        ToolSpec { name: NAME.into(), description, parameters: self.schema.clone() }
    }

    /// It has none of its own: whatever the other agent does is approved as if this one did it.
    fn effect(&self, _: &Args, _: &Context) -> Result<Effect, ToolError> {
        Ok(Effect::ReadOnly)
    }

    fn describe(&self, args: &Args) -> String {
        let (agent, prompt) = (args::peek(args, "agent").unwrap_or("?"), args::peek(args, "prompt").unwrap_or("?"));
        format!("{NAME}: {agent}: {}", text::one_line(prompt, 120))
    }

    fn run<'a>(&'a self, args: &'a Args, ctx: &'a Context) -> Running<'a> {
        Box::pin(self.hand_over(args, ctx))
    }
}
