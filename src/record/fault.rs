//! What can be wrong with a record: an expected outcome, not an error of ours.

use std::fmt;

use super::{Feature, FeatureId, Schema, SealFault};

/// Why a record does not leave as its verdict says. Travels to the dead-letter topic; never logged per record.
#[derive(Clone, Copy, Debug, PartialEq, strum::IntoStaticStr, strum::VariantNames)]
#[strum(serialize_all = "kebab-case")]
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
    /// The process ended twice, by a crash or a kill, while it scored this record alone.
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
    /// A step of its output cannot be applied to it: it leaves as a pointer or sealed, never in clear.
    StepFailed,
    /// The value is in clear, and the stream takes sealed ones only.
    NotSealed,
    /// The value is sealed with a key that is none of the stream's.
    UnknownKey,
    /// The value is sealed and cannot be opened.
    Undecryptable(SealFault),
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
    /// An input that may be missing is not there at all: a server that goes by places takes the later ones for others.
    Absent,
    /// The shape says other rows than the features do.
    Shape,
    /// The datatype cannot hold this number: readers truncate it, or it overflows.
    Number,
    /// Integers of an image, which we divide by the schema's scale, and nobody said that servers do.
    Scale,
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
    pub const NAMES: &'static [&'static str] = <Self as strum::VariantNames>::VARIANTS;

    /// Whether the record is dead-lettered in observe mode too: the sanitized topic cannot take it as it is.
    pub fn is_always_dead_lettered(&self) -> bool {
        self.is_refusal() || matches!(self, Self::TooManyHeaders { .. } | Self::StepFailed)
    }

    /// Short name, stable across versions, made of the variant's: headers, metrics and alerts carry it.
    pub fn name(&self) -> &'static str {
        self.into()
    }

    /// Whether its topic refused the record: it can go nowhere but to the dead letters, whatever
    /// the mode.
    pub fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::Undeliverable { .. } | Self::RefusedTimestamp { .. } | Self::RefusedRecord
        )
    }

    /// Whether the record goes to the quarantine topic and not to the dead-letter topic: it could be read, but not
    /// scored.
    pub fn is_quarantined(&self) -> bool {
        matches!(self, Self::Unscorable)
    }
}

/// How many quoted names, within how many bytes, are looked for before the byte where reading failed.
const NAMES_BEFORE: usize = 8;
const BYTES_BEFORE: usize = 512;

impl Fault {
    /// The fault in words, with the schema's names in place of feature numbers. `value` is the record's. With `values` the words may
    /// hold a value of the record. Called once for a record that leaves.
    pub fn told(&self, schema: &Schema, value: Option<&[u8]>, values: bool) -> String {
        let name = self.name();
        let named = |id| {
            let feature = match schema.feature_of(id) {
                Some(Feature::Image { .. }) => schema.name_of(id),
                Some(feature) => feature.name().to_owned(),
                None => id.to_string(),
            };
            format!("feature {feature:?} (number {id} of a row)")
        };
        match *self {
            Self::Unreadable { at } => match value.and_then(|value| name_before(schema, value, at))
            {
                Some(last) => format!("{self}, after the name {last:?}"),
                None => self.to_string(),
            },
            Self::WrongType { feature } => {
                format!("{name}: {} holds a value of another type", named(feature))
            }
            Self::NotFinite { feature } => format!("{name}: {} is not a number", named(feature)),
            Self::Missing { feature } => format!("{name}: {} is not there", named(feature)),
            Self::OutOfBounds { feature, value } => {
                let value = if values { format!("{value}, ") } else { String::new() };
                let bounds = schema.feature_of(feature).map(Feature::bounds);
                let bounds = bounds.map(|(min, max)| format!(" {min} to {max}"));
                let bounds = bounds.unwrap_or_default();
                format!("{name}: {} is {value}outside its bounds{bounds}", named(feature))
            }
            _ => self.to_string(),
        }
    }
}

