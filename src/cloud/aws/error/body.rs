//! The bodies of errors, one form for each way that AWS words them.

/// JSON, whichever version; REST or not.
pub(super) fn json(code: &str, message: &str) -> Vec<u8> {
    serde_json::json!({ "__type": code, "message": message }).to_string().into_bytes()
}

/// The query protocol's, and of REST services with XML (but for S3).
pub(super) fn xml(code: &str, message: &str, request_id: &str, namespace: Option<&str>, fault: &str) -> Vec<u8> {
    let namespace = namespace.map(|uri| format!(" xmlns=\"{}\"", escape(uri))).unwrap_or_default();
    format!(
        "<?xml version=\"1.0\"?>\n<ErrorResponse{namespace}><Error><Type>{fault}</Type><Code>{code}</Code>\
         <Message>{}</Message></Error><RequestId>{}</RequestId></ErrorResponse>\n",
        escape(message),
        escape(request_id)
    )
    .into_bytes()
}

/// S3's: nothing around the error, and no namespace. With the region to sign for, where another one was signed for.
pub(super) fn s3(code: &str, message: &str, region: Option<&str>, request_id: &str) -> Vec<u8> {
    let id = escape(request_id);
    let region = region.map(|region| format!("<Region>{}</Region>", escape(region))).unwrap_or_default();
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{}</Message>{region}\
         <RequestId>{id}</RequestId><HostId>{id}</HostId></Error>",
        escape(message)
    )
    .into_bytes()
}

/// EC2's.
pub(super) fn ec2(code: &str, message: &str, request_id: &str) -> Vec<u8> {
    format!(
        "<?xml version=\"1.0\"?>\n<Response><Errors><Error><Code>{code}</Code><Message>{}</Message></Error></Errors>\
         <RequestID>{}</RequestID></Response>\n",
        escape(message),
        escape(request_id)
    )
    .into_bytes()
}

/// A CBOR map of two texts (RFC 8949, section 3): all that an error needs.
pub(super) fn cbor(code: &str, message: &str) -> Vec<u8> {
    let mut out = vec![0xa2];
    for text in ["__type", code, "message", message] {
        let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
        out.push(0x7a); // a text whose length follows in four bytes
        out.extend(length.to_be_bytes());
        out.extend(text.bytes().take(length as usize));
    }
    out
}

/// `text` between tags. Characters that XML 1.0 (section 2.2) has no way to write become U+FFFD.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\r' => out.push_str("&#13;"),
            '\t' | '\n' => out.push(c),
            '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            _ => out.push(c),
        }
    }
    out
}
