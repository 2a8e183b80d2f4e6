//! What is refused, and in which words.

use std::time::Duration;

use super::*;

/// A signed request, to be spoilt.
fn signed(headers: &[(&str, &str)]) -> Parts {
    let headers = headers.iter().map(|(name, value)| (*name, value.as_bytes()));
    let host = std::iter::once(("host", b"service.us-east-1.amazonaws.com".as_slice()));
    let mut parts = parts_of("POST", "/", host.chain(headers)).unwrap();
    Signer::new(PathStyle::EncodedTwice).sign(&mut parts, Payload::EMPTY, now());
    parts
}

fn refusal(parts: &Parts) -> String {
    parse(parts).unwrap_err().to_string()
}

#[test]
fn malformed_authorization_headers() {
    const CREDENTIAL: &str = "Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request";
    let signature = format!("Signature={}", "0".repeat(64));
    let with = |credential: &str, headers: &str, signature: &str| {
        format!("AWS4-HMAC-SHA256 {credential}, {headers}, {signature}")
    };
    let credential =
        |credential: &str| with(&format!("Credential={credential}"), "SignedHeaders=host;x-amz-date", &signature);
    let headers = |headers: &str| with(CREDENTIAL, &format!("SignedHeaders={headers}"), &signature);
    let digits = |digits: &str| with(CREDENTIAL, "SignedHeaders=host;x-amz-date", &format!("Signature={digits}"));
    let well_formed = headers("host;x-amz-date");
    let cases: &[(&str, &str)] = &[
        (
            "AWS4-HMAC-SHA256",
            "Authorization header requires 'Credential' parameter. Authorization header requires 'Signature' parameter. Authorization header requires 'SignedHeaders' parameter.",
        ),
        ("AWS4-HMAC-SHA256 ", "Invalid key=value pair"),
        (
            &format!("AWS4-HMAC-SHA256 {CREDENTIAL}"),
            "Authorization header requires 'Signature' parameter. Authorization header requires 'SignedHeaders' parameter.",
        ),
        (
            &format!("AWS4-HMAC-SHA256 {CREDENTIAL}, {signature}"),
            "Authorization header requires 'SignedHeaders' parameter.",
        ),
        (&format!("{well_formed},"), "Invalid key=value pair"),
        (&format!("{well_formed}, {signature}"), "'Signature' must not be given more than once"),
        (&format!("{well_formed}, Other=1"), "Authorization header may only hold"),
        (&format!("{well_formed}, other"), "Invalid key=value pair"),
        (&well_formed.replace(", ", " "), "Authorization header requires 'Signature' parameter."),
        (&well_formed.replace("Credential=", "Credential = "), "Authorization header may only hold"),
        (&well_formed.replace("Credential", "credential"), "Authorization header may only hold"),
        (
            &well_formed.replace("SHA256 ", "SHA256"),
            "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.",
        ),
        (&format!("{well_formed}{}", "0".repeat(9000)), "Authorization header is longer than 8192 bytes"),
        (&credential("AKIDEXAMPLE"), "Credential must have exactly 5 slash-delimited elements"),
        (
            &credential("AKID/EXAMPLE/20150830/us-east-1/service/aws4_request"),
            "Credential must have exactly 5 slash-delimited elements",
        ),
        (&credential("/20150830/us-east-1/service/aws4_request"), "Credential must have exactly 5"),
        (&credential("AKIDEXAMPLE/20150830//service/aws4_request"), "Credential must have exactly 5"),
        (&credential("AKID EXAMPLE/20150830/us-east-1/service/aws4_request"), "Credential must have exactly 5"),
        (
            &credential("AKIDEXAMPLE/20150830/us-east-1/service/aws3_request"),
            "Credential should be scoped with a valid terminator: 'aws4_request'",
        ),
        (
            &credential("AKIDEXAMPLE/20150831/us-east-1/service/aws4_request"),
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '20150831' != '20150830', from '20150830T123600Z'.",
        ),
        (&headers(""), "'SignedHeaders' must be lower-case"),
        (&headers("Host;x-amz-date"), "'SignedHeaders' must be lower-case"),
        (&headers("x-amz-date;host"), "'SignedHeaders' must be lower-case"),
        (&headers("host;host;x-amz-date"), "'SignedHeaders' must be lower-case"),
        (&headers("host;x-amz-date;"), "'SignedHeaders' must be lower-case"),
        (&headers("x-amz-date"), "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization."),
        (&headers("host"), "There were headers present in the request which were not signed: x-amz-date"),
        (&headers("absent;host;x-amz-date"), "The header 'absent' is a 'SignedHeader' but is not part of the request"),
        (&digits(""), "Signature must be 64"),
        (&digits(&"0".repeat(63)), "Signature must be 64"),
        (&digits(&"0".repeat(65)), "Signature must be 64"),
        (&digits(&"A".repeat(64)), "Signature must be 64"),
        (&digits(&"g".repeat(64)), "Signature must be 64"),
        ("", "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256."),
        ("Bearer abc", "Bearer tokens can't be verified here."),
        ("bearer abc", "Bearer tokens can't be verified here."),
        ("Basic abc", "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256."),
        (
            "AWS AKIDEXAMPLE:c2lnbmF0dXJl",
            "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.",
        ),
        (
            &well_formed.replace("HMAC", "ECDSA-P256"),
            "AWS4-ECDSA-P256-SHA256 requires existence of the 'X-Amz-Region-Set' header.",
        ),
    ];
    let mut parts = signed(&[]);
    for (value, expected) in cases {
        parts.headers.insert("authorization", HeaderValue::from_str(value).unwrap());
        let words = refusal(&parts);
        assert!(words.starts_with(expected), "{value}: {words}");
    }
    for (value, what) in [(well_formed.replace(", ", ","), "no spaces"), (well_formed.replace(", ", " ,\t"), "tabs")] {
        parts.headers.insert("authorization", HeaderValue::from_str(&value).unwrap());
        assert!(parse(&parts).is_ok(), "{what}");
    }
    parts.headers.insert("authorization", HeaderValue::from_bytes(b"AWS4-HMAC-SHA256 \xff").unwrap());
    assert!(refusal(&parts).starts_with("Invalid key=value pair"));
}

