//! What a person pastes after having agreed in a browser: a code, `code#state`, or an address that holds both.

/// What the provider said, by way of the user's clipboard or browser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    Code {
        code: String,
        /// Absent where only the code was copied.
        state: Option<String>,
    },
    /// The user, or the provider, said no.
    Denied { error: String, description: String, state: Option<String> },
}

/// Reads what was pasted. The error says what to do instead.
pub fn parse(text: &str) -> Result<Said, &'static str> {
    // Terminals and chats wrap long lines.
    let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    if text.is_empty() {
        return Err("nothing was pasted");
    }
    if let Some((scheme, rest)) = text.split_once("://") {
        let query = rest.split_once('?').map_or("", |(_, q)| q);
        let said = from_query(&query.replace('#', "&"));
        return match said {
            Some(said) => Ok(said),
            None if query.contains("code_challenge=") => Err("that is the address to open, not the one that you land on"),
            None if scheme.starts_with("http") => Err("that address holds no code: copy the one that the browser shows after you agreed"),
            None => Err("that is no code"),
        };
    }
    if let Some(said) = from_query(text.trim_start_matches(['?', '#'])) {
        return Ok(said);
    }
    let (code, state) = text.split_once('#').map_or((text.as_str(), None), |(code, state)| (code, Some(state)));
    if code.is_empty() || !code.bytes().all(|b| b.is_ascii_graphic()) || code.contains(['"', '<', '>', '&', '=']) {
        return Err("that is no code");
    }
    Ok(Said::Code { code: code.to_owned(), state: state.filter(|s| !s.is_empty()).map(str::to_owned) })
}

/// From the query of an address; `None` where it holds neither a code nor an error.
pub fn from_query(query: &str) -> Option<Said> {
    let mut url = reqwest::Url::parse("http://localhost").ok()?;
    url.set_query(Some(query));
    let get = |name: &str| url.query_pairs().find(|(k, _)| k == name).map(|(_, v)| v.into_owned()).filter(|v| !v.is_empty());
    let state = get("state");
    if let Some(error) = get("error") {
        return Some(Said::Denied { error, description: get("error_description").unwrap_or_default(), state });
    }
    let code = get("code")?;
    // Anthropic's page joins the two.
    let (code, joined) = code.split_once('#').map_or((code.as_str(), None), |(c, s)| (c, Some(s.to_owned())));
    Some(Said::Code { code: code.to_owned(), state: state.or(joined) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn code(code: &str, state: Option<&str>) -> Said {
        Said::Code { code: code.into(), state: state.map(Into::into) }
    }

    #[test]
    fn every_form_that_people_paste() {
        assert_eq!(parse(" abc-1_2.x \n"), Ok(code("abc-1_2.x", None)));
        assert_eq!(parse("abc#st\n"), Ok(code("abc", Some("st"))));
        assert_eq!(parse("code=a%2Fb&state=s"), Ok(code("a/b", Some("s"))));
        assert_eq!(parse("http://localhost:1455/auth/callback?code=a&scope=x&state=s"), Ok(code("a", Some("s"))));
        assert_eq!(parse("https://x.dev/cb?code=a#state=s"), Ok(code("a", Some("s"))));
        assert_eq!(parse("http://localhost/cb?co\nde=a&st\r\n ate=s"), Ok(code("a", Some("s"))));
        assert_eq!(
            parse("http://localhost/cb?error=access_denied&error_description=no+way&state=s"),
            Ok(Said::Denied { error: "access_denied".into(), description: "no way".into(), state: Some("s".into()) })
        );
    }

    #[test]
    fn what_is_no_code_is_told_apart() {
        assert!(parse("  \n").unwrap_err().contains("nothing"));
        assert!(parse("https://auth.x.dev/authorize?client_id=a&code_challenge=b").unwrap_err().contains("address to open"));
        assert!(parse("https://x.dev/cb?state=s").unwrap_err().contains("no code"));
        assert_eq!(parse("<html>"), Err("that is no code"));
        assert_eq!(parse("a=b"), Err("that is no code"));
    }

    proptest! {
        #[test]
        fn an_address_gives_back_its_parameters(c in "[ -~]{1,40}", s in "[a-zA-Z0-9_-]{1,40}") {
            let mut url = reqwest::Url::parse("http://localhost:1/cb").unwrap();
            url.query_pairs_mut().append_pair("code", &c).append_pair("state", &s);
            let wanted = c.split('#').next().unwrap();
            if let Ok(Said::Code { code, state }) = parse(url.as_str()) {
                prop_assert_eq!((code.as_str(), state), (wanted, Some(s)));
            }
        }

        #[test]
        fn nothing_panics(text in ".{0,80}") {
            let _ = parse(&text);
        }
    }
}
