//! What can be wrong with a record: an expected outcome, not an error of ours.

use std::fmt;

use super::FeatureId;

/// Why a record has no row. Travels to the dead-letter topic; never logged per record.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fault {
    /// The record has no value (a tombstone).
    NullValue,
    /// The value is larger than the stream allows.
    TooLarge { bytes: usize, bytes_max: usize },
    /// The `content-type` header names no codec we have.
    UnknownFormat,
    /// The bytes are not what the codec reads; `at` is the byte where it gave up.
    Unreadable { at: usize },
    /// The number of values differs from the schema's width.
    WrongArity { got: usize, expected: usize },
    /// More rows in one record than its size allows.
    TooManyRows { rows: usize, rows_max: usize },
    /// A value of another type than the feature: text where a number is wanted.
    WrongType { feature: FeatureId },
    /// A feature is NaN or infinite.
    NotFinite { feature: FeatureId },
    /// A feature is not there, and the schema has nothing to stand in for it.
    Missing { feature: FeatureId },
    /// A feature lies outside the schema's bounds.
    OutOfBounds { feature: FeatureId, value: f32 },
    /// The record names a schema that the registry does not have.
    UnknownSchema,
    /// The topic it should leave by does not take a record that large.
    Undeliverable { bytes: usize },
    /// Judging it ended the process, again and again.
    Crash,
    /// Two common readers would read the value differently: its sender would choose what we score.
    Ambiguous(Ambiguity),
    /// More headers than a record may have. Kafka's client shows none of them beyond 100,000: then
    /// `headers` is `None`.
    TooManyHeaders { headers: Option<usize>, bytes: usize },
    /// A network gives no finite number for it alone, and does for others.
    Unscorable,
    /// The topic it should leave by does not take its timestamp.
    RefusedTimestamp { timestamp: i64 },
    /// The topic it should leave by does not take it, for another reason than size and timestamp.
    RefusedRecord,
}

/// What readers of one value do not agree about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ambiguity {
    /// A name differs only in the case of its letters from one that is read: Go's JSON reader takes
    /// either.
    Case,
    /// An input that the schema does not have stands among those that are read: a server may take
    /// the first one whatever its name.
    Stranger,
    /// The inputs stand in another order than the schema's: a server may go by their places.
    Order,
    /// The shape says other rows than the features do.
    Shape,
    /// The datatype cannot hold this number: readers cut it or let it run over.
    Number,
    /// A parameter makes a server read other bytes, or read these otherwise.
    Parameter,
    /// The values stand there twice, in two forms.
    Twice,
    /// The value reads in two formats, or is of another format than its headers say.
    Format,
    /// A header that says how to read the value stands there twice, with two values.
    Header,
}

impl Fault {
    /// Every name a fault can have, in the order of the variants.
    pub const NAMES: [&'static str; 18] = [
        "null-value",
        "too-large",
        "unknown-format",
        "unreadable",
        "wrong-arity",
        "too-many-rows",
        "wrong-type",
        "not-finite",
        "missing",
        "out-of-bounds",
        "unknown-schema",
        "undeliverable",
        "crash",
        "ambiguous",
        "too-many-headers",
        "unscorable",
        "refused-timestamp",
        "refused-record",
    ];

    /// Whether the record cannot go on as it is, whatever the mode: then it is dead-lettered in observe
    /// mode too.
    pub fn holds_back(&self) -> bool {
        self.is_refusal() || matches!(self, Self::TooManyHeaders { .. })
    }

    /// Short name, stable across versions: headers, metrics and alerts carry it.
    pub fn name(&self) -> &'static str {
        let at = match self {
            Self::NullValue => 0,
            Self::TooLarge { .. } => 1,
            Self::UnknownFormat => 2,
            Self::Unreadable { .. } => 3,
            Self::WrongArity { .. } => 4,
            Self::TooManyRows { .. } => 5,
            Self::WrongType { .. } => 6,
            Self::NotFinite { .. } => 7,
            Self::Missing { .. } => 8,
            Self::OutOfBounds { .. } => 9,
            Self::UnknownSchema => 10,
            Self::Undeliverable { .. } => 11,
            Self::Crash => 12,
            Self::Ambiguous(_) => 13,
            Self::TooManyHeaders { .. } => 14,
            Self::Unscorable => 15,
            Self::RefusedTimestamp { .. } => 16,
            Self::RefusedRecord => 17,
        };
        Self::NAMES[at]
    }

    /// Whether its topic refused the record: it can go nowhere but to the dead letters, whatever
    /// the mode.
    pub fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::Undeliverable { .. } | Self::RefusedTimestamp { .. } | Self::RefusedRecord
        )
    }

    /// Whether the record is held back, not dead-lettered: it could be read.
    pub fn is_quarantined(&self) -> bool {
        matches!(self, Self::Unscorable)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name();
        match *self {
            Self::NullValue => write!(f, "{name}: the record has no value"),
            Self::TooLarge { bytes, bytes_max } => {
                write!(f, "{name}: {bytes} bytes; the stream allows {bytes_max}")
            }
            Self::UnknownFormat => write!(f, "{name}: no codec for this content-type"),
            Self::Unreadable { at } => write!(f, "{name}: cannot read the value past byte {at}"),
            Self::WrongArity { got, expected } => {
                write!(f, "{name}: {got} values; the schema has {expected}")
            }
            Self::TooManyRows { rows, rows_max } => {
                write!(f, "{name}: {rows} rows; a record of this stream may hold {rows_max}")
            }
            Self::WrongType { feature } => {
                write!(f, "{name}: feature {feature} holds a value of another type")
            }
            Self::NotFinite { feature } => write!(f, "{name}: feature {feature} is not a number"),
            Self::Missing { feature } => write!(f, "{name}: feature {feature} is not there"),
            Self::OutOfBounds { feature, value } => {
                write!(f, "{name}: feature {feature} is {value}, outside its bounds")
            }
            Self::UnknownSchema => {
                write!(f, "{name}: the registry does not have the schema that the record names")
            }
            Self::Undeliverable { bytes } => {
                write!(f, "{name}: its topic does not take a record of {bytes} bytes")
            }
            Self::Crash => write!(f, "{name}: judging it alone ended the process twice"),
            Self::Ambiguous(what) => write!(f, "{name}: {what}"),
            Self::TooManyHeaders { headers: Some(headers), bytes } => {
                write!(f, "{name}: {headers} headers of {bytes} bytes in all")
            }
            Self::TooManyHeaders { headers: None, .. } => {
                write!(f, "{name}: so many headers that the Kafka client reads none")
            }
            Self::Unscorable => {
                write!(f, "{name}: a network gives no finite number for it, alone and tried twice")
            }
            Self::RefusedTimestamp { timestamp } => {
                write!(f, "{name}: its topic does not take a record with timestamp {timestamp}")
            }
            Self::RefusedRecord => write!(f, "{name}: its topic does not take the record"),
        }
    }
}

impl fmt::Display for Ambiguity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Case => "a name differs from a wanted one only in the case of its letters",
            Self::Stranger => {
                "an input that the schema does not have; `extra_inputs` lists those that may come"
            }
            Self::Order => {
                "the inputs are not in the schema's order; `inputs_by = \"name\"` allows that"
            }
            Self::Shape => "the shape says other rows than the schema does",
            Self::Number => "a number that its datatype cannot hold",
            Self::Parameter => "a parameter that changes how a server reads the values",
            Self::Twice => "the values stand there twice",
            Self::Format => "readable in two formats, or in another one than the headers say",
            Self::Header => "a header that says how to read it stands there twice",
        })
    }
}
