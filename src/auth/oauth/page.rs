//! What a browser shows at the end of a login. Nothing of the request is repeated, so nothing can leak or be injected.

/// A page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    status: &'static str,
    title: &'static str,
    text: &'static str,
}

pub const RECEIVED: Page = Page {
    status: "200 OK",
    title: "Back to pup",
    text: "pup has what it needs. Close this page and go back to the terminal, which says how it went.",
};
pub const DENIED: Page =
    Page { status: "200 OK", title: "No login", text: "The provider says that the login was refused. The terminal has the details." };
pub const DUPLICATE: Page = Page {
    status: "200 OK",
    title: "Already done",
    text: "This login has been answered before. Close this page and go back to the terminal.",
};
pub const FOREIGN: Page = Page {
    status: "400 Bad Request",
    title: "Not this login",
    text: "This answer does not belong to the login that pup waits for; it was ignored. Open the address that the terminal shows, or start again there.",
};
pub const EMPTY: Page = Page {
    status: "400 Bad Request",
    title: "Nothing in it",
    text: "This address holds neither a code nor an error. Open the address that the terminal shows.",
};
pub const NOT_FOUND: Page = Page { status: "404 Not Found", title: "Nothing here", text: "pup waits for a login at another address." };
pub const NOT_GET: Page = Page { status: "405 Method Not Allowed", title: "Not like this", text: "Open the address in a browser." };
pub const MALFORMED: Page = Page { status: "400 Bad Request", title: "Not understood", text: "This is not a request of a browser." };

/// The whole answer, headers and all. The connection ends with it, and nothing is kept.
pub fn response(page: Page) -> String {
    let Page { status, title, text } = page;
    let body = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title><style>body{{font:1.1em/1.5 sans-serif;max-width:34em;margin:4em auto;padding:0 1em}}</style></head>\n<body><h1>{title}</h1><p>{text}</p></body></html>\n"
    );
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\nCache-Control: no-store\r\nReferrer-Policy: no-referrer\r\nX-Content-Type-Options: nosniff\r\nContent-Security-Policy: default-src 'none'; style-src 'unsafe-inline'\r\n\r\n{body}",
        body.len()
    )
}