/// The last name of a feature that stands in quotes before byte `at`: what was being read, if the value is text.
fn name_before<'a>(schema: &'a Schema, value: &[u8], at: usize) -> Option<&'a str> {
    let before = &value[..at.min(value.len())];
    let before = &before[before.len().saturating_sub(BYTES_BEFORE)..];
    let pieces = before.rsplit(|&byte| byte == b'"').skip(1).take(NAMES_BEFORE);
    let named = |piece: &[u8]| {
        let names = schema.features.iter().map(Feature::name);
        names.clone().find(|name| !name.is_empty() && name.as_bytes() == piece)
    };
    pieces.filter_map(named).next()
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
            Self::OutOfBounds { feature, .. } => {
                write!(f, "{name}: feature {feature} is outside its bounds")
            }
            Self::UnknownSchema => {
                write!(f, "{name}: the registry does not have the schema that the record names")
            }
            Self::Undeliverable { bytes } => {
                write!(f, "{name}: its topic does not take a record of {bytes} bytes")
            }
            Self::Crash => write!(f, "{name}: scoring it alone ended the process twice"),
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
            Self::StepFailed => {
                write!(f, "{name}: a step of its output cannot be applied to the value")
            }
            Self::NotSealed => {
                write!(f, "{name}: the value is in clear; the stream takes sealed values only")
            }
            Self::UnknownKey => {
                write!(f, "{name}: the value is sealed with a key that is none of the stream's")
            }
            Self::Undecryptable(why) => write!(f, "{name}: {why}"),
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
            Self::Absent => {
                "an input is absent, and later ones stand in other places; `inputs_by = \"name\"` allows that, and null may stand for it"
            }
            Self::Shape => "the shape says other rows than the schema does",
            Self::Number => "a number that its datatype cannot hold",
            Self::Scale => {
                "integers of an image; `scaled_integers = true` says that servers divide them by the schema's scale"
            }
            Self::Parameter => "a parameter that changes how a server reads the values",
            Self::Twice => "the values stand there twice",
            Self::Format => "readable in two formats, or in another one than the headers say",
            Self::Header => "a header that says how to read it stands there twice",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(fault: Fault, value: &str, expected: &str) {
        let category = Feature::Category {
            name: "port".into(),
            values: ["C", "Q", "S"].map(String::from).to_vec(),
            impute: None,
        };
        let features =
            vec![Feature::number("Fare", 0.0, 600.0), category, Feature::number("Age", 0.0, 120.0)];
        assert_eq!(fault.told(&Schema { features }, Some(value.as_bytes()), true), expected);
    }

    #[test]
    fn a_fault_of_a_feature_is_told_with_its_name_and_bounds() {
        let (age, port) = (FeatureId(4), FeatureId(1));
        check(
            Fault::Missing { feature: age },
            "",
            "missing: feature \"Age\" (number 4 of a row) is not there",
        );
        check(
            Fault::OutOfBounds { feature: age, value: 200.0 },
            "",
            "out-of-bounds: feature \"Age\" (number 4 of a row) is 200, outside its bounds 0 to 120",
        );
        let told = "wrong-type: feature \"port\" (number 1 of a row) holds a value of another type";
        check(Fault::WrongType { feature: port }, "", told);
        check(Fault::NullValue, "", "null-value: the record has no value");
        let beyond = "not-finite: feature \"99\" (number 99 of a row) is not a number";
        check(Fault::NotFinite { feature: FeatureId(99) }, "", beyond);
    }

    #[test]
    fn the_value_that_is_out_of_bounds_is_told_only_where_values_may_be() {
        let schema = Schema { features: vec![Feature::number("Age", 0.0, 120.0)] };
        let fault = Fault::OutOfBounds { feature: FeatureId(0), value: 200.0 };
        let told =
            "out-of-bounds: feature \"Age\" (number 0 of a row) is outside its bounds 0 to 120";
        assert_eq!(fault.told(&schema, Some(b"200"), false), told);
    }

    #[test]
    fn what_cannot_be_read_is_told_with_the_name_before_it_if_the_schema_has_that() {
        let said = "unreadable: cannot read the value past byte";
        let value = r#"{"Fare": 7.25, "Age": 22,,}"#;
        check(Fault::Unreadable { at: 25 }, value, &format!("{said} 25, after the name \"Age\""));
        check(Fault::Unreadable { at: 13 }, value, &format!("{said} 13, after the name \"Fare\""));
        check(Fault::Unreadable { at: 2 }, value, &format!("{said} 2"));
        check(Fault::Unreadable { at: 99 }, "", &format!("{said} 99"));
        check(Fault::Unreadable { at: 12 }, r#"{"secret":1,}"#, &format!("{said} 12"));
    }
}
