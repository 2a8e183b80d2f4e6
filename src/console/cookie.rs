//! Cookies (RFC 6265): found in a request, made for an answer, with the attributes that all of ours have.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, header};

use super::State;

/// A cookie by its name. Where the console is reached over TLS its name begins with `__Host-`: browsers then take it
/// only from this very host and only over TLS (RFC 6265bis, section 4.1.3.2).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cookie(&'static str);

/// Proves who somebody is.
pub(crate) const SESSION: Cookie = Cookie("csg_session");
/// The password was right: a code is what is missing.
pub(crate) const HALF_SESSION: Cookie = Cookie("csg_half");
/// A message for the next page.
pub(crate) const FLASH: Cookie = Cookie("csg_flash");
/// The environment that was looked at last.
pub(crate) const ENVIRONMENT: Cookie = Cookie("csg_environment");

impl Cookie {
    /// Its value in a request. Should there be two, none is believed.
    pub(crate) fn find(self, state: &State, headers: &HeaderMap) -> Option<String> {
        let name = self.name(state);
        let mut found = headers
            .get_all(header::COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .filter(|(key, value)| *key == name && !value.is_empty());
        let (_, value) = found.next()?;
        found.next().is_none().then(|| value.to_owned())
    }

    /// Sets it. The value must hold nothing but letters, digits, `-` and `_`.
    pub(crate) fn set(self, state: &State, value: &str, life: Duration) -> HeaderValue {
        let secure = if state.is_secure() { "; Secure" } else { "" };
        let name = self.name(state);
        let cookie = format!("{name}={value}; Path=/; Max-Age={}; HttpOnly; SameSite=Lax{secure}", life.as_secs());
        HeaderValue::try_from(cookie).unwrap_or(HeaderValue::from_static(""))
    }

    /// Takes it away.
    pub(crate) fn clear(self, state: &State) -> HeaderValue {
        self.set(state, "", Duration::ZERO)
    }

    fn name(self, state: &State) -> String {
        if state.is_secure() { format!("__Host-{}", self.0) } else { self.0.to_owned() }
    }
}
