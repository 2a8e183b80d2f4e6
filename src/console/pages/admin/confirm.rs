//! Before something ends: what stops working, for whom, and whether it can be undone. Works without scripts.

use askama::Template;

use crate::console::pages::frame::Frame;

/// A question whose answer is a button, or going back.
#[derive(Template)]
#[template(path = "admin/confirm.html")]
pub(crate) struct Confirm {
    pub(crate) frame: Frame,
    /// The page to go back to, and its name.
    pub(crate) back: (String, String),
    pub(crate) title: String,
    /// What happens.
    pub(crate) tells: Vec<String>,
    /// What stands in the way: then there is no button.
    pub(crate) blocked: Option<Blocked>,
    pub(crate) action: String,
    pub(crate) fields: Vec<(&'static str, String)>,
    pub(crate) button: &'static str,
}

/// What has to end first.
pub(crate) struct Blocked {
    pub(crate) why: String,
    /// Where that can be done.
    pub(crate) links: Vec<(String, String)>,
}
