//! What a cloud client wants to do, as far as the rules care.

use smallvec::SmallVec;

use super::{AccountId, CloudId, ServiceId};

/// Accounts: two, as a request seldom names more, without an allocation.
pub type Accounts = SmallVec<[AccountId; 2]>;

/// What a request is to other services: two, as RDS has two others beside it, without an allocation.
pub type Twins = SmallVec<[(ServiceId, Operation); 2]>;

/// One call of a cloud's API, recognised.
#[derive(Clone, Debug)]
pub struct Call {
    /// The cloud.
    pub cloud: CloudId,
    /// The service.
    pub service: ServiceId,
    /// The operation, if it could be named.
    pub operation: Option<Operation>,
    /// The accounts that the call itself names, if it names any.
    pub accounts: Accounts,
    /// What the very same request is to other services, where nothing on the wire tells which one is meant.
    pub twins: Twins,
    /// The names of what it creates, as far as anybody has looked.
    pub names: Names,
}

/// The names that a call gives to what it creates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Names {
    /// All of them; none if it gives none.
    Told(Vec<String>),
    /// They can't be told, or nobody has looked.
    #[default]
    Untold,
}

/// What a call of an operation creates, as far as rules about names care.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Creates {
    /// Something that the request names or renames: rules look at that name.
    Named,
    /// Nothing that has a name of its own: no rule about names concerns it, and a rule that names exactly this operation
    /// lets no call of it go.
    #[default]
    Nothing,
    /// Something whose name the request does not tell: it does not go where a rule concerns it.
    Untold,
}

/// An operation of a service.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Its name in the cloud's own words: `PutItem`.
    pub name: &'static str,
    /// Its answer holds cloud credentials: with one such answer the gateway would be bypassed for good.
    pub hands_out_credentials: bool,
    /// How a caller shows who it is.
    pub auth: Auth,
    /// Its body need not be signed.
    pub unsigned_body: bool,
    /// Its request carries an event stream.
    pub sends_events: bool,
    /// Its answer carries an event stream.
    pub answers_events: bool,
    /// What it creates.
    pub creates: Creates,
}

/// How the caller of an operation shows who it is, by the cloud's design.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Auth {
    /// With a bearer token, and not otherwise.
    Bearer,
    /// With a signature.
    #[default]
    Signed,
    /// With a signature or with a bearer token, as it likes.
    SignedOrBearer,
    /// Not at all: anybody may call it.
    Unsigned,
}

impl Operation {
    /// An operation that is signed, and of which nothing else is remarkable.
    pub const fn plain(name: &'static str) -> Self {
        Self {
            name,
            hands_out_credentials: false,
            auth: Auth::Signed,
            unsigned_body: false,
            sends_events: false,
            answers_events: false,
            creates: Creates::Nothing,
        }
    }
}
