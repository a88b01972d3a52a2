//! Every target by its name: a function of any bytes that panics if something is not as it must be.
//!
//! `fuzz_targets/` gives them to libFuzzer; `tests/core/fuzz.rs` feeds each a few thousand changed seeds
//! in `make test`, on the stable toolchain.

mod answers;
mod bundles;
mod encrypted;
mod files;
mod records;
mod sealed;

pub use self::answers::answers;
pub use self::bundles::{bundle, network};
pub use self::encrypted::csfle;
pub use self::files::{alert, config, state};
pub use self::records::{
    codec_avro, codec_cloudevents, codec_connect_json, codec_f32_le, codec_f64_le, codec_json,
    codec_kserve_v1, codec_oip_json, codec_oip_protobuf, codec_pick, codec_protobuf, codec_u8,
};
pub use self::sealed::jwe;

/// Name, and what it does.
pub type Target = (&'static str, fn(&[u8]));

pub const TARGETS: &[Target] = &[
    ("alert", alert),
    ("answers", answers),
    ("bundle", bundle),
    ("codec_avro", codec_avro),
    ("codec_cloudevents", codec_cloudevents),
    ("codec_connect_json", codec_connect_json),
    ("codec_f32_le", codec_f32_le),
    ("codec_f64_le", codec_f64_le),
    ("codec_json", codec_json),
    ("codec_kserve_v1", codec_kserve_v1),
    ("codec_oip_json", codec_oip_json),
    ("codec_oip_protobuf", codec_oip_protobuf),
    ("codec_pick", codec_pick),
    ("codec_protobuf", codec_protobuf),
    ("codec_u8", codec_u8),
    ("config", config),
    ("csfle", csfle),
    ("jwe", jwe),
    ("network", network),
    ("state", state),
];

/// Takes an input apart: a length in one byte, then so many bytes; 255 is "not there".
trait Split {
    fn optional(&self) -> (Option<&[u8]>, &[u8]);
}

impl Split for [u8] {
    fn optional(&self) -> (Option<&[u8]>, &[u8]) {
        match self.split_first() {
            None | Some((255, _)) => (None, self.get(1..).unwrap_or_default()),
            Some((&length, rest)) => {
                let (part, rest) = rest.split_at(usize::from(length).min(rest.len()));
                (Some(part), rest)
            }
        }
    }
}
