//! `ask_user_question`: what only the user can decide. Answers stay in the conversation word for word.

use super::person::Inquiry;
use super::{Args, Context, Effect, Output, Running, Tool, ToolError, args, schema};
use crate::base::text;
use crate::model::ToolSpec;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

/// How many choices a person can look over.
const CHOICES: usize = 20;

/// What a model is told that asks where nobody can answer.
pub const NOBODY: &str = "nobody can be asked: this run has no terminal. Choose the sensible reading, go on, and say what you assumed";

pub struct AskUserQuestion {
    schema: Value,
}

#[derive(Deserialize, JsonSchema)]
struct AskArgs {
    question: String,
    choices: Option<Vec<String>>,
}

impl AskUserQuestion {
    pub fn new() -> Self {
        Self { schema: schema::of::<AskArgs>() }
    }

    async fn ask(&self, args: &Args, ctx: &Context) -> Result<Output, ToolError> {
        let AskArgs { question, choices } = args::read(self.name(), &self.schema, args)?;
        if question.trim().is_empty() {
            return Err(ToolError::model("the question is empty"));
        }
        let choices: Vec<String> = choices.unwrap_or_default().iter().map(|c| c.trim().to_owned()).filter(|c| !c.is_empty()).collect();
        if choices.len() > CHOICES {
            return Err(ToolError::model(format!("{} choices are too many to look over; give at most {CHOICES}", choices.len())));
        }
        let Some(person) = &ctx.person else { return Err(ToolError::model(NOBODY)) };
        let inquiry = Inquiry { question: question.trim().to_owned(), choices };
        let answer = tokio::select! {
            biased;
            () = ctx.cancel.cancelled() => None,
            answer = person.ask(inquiry) => answer,
        };
        match answer {
            Some(answer) => Ok(Output { summary: text::one_line(&answer, 120), text: answer, ..Output::default() }),
            None => Err(ToolError::model("the user gave no answer")),
        }
    }
}

impl Tool for AskUserQuestion {
    fn name(&self) -> &'static str {
        "ask_user_question"
    }

    fn spec(&self) -> ToolSpec {
        let description = "Ask the user what only they can decide; they may also answer in their own words.";
        ToolSpec { name: self.name().into(), description: description.into(), parameters: self.schema.clone() }
    }

    fn effect(&self, _: &Args, _: &Context) -> Result<Effect, ToolError> {
        Ok(Effect::ReadOnly)
    }

    fn describe(&self, args: &Args) -> String {
        format!("{}: {}", self.name(), text::one_line(args::peek(args, "question").unwrap_or("?"), 120))
    }

    fn run<'a>(&'a self, args: &'a Args, ctx: &'a Context) -> Running<'a> {
        Box::pin(self.ask(args, ctx))
    }
}

#[cfg(test)]
mod tests {
    use super::super::person;
    use super::*;
    use crate::workspace::Workspace;
    use serde_json::json;

    fn ask(args: &Value, ctx: &Context) -> impl Future<Output = Result<String, String>> + use<> {
        let (args, ctx) = (args.as_object().unwrap().clone(), ctx.clone());
        async move { AskUserQuestion::new().ask(&args, &ctx).await.map(|o| o.text).map_err(|e| e.to_string()) }
    }

    #[tokio::test]
    async fn a_question_is_put_and_answered_or_refused() {
        let dir = tempfile::tempdir().unwrap();
        let alone = Context::new(Workspace::open(dir.path()).unwrap());
        let args = json!({"question": " Which? ", "choices": ["a", " ", "b "]});
        assert_eq!(ask(&args, &alone).await.unwrap_err(), NOBODY);
        assert_eq!(ask(&json!({"question": " "}), &alone).await.unwrap_err(), "the question is empty");
        assert!(ask(&json!({"question": "?", "choices": vec!["x"; 21]}), &alone).await.unwrap_err().contains("21 choices"));

        let (person, mut line) = person::line();
        let ctx = Context { person: Some(person), ..alone };
        let asking = tokio::spawn(ask(&args, &ctx));
        let asked = line.recv().await.unwrap();
        assert_eq!(asked.inquiry, Inquiry { question: "Which?".into(), choices: vec!["a".into(), "b".into()] });
        asked.answer.send("b, but later".into()).unwrap();
        assert_eq!(asking.await.unwrap().unwrap(), "b, but later");
        // Nobody wants to answer; the turn is stopped.
        let asking = tokio::spawn(ask(&args, &ctx));
        drop(line.recv().await);
        assert_eq!(asking.await.unwrap().unwrap_err(), "the user gave no answer");
        ctx.cancel.cancel();
        assert_eq!(ask(&args, &ctx).await.unwrap_err(), "the user gave no answer");
    }
}
