//! Why something of a federation does not count: each reason has a name.

/// Why a key, a record, a sum or a share is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum Rejection {
    #[error("it is {got} bytes long, and must be {expected}")]
    Length { got: usize, expected: usize },
    #[error("it is format version {got}; this build reads 1")]
    Version { got: u8 },
    #[error("it is a record of kind {got}, and kind {expected} is wanted")]
    Kind { got: u8, expected: u8 },
    #[error(
        "it is of another federation, bundle, budget or length of windows: compare the first lines of the federation's file"
    )]
    OtherTerms,
    #[error(
        "it is under another set of trustees' keys: compare the trustees in the federation's file"
    )]
    OtherKeys,
    #[error("it is of another window than it should be")]
    OtherWindow,
    #[error("its file is named as if somebody else had sent it, or for another window")]
    Misnamed,
    #[error("it is part {got} of a window; a window has one part")]
    Part { got: u32 },
    #[error("window {window} is no start of a window")]
    NoWindow { window: i64 },
    #[error("it has {got} counters; the federation has {expected}")]
    Counters { got: usize, expected: usize },
    #[error("site number {number} is not in the federation")]
    UnknownSite { number: usize },
    #[error("trustee number {number} is not in the federation")]
    UnknownTrustee { number: usize },
    #[error("its signature is not by site {site}, or it was changed after it was signed")]
    Signature { site: String },
    #[error("number {index} of its points is not a canonical point of Ristretto255")]
    Point { index: usize },
    #[error("a number in its proof is not a canonical scalar")]
    Scalar,
    #[error(
        "site {site} does not prove that it made these ciphertexts: they may be copied from another site"
    )]
    NotItsOwn { site: String },
    #[error("trustee {trustee} does not prove that its share is right")]
    WrongShare { trustee: String },
    #[error("site {site} is in it twice")]
    Repeated { site: String },
    #[error(
        "it is of {got} sites; at least {min} are wanted: a sum of fewer says too much of each"
    )]
    TooFewSites { got: usize, min: usize },
    #[error("it is not the sum of the records that it names")]
    WrongSum,
    #[error("it names a record of site {site} that is not the one there is")]
    OtherContribution { site: String },
    #[error("the share of trustee {trustee} is missing: only all trustees together open a sum")]
    MissingShare { trustee: String },
    #[error("there are two shares of trustee {trustee}")]
    RepeatedShare { trustee: String },
    #[error("it is a share of another sum")]
    OtherSum,
    #[error(
        "window {window} was opened before, over other records: two sums of one window give away a site by their difference"
    )]
    OpenedBefore { window: i64 },
    #[error("window {window} is older than the oldest window that is remembered as opened")]
    TooOld { window: i64 },
    #[error("counter {index} is above {max}, or a site encrypted what is no count")]
    Unopenable { index: usize, max: u32 },
    #[error("its counters are so large that opening them takes too long")]
    TooMuchWork,
    #[error("a count of the window is above {max}", max = u32::MAX)]
    CountTooLarge,
    #[error("the window holds counts that a federation does not add: {what}")]
    NotAdded { what: &'static str },
    #[error("it is no key of a {expected}: {why}")]
    Key { expected: &'static str, why: &'static str },
    #[error(
        "it is the key of {name}, whom the federation knows by another public key, or not at all"
    )]
    NotAMember { name: String },
    #[error("the file of the federation is wrong: {0}")]
    Federation(String),
    #[error("the list of opened windows is damaged in line {line}: nothing is opened without it")]
    Opened { line: usize },
}

impl Rejection {
    /// Its name in messages: `wrong-share`.
    pub fn name(&self) -> &'static str {
        self.into()
    }
}
