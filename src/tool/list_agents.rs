//! `list_agents`: whom work can be handed to, how those stand that have some, and the whole of a long answer.

use super::{Args, Context, Effect, Output, Running, Tool, ToolError, args, schema};
use crate::model::ToolSpec;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

pub const NAME: &str = "list_agents";

pub struct ListAgents {
    schema: Value,
}

#[derive(Deserialize, JsonSchema)]
struct ListArgs {
    /// An invoked agent's id: its state, and its answer from byte `offset` on.
    id: Option<String>,
    offset: Option<u64>,
}

impl ListAgents {
    pub fn new() -> Self {
        Self { schema: schema::of::<ListArgs>() }
    }

    fn list(&self, args: &Args, ctx: &Context) -> Result<Output, ToolError> {
        let ListArgs { id, offset } = args::read(NAME, &self.schema, args)?;
        let Some(delegate) = &ctx.delegate else { return Err(ToolError::model("there are no other agents here")) };
        if let Some(id) = id.as_deref().map(str::trim).filter(|id| !id.is_empty()) {
            let offset = usize::try_from(offset.unwrap_or(0)).unwrap_or(usize::MAX);
            return delegate.look(id, offset, ctx.limits.output_bytes);
        }
        let summary = format!("{} agents", delegate.names().len());
        Ok(Output { text: delegate.list(), summary, ..Output::default() })
    }
}

impl Tool for ListAgents {
    fn name(&self) -> &'static str {
        NAME
    }

    fn spec(&self) -> ToolSpec {
        let description = "The agents that you can invoke, and how those stand that you invoked.".into();
        ToolSpec { name: NAME.into(), description, parameters: self.schema.clone() }
    }

    fn effect(&self, _: &Args, _: &Context) -> Result<Effect, ToolError> {
        Ok(Effect::ReadOnly)
    }

    fn describe(&self, args: &Args) -> String {
        args::peek(args, "id").map_or_else(|| NAME.to_owned(), |id| format!("{NAME}: {id}"))
    }

    fn run<'a>(&'a self, args: &'a Args, ctx: &'a Context) -> Running<'a> {
        Box::pin(async move { self.list(args, ctx) })
    }
}
