//! A secret that is shown this once: a password that the gateway made, an API token.

use askama::Template;

use crate::console::pages::frame::Frame;

/// The moment of a secret.
#[derive(Template)]
#[template(path = "admin/once.html")]
pub(crate) struct Once {
    pub(crate) frame: Frame,
    pub(crate) title: String,
    /// `This password`.
    pub(crate) what: &'static str,
    /// What to do if it is lost.
    pub(crate) lost: &'static str,
    /// What belongs to it and is no secret.
    pub(crate) beside: Vec<(&'static str, String)>,
    pub(crate) label: &'static str,
    pub(crate) secret: String,
    /// How it is used, if that is not plain.
    pub(crate) example: Option<String>,
    pub(crate) back: String,
}
