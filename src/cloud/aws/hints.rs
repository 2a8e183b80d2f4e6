//! What the headers of a request say about its name, read in one pass: each call is named from a dozen of them.

use http::{HeaderMap, HeaderValue};

/// What the headers say that matters for the name of a call, and for the accounts that it addresses.
#[derive(Debug, Default)]
pub(super) struct Hints<'p> {
    pub(super) content_type: Told<'p>,
    /// `x-amz-copy-source` is there.
    pub(super) copies: bool,
    /// The first one.
    pub(super) host: Option<&'p HeaderValue>,
    /// A header asks the server to take another method than the request's. Whether a service heeds it is not told.
    pub(super) overrides_method: bool,
    /// `x-amz-account-id`, `x-amz-expected-bucket-owner`, `x-amz-source-expected-bucket-owner`.
    pub(super) owners: [Told<'p>; 3],
    /// Smithy RPC v2: which protocol a request is in.
    pub(super) smithy_protocol: Told<'p>,
    /// Which operation of a JSON protocol a request is.
    pub(super) target: Told<'p>,
}

/// What a header says that is to be there once.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Told<'p> {
    #[default]
    Nothing,
    Once(&'p HeaderValue),
    Twice,
}

impl<'p> Hints<'p> {
    pub(super) fn of(headers: &'p HeaderMap) -> Self {
        let mut hints = Self::default();
        let [account, owner, source_owner] = &mut hints.owners;
        for (name, value) in headers {
            match name.as_str() {
                "content-type" => hints.content_type.add(value),
                "host" => hints.host = hints.host.or(Some(value)),
                "smithy-protocol" => hints.smithy_protocol.add(value),
                "x-amz-account-id" => account.add(value),
                "x-amz-copy-source" => hints.copies = true,
                "x-amz-expected-bucket-owner" => owner.add(value),
                "x-amz-source-expected-bucket-owner" => source_owner.add(value),
                "x-amz-target" => hints.target.add(value),
                "x-http-method" | "x-http-method-override" | "x-method-override" => hints.overrides_method = true,
                _ => {}
            }
        }
        hints
    }
}

impl<'p> Told<'p> {
    fn add(&mut self, value: &'p HeaderValue) {
        *self = if self.is_there() { Self::Twice } else { Self::Once(value) };
    }

    pub(super) const fn is_there(self) -> bool {
        !matches!(self, Self::Nothing)
    }

    /// The one value, if it is text.
    pub(super) fn once(self) -> Option<&'p str> {
        match self {
            Self::Once(value) => value.to_str().ok(),
            Self::Nothing | Self::Twice => None,
        }
    }
}
