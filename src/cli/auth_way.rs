//! The ways through a login, from a person's side: a browser on this machine, a code that is pasted, a device flow.

use super::app;
use super::auth_login::{failed, note};
use super::output::{Screen, Style};
use crate::auth::oauth::{Callback, Client, Device, Flow, Grant, Record, Store, Transport, Trouble, browser, keep, paste};
use crate::base::Failure;
use crate::catalog::OAuth;
use std::io::IsTerminal;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// How the user's word gets here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Browser,
    Paste,
    Device,
}

/// A login that is being made.
pub struct Visit<'a> {
    pub oauth: &'a OAuth,
    pub client: &'a Client,
    pub transport: &'a Transport,
    pub store: &'a Store,
    /// For the user to act.
    pub limit: Duration,
    pub screen: Screen,
}

/// Makes a login.
pub async fn make(visit: &Visit<'_>, way: Way) -> Result<Record, Failure> {
    let Visit { oauth, .. } = visit;
    match way {
        Way::Device => device(visit).await,
        // A provider without a page to open has only the device flow.
        Way::Browser | Way::Paste if oauth.endpoints.authorize.is_none() => device(visit).await,
        Way::Browser => browse(visit).await,
        Way::Paste => by_hand(visit).await,
    }
}

async fn kept(visit: &Visit<'_>, grant: Result<Grant, Trouble>) -> Result<Record, Failure> {
    let Visit { oauth, transport, store, screen, .. } = visit;
    let grant = grant.map_err(|t| failed(oauth, &t))?;
    let record = keep(oauth, &grant, transport, store).await?;
    note(oauth, &record, grant.refresh().is_some(), *screen);
    Ok(record)
}

async fn browse(visit: &Visit<'_>) -> Result<Record, Failure> {
    let Visit { oauth, client, screen, .. } = visit;
    let Some(callback) = Callback::listen(&oauth.redirect.ports, &oauth.redirect.path).await.map_err(|t| failed(oauth, &t))? else {
        let ports: Vec<String> = oauth.redirect.ports.iter().map(u16::to_string).collect();
        let taken = match ports.as_slice() {
            [one] => format!("port {one} is taken"),
            all => format!("the ports {} are taken", all.join(" and ")),
        };
        let device = if oauth.has_device_flow() { ", or --device" } else { "" };
        return Err(failed(oauth, &format!("{taken} on this machine, and the provider sends its answer nowhere else"))
            .hint(format!("end what listens there (another login?), or: pup auth login {} --no-browser{device}", oauth.provider)));
    };
    let flow = Flow::begin(oauth, client, callback.redirect_uri()).map_err(|t| failed(oauth, &t))?;
    let opened = browser::open(flow.url(), &app::env);
    let remote = ["SSH_CONNECTION", "SSH_TTY"].iter().any(|v| app::env(v).is_some());
    if opened {
        screen.always(Style::Plain, &format!("Your browser should show the login of {} now. If it does not, open:", oauth.display_name));
    } else {
        screen.always(Style::Plain, &format!("To log in to {}, open this address in a browser on this machine:", oauth.display_name));
    }
    screen.always(Style::Plain, &format!("\n{}\n", flow.url()));
    if remote && !opened {
        let device = if oauth.has_device_flow() { "`--device`" } else { "`--no-browser`" };
        screen.always(Style::Yellow, &format!("Over SSH your browser cannot reach this machine: {device} can do without."));
    }
    let lines = if std::io::stdin().is_terminal() {
        screen.always(Style::Dim, "(or paste here the address that you land on)");
        Some(lines())
    } else {
        None
    };
    answered(visit, &flow, Some(callback), lines).await
}

async fn by_hand(visit: &Visit<'_>) -> Result<Record, Failure> {
    let Visit { oauth, client, screen, .. } = visit;
    // A provider that shows the code on a page of its own needs nobody to listen. With any other the browser ends on an
    // address of this machine, which is what is pasted; if it happens to run here, that address answers.
    let callback = match &oauth.paste_redirect {
        Some(_) => None,
        None => Callback::listen(&oauth.redirect.ports, &oauth.redirect.path).await.map_err(|t| failed(oauth, &t))?,
    };
    let port = oauth.redirect.ports.iter().copied().find(|p| *p != 0).unwrap_or(1);
    let silent = || format!("http://localhost:{port}{}", oauth.redirect.path);
    let redirect = oauth.paste_redirect.clone().or_else(|| callback.as_ref().map(Callback::redirect_uri)).unwrap_or_else(silent);
    let flow = Flow::begin(oauth, client, redirect).map_err(|t| failed(oauth, &t))?;
    screen.always(Style::Plain, &format!("To log in to {}, open this address in any browser:", oauth.display_name));
    screen.always(Style::Plain, &format!("\n{}\n", flow.url()));
    let what = if oauth.paste_redirect.is_some() {
        "Then paste the code that it shows:"
    } else {
        "The browser ends on an address that does not load. Paste that address, or the code in it:"
    };
    screen.always(Style::Plain, what);
    answered(visit, &flow, callback, Some(lines())).await
}