#[test]
fn other_ways_to_authenticate() {
    let other = || ParseError::Unsupported(Scheme::Other);
    let cases = [
        ("/", ParseError::Missing),
        ("/?Action=ListQueues&Version=2012-11-05", ParseError::Missing),
        ("/?X-Amz-Signature=00", other()),
        ("/?X-Amz-Algorithm=AWS4-HMAC-SHA512&X-Amz-Signature=00", other()),
        ("/?X-Amz-Algorithm=&X-Amz-Signature=00", other()),
    ];
    for (target, expected) in cases {
        assert_eq!(parse(&parts_of("GET", target, []).unwrap()).unwrap_err(), expected, "{target}");
    }
    // Signed in the header and in the query, however that is written.
    for query in [
        "X-Amz-Signature=00",
        "x-amz-signature=00",
        "X%2DAmz-Algorithm=AWS4-HMAC-SHA256",
        "AWSAccessKeyId=AKID",
        "awsaccesskeyid=",
    ] {
        let mut parts = signed(&[]);
        parts.uri = Uri::try_from(format!("/?{query}")).unwrap();
        assert_eq!(parse(&parts).unwrap_err(), ParseError::TwoSignatures, "{query}");
    }
}

#[test]
fn repeated_headers_that_may_be_there_once() {
    for name in ["Authorization", "X-Amz-Date", "X-Amz-Content-Sha256", "X-Amz-Security-Token", "Host"] {
        let mut parts = signed(&[(header::CONTENT_SHA256.as_str(), "")]);
        let name_in = HeaderName::from_bytes(name.as_bytes()).unwrap();
        let value = parts.headers.get(&name_in).cloned().unwrap_or(HeaderValue::from_static("token"));
        parts.headers.insert(name_in.clone(), value.clone());
        parts.headers.append(name_in, value);
        assert_eq!(refusal(&parts), format!("'{name}' must not be given more than once"));
    }
}

