//! Setting up, and turning off, one's own second factor.

use askama::Template;
use axum::response::Response;
use qrcode::{Color, EcLevel, QrCode};

use super::{form::Submitted, frame::Frame, redirect, sign_in, visitor::Visitor, words::When};
use crate::{
    console::{
        csrf,
        error::{Problem, capital},
    },
    secret::Secret,
    workflow::{Caller, Enrolment, Error, SecondFactorView},
};

const PAGE: &str = "/account/second-factor";

#[derive(Template)]
#[template(path = "second_factor.html")]
struct SecondFactor {
    frame: Frame,
    on: Option<On>,
    password_error: Option<String>,
    code_error: Option<String>,
}

struct On {
    since: When,
    codes_left: usize,
}

/// The key, for an app: as a picture and as text. Shown once.
#[derive(Template)]
#[template(path = "second_factor_key.html")]
struct Key {
    frame: Frame,
    text: String,
    qr: Option<Qr>,
}

/// A code has to be typed, but the key is not shown again.
#[derive(Template)]
#[template(path = "second_factor_confirm.html")]
struct Confirm {
    frame: Frame,
    code_error: Option<String>,
}

/// The recovery codes. Shown once.
#[derive(Template)]
#[template(path = "recovery_codes.html")]
struct RecoveryCodes {
    frame: Frame,
    codes: Vec<String>,
    file: String,
}

pub(crate) async fn show(visitor: Visitor) -> Result<Response, Problem> {
    Ok(visitor.page(&page(&visitor, &Refused::default()).await?))
}

/// What was wrong with the form, by field.
#[derive(Default)]
struct Refused {
    password: Option<String>,
    code: Option<String>,
}

impl Refused {
    /// What can be told at a field; all else is a page of its own.
    fn of(error: Error) -> Result<Self, Problem> {
        match error {
            Error::Invalid(errors) => {
                let of = |field| errors.iter().find(|error| error.field == field).map(|error| capital(&error.message));
                Ok(Self { password: of("password"), code: of("otp") })
            }
            other => Err(other.into()),
        }
    }
}

async fn page(visitor: &Visitor, refused: &Refused) -> Result<SecondFactor, Problem> {
    let on = visitor.run(Caller::second_factor).await?;
    let on = on.map(|SecondFactorView { created_at, recovery_codes_left }| On {
        since: visitor.when(created_at),
        codes_left: recovery_codes_left,
    });
    let (password_error, code_error) = (refused.password.clone(), refused.code.clone());
    Ok(SecondFactor { frame: visitor.frame(), on, password_error, code_error })
}

/// Makes a key and shows it.
pub(crate) async fn begin(Submitted { visitor, fields }: Submitted) -> Result<Response, Problem> {
    let password = fields.secret("password");
    let begun = visitor.session.clone().try_run(move |caller| Ok(caller.begin_second_factor(&password)));
    match begun.await? {
        Ok(Enrolment { key, address }) => {
            let (text, qr) = (in_groups(&key), Qr::of(&address));
            Ok(visitor.page(&Key { frame: visitor.frame(), text, qr }))
        }
        Err(error) => Ok(visitor.again(&page(&visitor, &Refused::of(error)?).await?)),
    }
}

/// Turns it on, and shows the recovery codes.
pub(crate) async fn confirm(Submitted { visitor, fields }: Submitted) -> Result<Response, Problem> {
    let code = fields.secret("code");
    let confirmed = visitor.session.clone().try_run(move |caller| Ok(caller.confirm_second_factor(&code)));
    match confirmed.await? {
        Ok((codes, signed_in)) => {
            let codes: Vec<_> = codes.iter().map(|code| code.expose().to_owned()).collect();
            // The forms of this page belong to the session's new token.
            let frame = Frame { csrf: csrf::token(&signed_in.token), ..visitor.frame() };
            let file = format!(
                "Recovery codes of {} for Cloud Service Gateway, {}\nEach works once.\n\n{}\n",
                frame.user,
                visitor.state.console,
                codes.join("\n")
            );
            let answer = visitor.page(&RecoveryCodes { frame, codes, file });
            Ok(sign_in::begin(&visitor.state, answer, &signed_in))
        }
        Err(error) => {
            let code_error = Refused::of(error)?.code;
            Ok(visitor.again(&Confirm { frame: visitor.frame(), code_error }))
        }
    }
}

pub(crate) async fn disable(Submitted { visitor, fields }: Submitted) -> Result<Response, Problem> {
    let (password, code) = (fields.secret("password"), fields.secret("code"));
    let disabled = visitor.session.clone().try_run(move |caller| Ok(caller.disable_second_factor(&password, &code)));
    match disabled.await? {
        Ok(signed_in) => {
            let answer = visitor.done(PAGE, "The second factor is off: your password alone signs you in.");
            Ok(sign_in::begin(&visitor.state, answer, &signed_in))
        }
        Err(error) => Ok(visitor.again(&page(&visitor, &Refused::of(error)?).await?)),
    }
}

/// Reloading what shows something once leads back.
pub(crate) async fn back() -> Response {
    redirect::see(PAGE)
}

/// Four letters at a time, as people type them.
fn in_groups(key: &Secret) -> String {
    let letters: Vec<_> = key.expose().chars().collect();
    letters.chunks(4).map(|group| group.iter().collect::<String>()).collect::<Vec<_>>().join(" ")
}

/// A QR code as an SVG path: a stroke of one unit for each run of dark modules.
struct Qr {
    /// With the margin of four modules that readers need (ISO/IEC 18004).
    size: usize,
    path: String,
}

impl Qr {
    fn of(address: &Secret) -> Option<Self> {
        use std::fmt::Write as _;
        const MARGIN: usize = 4;
        let code = QrCode::with_error_correction_level(address.expose(), EcLevel::M).ok()?;
        let mut path = String::new();
        for (y, row) in code.to_colors().chunks(code.width()).enumerate() {
            let mut x = 0;
            for run in row.chunk_by(|a, b| a == b) {
                if run.first() == Some(&Color::Dark) {
                    write!(path, "M{} {}h{}v1h-{}z", x + MARGIN, y + MARGIN, run.len(), run.len()).ok()?;
                }
                x += run.len();
            }
        }
        Some(Self { size: code.width() + 2 * MARGIN, path })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Draws the path as a browser would, and compares it with the modules.
    #[test]
    fn the_path_is_the_code() {
        let address =
            Secret::new("otpauth://totp/Cloud%20Service%20Gateway:dora?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        let code = QrCode::with_error_correction_level(address.expose(), EcLevel::M).unwrap();
        let qr = Qr::of(&address).unwrap();
        assert_eq!(qr.size, code.width() + 8);
        let mut drawn = vec![vec![false; qr.size]; qr.size];
        for run in qr.path.split('z').filter(|run| !run.is_empty()) {
            let (at, length) = run.strip_prefix('M').unwrap().split_once('h').unwrap();
            let (x, y) = at.split_once(' ').unwrap();
            let (length, back) = length.split_once("v1h-").unwrap();
            assert_eq!(length, back);
            let (x, y, length): (usize, usize, usize) =
                (x.parse().unwrap(), y.parse().unwrap(), length.parse().unwrap());
            drawn[y][x..x + length].fill(true);
        }
        for (y, row) in drawn.iter().enumerate() {
            for (x, &dark) in row.iter().enumerate() {
                let inside = (4..qr.size - 4).contains(&x) && (4..qr.size - 4).contains(&y);
                assert_eq!(dark, inside && code[(x - 4.min(x), y - 4.min(y))] == Color::Dark, "{x} {y}");
            }
        }
    }
}