/// Waits for the answer, by whichever way it comes, and trades it for tokens. The browser is served until all is done, so
/// that a page that is loaded twice still says something sensible.
async fn answered(
    visit: &Visit<'_>,
    flow: &Flow<'_>,
    callback: Option<Callback>,
    lines: Option<mpsc::UnboundedReceiver<String>>,
) -> Result<Record, Failure> {
    let Visit { oauth, transport, limit, screen, .. } = visit;
    let (tell, told) = oneshot::channel();
    let listens = callback.is_some();
    let serve = async {
        match &callback {
            Some(callback) => callback.serve(flow.state(), tell).await,
            None => std::future::pending().await,
        }
    };
    let work = async {
        let pasted = async {
            match pasted(flow, lines, *screen).await {
                Some(code) => code,
                // The end of the input leaves the browser.
                None if listens => std::future::pending().await,
                None => Err(Trouble::refused("no code came from standard input")),
            }
        };
        let code = async {
            tokio::select! {
                Ok(said) = told, if listens => said,
                code = pasted => code,
            }
        };
        let late = |_| failed(oauth, &format!("nothing came back within {} s", limit.as_secs())).hint(again(oauth));
        let code = tokio::time::timeout(*limit, code).await.map_err(late)?.map_err(|t| failed(oauth, &t).hint(again(oauth)))?;
        screen.line(Style::Dim, "the provider has answered; getting the tokens");
        kept(visit, flow.exchange(transport, code).await).await
    };
    tokio::select! {
        done = work => done,
        () = serve => Err(Failure::internal("the callback's server ended")),
    }
}

fn again(oauth: &OAuth) -> String {
    format!("start again: pup auth login {}", oauth.provider)
}

/// The code out of the lines that are pasted; what is none is answered, and the next line is read. `None` at their end.
async fn pasted(flow: &Flow<'_>, lines: Option<mpsc::UnboundedReceiver<String>>, screen: Screen) -> Option<Result<String, Trouble>> {
    let mut lines = lines?;
    let mut last = None;
    while let Some(line) = lines.recv().await {
        let why = match paste::parse(&line) {
            Ok(said @ paste::Said::Denied { .. }) => match flow.code(said) {
                Ok(code) => return Some(Ok(code)),
                // A no is an answer, if it is to this login.
                Err(no) if no.code.is_some() => return Some(Err(no)),
                Err(foreign) => foreign.message,
            },
            Ok(said) => match flow.code(said) {
                Ok(code) => return Some(Ok(code)),
                Err(foreign) => foreign.message,
            },
            Err(_) if line.trim().is_empty() => continue,
            Err(why) => why.to_owned(),
        };
        screen.always(Style::Yellow, &format!("{why}; paste again:"));
        last = Some(Err(Trouble::refused(why)));
    }
    last
}

/// The lines of standard input, read on a thread that ends with the process: a read cannot be given up.
fn lines() -> mpsc::UnboundedReceiver<String> {
    let (say, heard) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lines() {
            let Ok(line) = line else { return };
            if say.send(line).is_err() {
                return;
            }
        }
    });
    heard
}

async fn device(visit: &Visit<'_>) -> Result<Record, Failure> {
    let Visit { oauth, client, transport, limit, screen, .. } = visit;
    if !oauth.has_device_flow() {
        return Err(failed(oauth, &"it has no device flow").hint(format!("pup auth login {} --no-browser", oauth.provider)));
    }
    let device = Device::begin(oauth, client, transport).await.map_err(|t| failed(oauth, &t))?;
    screen.always(Style::Plain, &format!("To log in to {}, open in any browser, on any machine:\n\n{}\n", oauth.display_name, device.page));
    screen.always(Style::Plain, &format!("and enter this code: {}", device.code));
    if let Some(page) = &device.page_with_code {
        screen.always(Style::Dim, &format!("(or, with the code filled in: {page})"));
    }
    screen.always(Style::Yellow, "Enter only a code that you asked for yourself.");
    kept(visit, device.wait(transport, *limit).await).await
}
