//! Google Cloud Code Assist: the cloud project that an account's requests are made for. It is asked for, and made where
//! the account has none yet.

use super::Trouble;
use super::transport::Transport;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// How long a project may take to be made, and how often it is asked for.
const LIMIT: Duration = Duration::from_mins(2);
const PAUSE: Duration = Duration::from_secs(5);

/// Free accounts must not name a project; all others must.
const FREE: &str = "free-tier";
const LEGACY: &str = "legacy-tier";
const STANDARD: &str = "standard-tier";

/// Finds the project of the account that the token belongs to. `own` is one that the user wants to be used.
pub async fn project(transport: &Transport, base: &str, access: &str, own: Option<&str>) -> Result<String, Trouble> {
    if let Some(own) = own {
        check(own)?;
    }
    let base = base.trim_end_matches('/');
    let metadata = metadata(own);
    let question = with_project(json!({"metadata": metadata}), "cloudaicompanionProject", own);
    let about = match transport.post_json(&format!("{base}/v1internal:loadCodeAssist"), access, &question).await {
        Ok(answer) => answer.json,
        // Behind a company's perimeter the question itself is forbidden, and the account is one of the standard tier.
        Err(t) if t.code.as_deref() == Some("security_policy_violated") => json!({"currentTier": {"id": STANDARD}}),
        Err(other) => return Err(other),
    };
    if let Some(project) = own.map(str::to_owned).or_else(|| id_of(about.get("cloudaicompanionProject"))) {
        check(&project)?;
        if about.get("currentTier").is_some() || own.is_none() {
            return Ok(project);
        }
    }
    let tier = tier(&about, own)?;
    let order = with_project(json!({"tierId": tier, "metadata": metadata}), "cloudaicompanionProject", own.filter(|_| tier != FREE));
    let began = Instant::now();
    let mut work = transport.post_json(&format!("{base}/v1internal:onboardUser"), access, &order).await?.json;
    while work.get("done").and_then(Value::as_bool) != Some(true) {
        if began.elapsed() >= LIMIT {
            return Err(Trouble::passing("Google did not set up a project in time"));
        }
        tokio::time::sleep(PAUSE).await;
        let name = work.get("name").and_then(Value::as_str).filter(|n| is_operation(n)).map(str::to_owned);
        let Some(name) = name else { return Err(Trouble::passing("Google answered without the name of its operation")) };
        work = transport.get(&format!("{base}/v1internal/{name}"), access).await?.json;
    }
    if let Some(why) = work.pointer("/error/message").and_then(Value::as_str) {
        return Err(Trouble::refused(format!("Google could not set up a project: {}", crate::base::text::one_line(why, 200))));
    }
    let made = id_of(work.pointer("/response/cloudaicompanionProject")).or_else(|| own.map(str::to_owned));
    let made = made.ok_or_else(|| Trouble::refused("Google set up no project for this account"))?;
    check(&made)?;
    Ok(made)
}

fn metadata(own: Option<&str>) -> Value {
    with_project(json!({"ideType": "IDE_UNSPECIFIED", "platform": "PLATFORM_UNSPECIFIED", "pluginType": "GEMINI"}), "duetProject", own)
}

fn with_project(mut body: Value, field: &str, own: Option<&str>) -> Value {
    if let (Some(fields), Some(own)) = (body.as_object_mut(), own) {
        fields.insert(field.to_owned(), own.into());
    }
    body
}

/// The tier to join.
fn tier(about: &Value, own: Option<&str>) -> Result<String, Trouble> {
    let allowed = about.get("allowedTiers").and_then(Value::as_array);
    let default = allowed.into_iter().flatten().find(|t| t.get("isDefault").and_then(Value::as_bool) == Some(true));
    let id = about.pointer("/currentTier/id").or_else(|| default.and_then(|t| t.get("id"))).and_then(Value::as_str).unwrap_or(LEGACY);
    if id == FREE || own.is_some() {
        return Ok(id.to_owned());
    }
    let reasons = about.get("ineligibleTiers").and_then(Value::as_array).into_iter().flatten();
    let reasons: Vec<&str> = reasons.filter_map(|t| t.get("reasonMessage").and_then(Value::as_str)).collect();
    let why = if reasons.is_empty() { String::new() } else { format!(" ({})", crate::base::text::one_line(&reasons.join("; "), 200)) };
    Err(Trouble::refused(format!(
        "this account needs a Google Cloud project of its own{why}; name it: {{\"schema\": 1, \"provides\": {{\"oauth\": {{\"antigravity\": {{\"project\": \"ID\"}}}}}}}} in plugins/mine/plugin.json of the config folder"
    )))
}

/// A string, or an object with an `id`.
fn id_of(value: Option<&Value>) -> Option<String> {
    let value = value?;
    let id = value.as_str().or_else(|| value.get("id")?.as_str())?;
    Some(id.to_owned()).filter(|id| !id.is_empty())
}

fn check(project: &str) -> Result<(), Trouble> {
    let good = project.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b':' | b'.' | b'_'));
    if !good {
        return Err(Trouble::refused("the project's id has characters that no id has"));
    }
    if project.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Trouble::refused(format!("{project} is a project's number; its id is wanted")));
    }
    Ok(())
}

/// A name that cannot lead elsewhere.
fn is_operation(name: &str) -> bool {
    !name.is_empty() && !name.contains("..") && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'/' | b'.' | b'_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_come_in_two_forms_and_numbers_are_none() {
        assert_eq!(id_of(Some(&json!("p-1"))).as_deref(), Some("p-1"));
        assert_eq!(id_of(Some(&json!({"id": "p-1"}))).as_deref(), Some("p-1"));
        assert_eq!((id_of(Some(&json!(""))), id_of(Some(&json!({}))), id_of(None)), (None, None, None));
        assert!(check("p-1").is_ok() && check("example.com:p-1").is_ok());
        assert!(check("12345").is_err() && check("p/../x").is_err());
        assert!(is_operation("operations/abc-1") && !is_operation("../x") && !is_operation("a?b") && !is_operation(""));
    }

    #[test]
    fn only_the_free_tier_does_without_a_project() {
        let free = json!({"allowedTiers": [{"id": "standard-tier"}, {"id": "free-tier", "isDefault": true}]});
        assert_eq!(tier(&free, None).unwrap(), "free-tier");
        let paid = json!({"allowedTiers": [{"id": "standard-tier", "isDefault": true}], "ineligibleTiers": [{"reasonMessage": "not in your country"}]});
        assert_eq!(tier(&paid, Some("p")).unwrap(), "standard-tier");
        assert!(tier(&paid, None).unwrap_err().message.contains("not in your country"));
        assert_eq!(tier(&json!({}), Some("p")).unwrap(), "legacy-tier");
    }
}
