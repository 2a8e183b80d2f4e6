//! A browser without scripts: keeps cookies, follows what it is told, fills in forms.

use std::{cell::RefCell, collections::BTreeMap};

use crate::api::harness::{Answer, Console, PASSWORD};

pub(crate) struct Browser<'c> {
    console: &'c Console,
    pub(crate) cookies: RefCell<BTreeMap<String, String>>,
}

impl<'c> Browser<'c> {
    pub(crate) fn new(console: &'c Console) -> Self {
        Self { console, cookies: RefCell::default() }
    }

    pub(crate) fn signed_in(console: &'c Console, name: &str) -> Self {
        let browser = Self::new(console);
        let answer = browser.post("/sign-in", &[("username", name), ("password", PASSWORD)]);
        assert_eq!(answer.status, 303, "{}", answer.text);
        browser
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[("accept", "text/html")], None)
    }

    /// The page, which has to be there.
    #[track_caller]
    pub(crate) fn page(&self, path: &str) -> String {
        let answer = self.get(path);
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        answer.text
    }

    /// Sends exactly these fields.
    pub(crate) fn post(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        self.post_from(path, fields, &[])
    }

    pub(crate) fn post_from(&self, path: &str, fields: &[(&str, &str)], headers: &[(&str, &str)]) -> Answer {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let mut all = vec![("content-type", "application/x-www-form-urlencoded"), ("accept", "text/html")];
        all.extend(headers);
        self.send("POST", path, &all, Some(body))
    }

    /// Sends a form of the page at `from`, with its token.
    pub(crate) fn submit(&self, from: &str, path: &str, fields: &[(&str, &str)]) -> Answer {
        let csrf = self.csrf(from);
        let mut all = vec![("csrf", csrf.as_str())];
        all.extend(fields);
        self.post(path, &all)
    }

    pub(crate) fn csrf(&self, page: &str) -> String {
        let page = self.page(page);
        let (_, rest) = page.split_once("name=\"csrf\" value=\"").expect("a form");
        rest.split('"').next().unwrap().to_owned()
    }

    fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<String>) -> Answer {
        let cookies: Vec<_> = self.cookies.borrow().iter().map(|(name, value)| format!("{name}={value}")).collect();
        let cookies = cookies.join("; ");
        let mut all = headers.to_vec();
        if !cookies.is_empty() {
            all.push(("cookie", &cookies));
        }
        let answer = self.console.call(method, path, &all, body);
        for set in answer.headers.get_all("set-cookie") {
            let set = set.to_str().unwrap();
            let (name, value) = set.split(';').next().unwrap().split_once('=').unwrap();
            if set.contains("Max-Age=0") {
                self.cookies.borrow_mut().remove(name);
            } else {
                self.cookies.borrow_mut().insert(name.to_owned(), value.to_owned());
            }
        }
        answer
    }
}

/// Where a write led to.
#[track_caller]
pub(crate) fn location(answer: &Answer) -> String {
    assert_eq!(answer.status, 303, "{}", answer.text);
    answer.header("location").to_owned()
}