#[test]
fn dates() {
    let iso = "20150830T123600Z";
    let http = "Sun, 30 Aug 2015 12:36:00 GMT";
    let base = signed(&[("date", http)]);
    // Signed with both; by `Date` alone the moment is the same, so what was signed differs only in the headers.
    assert_eq!(parse(&base).unwrap().at(), now());
    for (amz_date, date, expected) in [
        (Some(http), Some(http), Err("Date must be in ISO-8601 'basic format'.")),
        (Some("20150830"), None, Err("Date must be in ISO-8601 'basic format'.")),
        (None, Some("2015-08-30T12:36:00Z"), Err("Date must be in ISO-8601 'basic format'.")),
        (None, None, Err("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.")),
        (None, Some(http), Ok(())),
        (None, Some(iso), Ok(())),
        (Some(iso), Some("nonsense"), Ok(())),
    ] {
        let mut parts = base.clone();
        let authorization = parts.headers["authorization"].to_str().unwrap().replace(
            "date;host;x-amz-date",
            match (amz_date, date) {
                (None, Some(_)) => "date;host",
                (Some(_), None) => "host;x-amz-date",
                (Some(_), Some(_)) => "date;host;x-amz-date",
                (None, None) => "host",
            },
        );
        parts.headers.insert("authorization", HeaderValue::from_str(&authorization).unwrap());
        for (name, value) in [("x-amz-date", amz_date), ("date", date)] {
            parts.headers.remove(name);
            value.map(|value| parts.headers.insert(name, HeaderValue::from_str(value).unwrap()));
        }
        match (parse(&parts), expected) {
            (Ok(claim), Ok(())) => assert_eq!(claim.at(), now()),
            (Err(error), Err(words)) => assert!(error.to_string().starts_with(words), "{error}"),
            (got, _) => panic!("{amz_date:?} {date:?}: {got:?}"),
        }
    }
}

/// A client that knows only `Date` is signed with it.
#[test]
fn the_date_header_alone_is_enough() {
    let signer = Signer::new(PathStyle::EncodedTwice);
    let headers = [("host", b"h".as_slice()), ("date", b"Sun, 30 Aug 2015 12:36:00 GMT")];
    let mut parts = parts_of("GET", "/", headers).unwrap();
    let list = SignedHeaders::parse("date;host").unwrap();
    let request = canonical::request(&parts, signer.style, &list, &Payload::EMPTY);
    let to_sign = canonical::string_to_sign(&date::Moment::of(now()), &signer.scope, &request);
    let signature = SigningKey::derive(&signer.secret, signer.scope.clone()).sign(&to_sign).unwrap();
    let value = format!(
        "AWS4-HMAC-SHA256 Credential={}/20150830/us-east-1/service/aws4_request, SignedHeaders=date;host, Signature={signature}",
        Signer::ID
    );
    parts.headers.insert("authorization", HeaderValue::from_str(&value).unwrap());
    assert!(signer.accepts(&parts, b"", now()));
}

#[test]
fn the_clock_may_be_fifteen_minutes_off() {
    let parts = signed(&[]);
    let signer = Signer::new(PathStyle::EncodedTwice);
    let (quarter, second) = (Duration::from_mins(15), Duration::from_secs(1));
    for now in [now().plus(quarter), now().minus(quarter), now().plus(quarter + second / 2)] {
        assert!(signer.accepts(&parts, b"", now), "{now}");
    }
    let claim = parse(&parts).unwrap();
    assert_eq!(
        claim.check_clock(now().plus(quarter + second)).unwrap_err().to_string(),
        "Signature expired: 20150830T123600Z is now earlier than 20150830T123601Z (20150830T125101Z - 15 min.)"
    );
    assert_eq!(
        claim.check_clock(now().minus(quarter + second)).unwrap_err().to_string(),
        "Signature not yet current: 20150830T123600Z is still later than 20150830T123559Z (20150830T122059Z + 15 min.)"
    );
    assert!(!signer.accepts(&parts, b"", now().plus(quarter + second)));
    assert!(!signer.accepts(&parts, b"", Timestamp::MAX));
    assert!(!signer.accepts(&parts, b"", Timestamp::from_millis(i64::MIN)));
}

#[test]
fn every_amz_header_must_be_signed_and_the_security_token_need_not() {
    let mut parts = signed(&[]);
    parts.headers.insert("x-amz-security-token", HeaderValue::from_static("token"));
    assert_eq!(parse(&parts).unwrap().session_token.unwrap(), "token");
    parts.headers.insert("x-amz-target", HeaderValue::from_static("T"));
    assert_eq!(parse(&parts).unwrap_err(), ParseError::UnsignedHeader("x-amz-target".into()));
    parts.headers.remove("x-amz-target");
    parts.headers.insert("x-amzn-trace-id", HeaderValue::from_static("T"));
    assert!(parse(&parts).is_ok());
}

