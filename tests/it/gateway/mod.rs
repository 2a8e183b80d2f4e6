//! The data plane from outside: what a client sends and gets, what the cloud gets and sends, and what is recorded.

mod access_end;
mod answers;
mod asymmetric;
mod audit;
mod bad_input;
mod bare;
mod bodies;
mod chunked;
mod connections;
mod escape;
mod event_streams;
mod events;
mod expect;
mod happy;
mod held;
mod http2;
mod http2_attacks;
mod http2_bodies;
mod http2_events;
mod http2_floods;
mod names;
mod perimeter;
mod presigned;
mod refusals;
mod requests;
mod roles;
mod spooled;
mod stop;
mod timing;
mod unsigned;
mod upgrades;
mod upstream;
mod vouched;
mod ways_in;
mod whereabouts;

/// A call with a body that is not held, because its hash is declared and the path says what is called.
const UPLOAD: &str = "PUT /2015-03-31/functions/f/code HTTP/1.1
    Host: lambda.us-east-1.amazonaws.com
    X-Amz-Content-Sha256: {sha256}";

/// The smallest call there is.
const LIST_TABLES: &str = "POST / HTTP/1.1
    Host: dynamodb.us-east-1.amazonaws.com
    X-Amz-Target: DynamoDB_20120810.ListTables
    Content-Type: application/x-amz-json-1.0

    {}";

/// What comes before the body in a request written as text.
fn head_of(request: &str) -> &str {
    request.split("\n\n").next().unwrap()
}
