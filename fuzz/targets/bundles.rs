//! What a bundle's maker may have written.

use std::str::from_utf8;
use std::sync::LazyLock;

use tripline::bundle::{AUTOENCODER, Bundle, Digest, Files, MANIFEST, TENSORS};
use tripline::codec::{Config, Format};
use tripline::decide::Policy;
use tripline::model::graph::{self, Vocabulary};
use tripline::score::Guard;

/// The shipped bundle of tables.
static SHIPPED: LazyLock<Files> = LazyLock::new(|| {
    let manifest = include_bytes!("../../models/shuttle/manifest.toml");
    let autoencoder = include_bytes!("../../models/shuttle/autoencoder.onnx");
    let tensors = include_bytes!("../../models/shuttle/reference.safetensors");
    Files::from([
        (MANIFEST.to_owned(), manifest.to_vec()),
        (AUTOENCODER.to_owned(), autoencoder.to_vec()),
        (TENSORS.to_owned(), tensors.to_vec()),
    ])
});

/// A manifest, or what begins like a tensor file, in place of the shipped one; the manifest is told
/// the digest that is right. What is taken is written and read again, and protected with.
pub fn bundle(input: &[u8]) {
    let mut files = SHIPPED.clone();
    match input.first() {
        // A safetensors file begins with the length of its header, which is small.
        Some(_) if input.get(3..8) == Some(&[0; 5]) => {
            let (was, is) = (Digest::of(&files[TENSORS]), Digest::of(input));
            let manifest = from_utf8(&files[MANIFEST]).expect("ours");
            let manifest = manifest.replace(&was.to_string(), &is.to_string());
            files.insert(MANIFEST.to_owned(), manifest.into_bytes());
            files.insert(TENSORS.to_owned(), input.to_vec());
        }
        _ => drop(files.insert(MANIFEST.to_owned(), input.to_vec())),
    }
    let Ok(read) = Bundle::from_files(files) else { return };
    let codec = Config { format: Format::Json, value_bytes_max: 1 << 16, ..Config::default() };
    // It may well be refused; it must not panic.
    let _ = Guard::new(&read, None, Policy::default(), &codec);
    let manifest = read.manifest.clone();
    let again = Bundle::from_files(read.into_files()).expect("what was taken can be written");
    assert_eq!(again.manifest.schema, manifest.schema);
    assert_eq!(again.manifest.detectors, manifest.detectors);
}

/// A network, before ONNX Runtime sees it. What the guard's own may be made of, anybody's may.
pub fn network(onnx: &[u8]) {
    let own = graph::check(onnx, Vocabulary::Standard);
    let anybodys = graph::check(onnx, Vocabulary::Exported);
    assert!(own.is_err() || anybodys.is_ok(), "{anybodys:?}");
}