#[test]
fn payloads() {
    for (value, payload) in [
        ("UNSIGNED-PAYLOAD", Some(Payload::Unsigned)),
        ("STREAMING-UNSIGNED-PAYLOAD-TRAILER", Some(Payload::Streaming(Streaming::UnsignedTrailer))),
        ("STREAMING-AWS4-HMAC-SHA256-PAYLOAD", Some(Payload::Streaming(Streaming::Signed))),
        ("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", Some(Payload::EMPTY)),
        ("E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855", None),
        ("", None),
    ] {
        let mut parts = signed(&[(header::CONTENT_SHA256.as_str(), "")]);
        parts.headers.insert(&header::CONTENT_SHA256, HeaderValue::from_static(value));
        assert_eq!(parse(&parts).map(|claim| claim.payload), payload.map(Some).ok_or(ParseError::Payload), "{value}");
    }
    // The signature is right, the body is not: with the hash declared, and with it computed.
    let signer = Signer::new(PathStyle::EncodedTwice);
    assert!(!signer.accepts(&signed(&[(header::CONTENT_SHA256.as_str(), "")]), b"body", now()));
    assert!(!signer.accepts(&signed(&[]), b"body", now()));
    let parts = signed(&[(header::CONTENT_SHA256.as_str(), "")]);
    let key = SigningKey::derive(&signer.secret, signer.scope.clone());
    let verified = parse(&parts).unwrap().verify(&parts, signer.style, &key, Payload::of(b"body"), now());
    assert_eq!(verified.unwrap_err(), SignatureError::PayloadMismatch);
}

#[test]
fn a_key_of_another_scope_is_of_no_use() {
    let parts = signed(&[]);
    let signer = Signer::new(PathStyle::EncodedTwice);
    for scope in [
        Scope::at(now(), "us-east-2", "service"),
        Scope::at(now(), "us-east-1", "other"),
        Scope::at(now().plus(Duration::from_hours(24)), "us-east-1", "service"),
    ] {
        let key = SigningKey::derive(&signer.secret, scope);
        let verified = parse(&parts).unwrap().verify(&parts, signer.style, &key, Payload::EMPTY, now());
        assert_eq!(verified.unwrap_err(), SignatureError::Mismatch);
    }
}

/// boto/botocore#3643, smithy-lang/smithy-rs#3991: clients sign what belongs to the connection, and attackers name in
/// `Connection` what is signed.
#[test]
fn hop_by_hop_headers_are_verified_as_received_and_not_signed_again() {
    let signer = Signer::new(PathStyle::EncodedTwice);
    let headers = [
        ("connection", "keep-alive, X-Amz-Date"),
        ("expect", "100-continue"),
        ("host", "h"),
        ("transfer-encoding", "chunked"),
        ("user-agent", "u"),
    ];
    let mut parts = parts_of("PUT", "/", headers.map(|(name, value)| (name, value.as_bytes()))).unwrap();
    let list = "connection;expect;host;transfer-encoding;user-agent;x-amz-date";
    parts.headers.insert("x-amz-date", HeaderValue::from_static("20150830T123600Z"));
    let request = canonical::request(&parts, signer.style, &SignedHeaders::parse(list).unwrap(), &Payload::EMPTY);
    let key = SigningKey::derive(&signer.secret, signer.scope.clone());
    let signature = key.sign(&canonical::string_to_sign(&date::Moment::of(now()), &signer.scope, &request)).unwrap();
    let value = format!(
        "AWS4-HMAC-SHA256 Credential={}/20150830/us-east-1/service/aws4_request, SignedHeaders={list}, Signature={signature}",
        Signer::ID
    );
    parts.headers.insert("authorization", HeaderValue::from_str(&value).unwrap());
    assert!(signer.accepts(&parts, b"", now()));

    let claim = parse(&parts).unwrap();
    assert!(claim.protects("x-amz-date") && claim.protects("user-agent") && claim.protects("x-amz-anything"));
    assert!(!claim.protects("proxy-connection"));

    signer.sign(&mut parts, Payload::EMPTY, now());
    assert_eq!(parse(&parts).unwrap().signed_headers.as_str(), "host;user-agent;x-amz-date");
}
