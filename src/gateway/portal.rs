//! What the gateway port says by itself, in plain HTTP: its CA certificate, how to set a client up, whether it is well.
//!
//! Asked either on the port itself (`GET /cert/pem`) or through the proxy (`GET http://csg/cert/pem`).

use http::{HeaderValue, Method, Request, Response, StatusCode, header};

use super::{Deps, accept::Accepted, body::ResponseBody};

/// The name that stands for the gateway in a request through the proxy.
const NAME: &str = "csg";

/// Answers anything that is not CONNECT.
pub(super) fn answer<B>(deps: &Deps, accepted: &Accepted, request: &Request<B>) -> Response<ResponseBody> {
    if let Some(authority) = request.uri().authority()
        && !authority.host().eq_ignore_ascii_case(NAME)
    {
        return plain(
            StatusCode::FORBIDDEN,
            format!("{}: cloud hosts are reached by https only; use an https:// endpoint.\n", authority.host()),
        );
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut answer = plain(StatusCode::METHOD_NOT_ALLOWED, "Only GET is understood here.\n".to_owned());
        answer.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        return answer;
    }
    match request.uri().path() {
        "/" => plain(StatusCode::OK, instructions(request)),
        "/cert/der" => file("application/pkix-cert", "csg-ca.der", deps.bundles.der.clone()),
        "/cert/p12" => file("application/x-pkcs12", "csg-ca.p12", deps.bundles.pkcs12.clone()),
        "/cert/pem" => file("application/x-pem-file", "csg-ca.pem", deps.bundles.pem.clone()),
        "/healthz" if accepted.stop.is_cancelled() => plain(StatusCode::SERVICE_UNAVAILABLE, "stopping\n".to_owned()),
        "/healthz" => plain(StatusCode::OK, "ok\n".to_owned()),
        _ => plain(
            StatusCode::NOT_FOUND,
            "Here are /, /cert/pem, /cert/der, /cert/p12 and /healthz. For a cloud call, set this address as the \
             HTTPS proxy (HTTPS_PROXY=http://…).\n"
                .to_owned(),
        ),
    }
}

/// A short text.
pub(super) fn plain(status: StatusCode, words: String) -> Response<ResponseBody> {
    let mut answer = Response::new(ResponseBody::own(words));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}

fn file(kind: &'static str, name: &'static str, content: bytes::Bytes) -> Response<ResponseBody> {
    let mut answer = Response::new(ResponseBody::own(content));
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    if let Ok(disposition) = HeaderValue::try_from(format!("attachment; filename=\"{name}\"")) {
        headers.insert(header::CONTENT_DISPOSITION, disposition);
    }
    answer
}

fn instructions<B>(request: &Request<B>) -> String {
    // Whoever asks by address learns the address that works for them; through the proxy they know it already.
    let direct = request.uri().authority().is_none();
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok()).filter(|_| direct);
    let gateway = host.filter(|host| host.bytes().all(|byte| byte.is_ascii_graphic())).unwrap_or("GATEWAY:3128");
    format!(
        "Cloud Service Gateway\n\n\
         To use cloud services from here, ask for access in the console. Then, for most clients:\n\n\
         \x20 curl -o csg-ca.pem http://{gateway}/cert/pem\n\
         \x20 export HTTPS_PROXY=http://{gateway}\n\
         \x20 export AWS_CA_BUNDLE=$PWD/csg-ca.pem\n\
         \x20 export AWS_ACCESS_KEY_ID=<the key from the console>\n\
         \x20 export AWS_SECRET_ACCESS_KEY=<the secret from the console>\n\n\
         Node.js takes the CA from NODE_EXTRA_CA_CERTS=$PWD/csg-ca.pem and needs a proxy agent in the SDK's request\n\
         handler; Java takes a trust store: /cert/p12, password changeit.\n\n\
         The CA certificate: /cert/pem, /cert/der, /cert/p12\n"
    )
}
