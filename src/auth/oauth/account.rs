//! Whose tokens they are: read where the provider's manifest says.

use super::Trouble;
use super::grant::{Grant, claims};
use super::transport::Transport;
use crate::catalog::OAuth;
use crate::catalog::manifest::AccountSource;
use serde_json::Value;

/// What is known of an account.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Account {
    pub id: Option<String>,
    pub email: Option<String>,
    pub plan: Option<String>,
}

/// Reads the account that a grant belongs to.
pub async fn of(oauth: &OAuth, grant: &Grant, transport: &Transport) -> Result<Account, Trouble> {
    let from = &oauth.account_from;
    let mut account = Account::default();
    for source in &from.sources {
        let found = match source {
            AccountSource::IdToken => grant.id_token().and_then(claims),
            AccountSource::AccessToken => grant.access().and_then(claims),
            AccountSource::TokenResponse => Some(Value::Object(grant.rest().clone())),
            AccountSource::Userinfo => match (&oauth.endpoints.userinfo, grant.access()) {
                (Some(url), Some(access)) => match transport.get(url, access).await {
                    Ok(answer) => Some(answer.json),
                    // A name is nice to have; a login without one works.
                    Err(why) if !from.required => {
                        tracing::debug!(error = %why, "the account's name is not known");
                        None
                    }
                    Err(why) => return Err(why),
                },
                _ => None,
            },
        };
        let Some(found) = found else { continue };
        account.id = account.id.or_else(|| first(&found, &from.id));
        account.email = account.email.or_else(|| first(&found, &from.email));
        account.plan = account.plan.or_else(|| first(&found, &from.plan));
    }
    if from.required && account.id.is_none() {
        return Err(Trouble::refused(format!("the tokens of {} do not say which account they belong to", oauth.display_name)));
    }
    Ok(account)
}

/// The first pointer that leads to a text, if that can stand in a header and on a terminal.
fn first(value: &Value, pointers: &[String]) -> Option<String> {
    let texts = pointers.iter().filter_map(|p| value.pointer(p)).filter_map(|v| match v {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    });
    texts.into_iter().find(|t| !t.is_empty() && t.len() <= 320 && t.bytes().all(|b| b.is_ascii_graphic() || b == b' '))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn pointers_are_tried_in_order_and_odd_values_are_no_accounts() {
        let value = json!({"a": "", "b": {"c/d": "acc"}, "n": 7, "bad": "x\ny", "list": []});
        let find = |pointers: &[&str]| first(&value, &pointers.iter().map(|p| (*p).to_owned()).collect::<Vec<_>>());
        assert_eq!(find(&["/a", "/x", "/b/c~1d"]).as_deref(), Some("acc"));
        assert_eq!(find(&["/n"]).as_deref(), Some("7"));
        assert_eq!((find(&["/bad"]), find(&["/list"]), find(&[])), (None, None, None));
    }
}
