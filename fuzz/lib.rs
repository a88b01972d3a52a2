//! What every fuzz target holds a codec to, on any bytes at all.
//!
//! `cargo +nightly fuzz run -s none codec_json fuzz/corpus/codec_json fuzz/seeds/codec_json`;
//! `codec_pick` takes `-- -dict=fuzz/codec_pick.dict`. Without a sanitizer (`-s none`), because the
//! codecs are safe Rust, and librdkafka's configure does not link a zstd built with one.
//!
//! It holds them to their contract on one value at a time; it says nothing about speed.

use tripline::codec::{
    Codec, Codecs, Config, Fields, Format, Headers, Language, SchemaId, SchemaText,
};
use tripline::record::{Feature, Schema};
use tripline::validate::Bounds;

/// A stream: how wide its rows are, and its codecs.
pub struct Stream {
    pub width: usize,
    pub codecs: Codecs,
    bounds: Bounds,
}

/// Two streams that differ in all a codec can see: an image of 784 numbers that is the document,
/// and three numbers at two places of it.
pub fn streams() -> [Stream; 2] {
    let name = "image".into();
    let image = Feature::Image { name, channels: 1, height: 28, width: 28, scale: 255.0 };
    let number = |name: &str| Feature::number(name, -1e30, 1e30);
    let numbers = vec![number("x"), number("y"), number("z")];
    [
        stream(vec![image], Format::U8, &[""]),
        stream(numbers, Format::Json, &["/a/b", "/c"]),
    ]
}

fn stream(features: Vec<Feature>, format: Format, pointers: &[&str]) -> Stream {
    let schema = Schema { features };
    let fields = Fields::new(pointers.iter().map(|&p| p.into()).collect()).ok();
    let codecs = Codecs::new(&schema, &Config { format, fields, value_bytes_max: 1 << 16 });
    Stream { width: schema.width(), codecs, bounds: Bounds::new(&schema) }
}

impl Stream {
    /// Holds `codec` to its contract on `value`.
    ///
    /// `exact` formats read back every finite row to the bit; the others must still bring the row
    /// of `value` back to the bytes it came from.
    pub fn check(&self, codec: &dyn Codec, value: &[u8], exact: bool) {
        let headers = Headers::default();
        let mut rows = vec![0.5];
        let Ok(n) = codec.decode(value, &headers, &mut rows) else {
            assert_eq!(rows, [0.5], "a fault left numbers behind");
            return;
        };
        assert!(n > 0, "no rows, and no fault");
        assert_eq!(rows.len(), 1 + n * self.width);
        assert_eq!(rows[0], 0.5);
        let rows = &rows[1..];
        let mut settled = rows.to_vec();
        let mut each = settled.chunks_exact_mut(self.width);
        let allowed = each.all(|row| self.bounds.settle(row).is_ok());
        if rows.iter().any(|x| !x.is_finite()) {
            assert!(!allowed, "a row that is not finite passed");
            return;
        }

        let mut same = Vec::new();
        codec.encode(value, &headers, rows, &mut same);
        assert_eq!(same, value, "writing rows back changed their bytes");
        if exact {
            // Other finite rows, made from these.
            let other: Vec<f32> = rows.iter().rev().map(|x| x * 0.7 + 0.1).collect();
            let mut out = Vec::new();
            codec.encode(value, &headers, &other, &mut out);
            let mut back = Vec::new();
            codec.decode(&out, &headers, &mut back).expect("a value we wrote is readable");
            let bits = |rows: &[f32]| rows.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(&back), bits(&other), "a row did not survive");
        }
    }
}

/// A stream whose values are framed with schema 7, which is `text`.
pub fn framed(language: Language, text: &str, pointers: &[&str]) -> Stream {
    let names = pointers.iter().map(|&name| Feature::number(name, -1e30, 1e30));
    let mut stream = stream(names.collect(), Format::Confluent, pointers);
    stream.codecs.open_registry();
    let text = SchemaText { language, text: text.into(), references: vec![] };
    let learned = stream.codecs.confluent().learn(SchemaId::Number(7), Some(&text));
    learned.expect("the schema is sound");
    stream
}
