//! What every fuzz target holds a codec to, on any bytes at all; `targets` has the targets, those of
//! bundles, configuration and state among them.
//!
//! `cargo +nightly fuzz run -s none codec_json fuzz/corpus/codec_json fuzz/seeds/codec_json`;
//! `codec_pick` takes `-- -dict=fuzz/codec_pick.dict`. Without a sanitizer (`-s none`), because the
//! codecs are safe Rust, and librdkafka's configure does not link a zstd built with one.
//!
//! It holds them to their contract on one value at a time; it says nothing about speed.

pub mod targets;

use std::sync::LazyLock;

use tripline::codec::{
    Codec, Codecs, Config, ContentHeaders, Fields, Format, Language, SchemaText,
};
use tripline::record::{Feature, MISSING, Schema, SchemaId};
use tripline::validate::Bounds;

/// A stream: its schema and its codecs.
pub struct Stream {
    schema: Schema,
    pub codecs: Codecs,
    bounds: Bounds,
}

/// Three streams that differ in all a codec can see: an image of 784 numbers that is the document,
/// three numbers at two places of it, and a table with an id, words and what may be missing.
pub static STREAMS: LazyLock<Vec<Stream>> = LazyLock::new(|| {
    let image = |name: &str, height, width| Feature::Image {
        name: name.into(),
        channels: 1,
        height,
        width,
        scale: 255.0,
    };
    let number = |name: &str| Feature::number(name, -1e30, 1e30);
    let numbers = vec![number("x"), number("y"), number("z")];
    let values = ["7", "tcp", "true"].map(String::from).to_vec();
    let table = vec![
        Feature::Id { name: "order".into() },
        number("x"),
        Feature::Number { name: "y".into(), min: -1e30, max: 1e30, impute: Some(0.5) },
        Feature::Category { name: "word".into(), values, impute: Some("tcp".into()) },
        image("image", 1, 2),
    ];
    vec![
        stream(vec![image("image", 28, 28)], Format::U8, &[""]),
        stream(numbers, Format::Json, &["/a/b", "/c"]),
        stream(table, Format::Auto, &[]),
    ]
});

fn stream(features: Vec<Feature>, format: Format, pointers: &[&str]) -> Stream {
    let schema = Schema { features };
    let fields = Fields::new(pointers.iter().map(|&p| p.into()).collect()).ok();
    let registry = format == Format::Confluent;
    let config = Config { format, fields, value_bytes_max: 1 << 16, registry, ..Config::default() };
    let codecs = Codecs::new(&schema, &config);
    Stream { bounds: Bounds::new(&schema), schema, codecs }
}

impl Stream {
    /// Holds the codec of `format` to its contract on `value`.
    ///
    /// `exact` formats read back every number to the bit, or a truth value where there was one; the
    /// others must still bring the rows of `value` back to the bytes they came from.
    pub fn check(&self, format: Format, value: &[u8], exact: bool) {
        let codec = self.codecs.get(format).expect("a format with a codec");
        self.check_with(codec, &ContentHeaders::default(), value, exact);
    }

    /// The same under a record's headers.
    pub fn check_with(
        &self,
        codec: &dyn Codec,
        headers: &ContentHeaders<'_>,
        value: &[u8],
        exact: bool,
    ) {
        let width = self.schema.width();
        let mut rows = vec![0.5];
        let Ok(n) = codec.decode(value, headers, &mut rows) else {
            assert_eq!(rows, [0.5], "a fault left numbers behind");
            return;
        };
        assert!(n > 0, "no rows, and no fault");
        assert_eq!(rows.len(), 1 + n * width);
        assert_eq!(rows[0], 0.5);
        let rows = &rows[1..];
        let bits = |rows: &[f32]| rows.iter().map(|x| x.to_bits()).collect::<Vec<_>>();

        let mut same = Vec::new();
        codec.encode(value, headers, rows, &mut same);
        assert_eq!(same, value, "writing rows back changed their bytes");

        // What may not pass is never written; what passes is finite.
        let mut other = rows.to_vec();
        let mut each = other.chunks_exact_mut(width);
        if !each.all(|row| self.bounds.check_row(row).is_ok()) {
            return;
        }
        assert!(other.iter().all(|x| x.is_finite()), "a row that is not finite passed");
        other.chunks_exact_mut(width).for_each(|row| self.turn(row));
        let mut out = Vec::new();
        codec.encode(value, headers, &other, &mut out);
        let mut back = Vec::new();
        let again = codec.decode(&out, headers, &mut back);
        assert_eq!(again, Ok(n), "a value we wrote is not readable");
        for (i, (&x, &was)) in rows.iter().zip(&back).enumerate() {
            let missing = MISSING.to_bits();
            assert_eq!(x.to_bits() == missing, was.to_bits() == missing, "number {i}");
        }
        if exact {
            for ((&x, &wanted), &got) in rows.iter().zip(&other).zip(&back) {
                let truth = got == f32::from(u8::from(wanted >= 0.5)) && (x == 0.0 || x == 1.0);
                let kept = x.is_nan() || truth || got.to_bits() == wanted.to_bits();
                assert!(kept, "{wanted} was written and {got} is read");
            }
        }
        let mut out_again = Vec::new();
        codec.encode(&out, headers, &back, &mut out_again);
        assert_eq!(bits(&back).len(), rows.len());
        assert_eq!(out_again, out, "what we wrote is not what we read");
    }

    /// Another row, made from this one: other numbers, and the next word of each category.
    fn turn(&self, row: &mut [f32]) {
        for (feature, columns) in self.schema.columns() {
            match feature {
                Feature::Category { .. } => row[columns].rotate_right(1),
                _ => row[columns].iter_mut().for_each(|x| *x = *x * 0.7 + 0.1),
            }
        }
    }
}

/// A stream whose values are framed with schema 7, which is `text`.
pub fn framed(language: Language, text: &str, pointers: &[&str]) -> Stream {
    let names = pointers.iter().map(|&name| Feature::number(name, -1e30, 1e30));
    let stream = stream(names.collect(), Format::Confluent, pointers);
    let text = SchemaText { language, text: text.into(), references: vec![], rules: None };
    let learned = stream
        .codecs
        .confluent()
        .expect("there is a registry")
        .learn(SchemaId::Number(7), Some(&text));
    learned.expect("the schema is sound");
    stream
}
