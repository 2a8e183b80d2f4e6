//! One request and its answer: the stages in their order, and one ledger entry whatever happens.

use std::sync::Arc;

use http::{HeaderValue, Request, Response, Version, header, request::Parts};

use super::{
    Deps, OnAuditFailure,
    authorize::{Permitted, authorize},
    body::ResponseBody,
    forward::forward,
    identify::{Identified, identify},
    intercept::{Intercepted, Target},
    ledger::Ledger,
    rejection::{Rejection, Stage},
    resign::{real_identity, resign},
    respond::respond,
    translate::translate,
    turn::Turn,
    upload::{Source, Upload},
    verify::{Proof, verify},
    whereabouts::{locate, question},
};
use crate::{
    cloud::{Refusal, aws::Dialect},
    model::CloudIdentity,
};

/// Answers `request`, which came over `connection` and began its `turn`.
pub(super) async fn exchange(
    deps: Arc<Deps>,
    connection: Arc<Intercepted>,
    turn: Turn,
    request: Request<Source>,
) -> Response<ResponseBody> {
    let target = &connection.target;
    let mut ledger = Ledger::open(&deps, &connection.accepted.client, Arc::clone(&target.name));
    let (mut parts, source) = request.into_parts();
    let mut upload = Upload::new(source, &parts.headers, connection.accepted.address);
    // A scope of its own: what is judged needs no room any more while the cloud is called.
    let (signed, elsewhere, dialect) = {
        let mut permitted = match admit(&deps, target, &mut parts, &mut upload, &mut ledger).await {
            Ok(permitted) => permitted,
            Err(rejection) => return refuse(&rejection, target.host.dialect(&parts), &upload, ledger),
        };
        let dialect = permitted.dialect;
        let (elsewhere, identity) = match learn(&deps, &connection, &mut permitted, &mut parts, &mut ledger).await {
            Ok(learnt) => learnt,
            Err(rejection) => return refuse(&rejection, dialect, &upload, ledger),
        };
        match resign(&deps, permitted, identity.as_deref(), parts, upload, &mut ledger) {
            Ok(signed) => (signed, elsewhere, dialect),
            Err(rejection) => return respond(&rejection, dialect, ledger),
        }
    };
    match forward(&deps, &connection, elsewhere, signed, dialect, turn, ledger).await {
        Ok(answer) => answer,
        Err((rejection, ledger)) => respond(&rejection, dialect, ledger),
    }
}

/// What has to be known before `permitted` can be signed, and the cloud may have to be asked for: the host where its bucket
/// is, if that is another one, and the keys.
async fn learn<'t>(
    deps: &Arc<Deps>,
    connection: &'t Intercepted,
    permitted: &mut Permitted<'t>,
    parts: &mut Parts,
    ledger: &mut Ledger,
) -> Result<(Option<Arc<str>>, Option<Arc<CloudIdentity>>), Rejection> {
    let elsewhere = match question(&connection.target, permitted, parts) {
        // Boxed: so few calls have to wait for it that the others shall not keep room for it.
        Some(question) => Box::pin(locate(deps, connection, &question, permitted, parts, ledger)).await,
        None => None,
    };
    Ok((elsewhere, real_identity(deps, permitted).await?))
}

/// The answer to a request whose body was not read to its end.
fn refuse(rejection: &Rejection, dialect: Dialect<'_>, upload: &Upload, ledger: Ledger) -> Response<ResponseBody> {
    let mut answer = respond(rejection, dialect, ledger);
    if upload.holds_connection() {
        answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    answer
}

async fn admit<'t>(
    deps: &Deps,
    target: &'t Target,
    parts: &mut Parts,
    upload: &mut Upload,
    ledger: &mut Ledger,
) -> Result<Permitted<'t>, Rejection> {
    if parts.version == Version::HTTP_2 {
        translate(parts).map_err(|refusal| Stage::Identify.rejects(refusal))?;
    }
    let identified = identify(target, parts, ledger)?;
    if !ledger.has_place() && deps.live.load().on_audit_failure == OnAuditFailure::Deny {
        let reason = "the audit log takes no more records; try again later".to_owned();
        return Err(Stage::Identify.rejects(Refusal::GatewayUnavailable { reason }));
    }
    let verified = match identified {
        Identified::Signed { signature, scope } => verify(deps, signature, scope, parts, upload, ledger).await?,
        Identified::Unsigned(unsigned) => unsigned.vouch(deps, target, parts, upload, ledger).await?,
    };
    if let Proof::Signature(signature) = &verified.proof {
        let unwrapped = signature.unwrap_query(parts, verified.scope.path_is_encoded_once());
        unwrapped.map_err(|error| Stage::Verify.rejects(Refusal::Malformed { what: error.to_string() }))?;
    }
    authorize(deps, verified, parts, ledger)
}
