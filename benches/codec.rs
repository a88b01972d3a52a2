//! How fast a record's bytes become a row of 784 numbers, and what that row costs to check.
//!
//! Beside each codec stands its ceiling in the same run: `memcpy` of the same bytes for the raw
//! formats, serde_json into a plain `Vec<f32>` for JSON. It does not measure a batch that falls
//! out of the cache: one record and one row are used over and over.
//!
//! `cargo bench --profile dev --bench codec`

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tripline::codec::{Codecs, Config, ContentHeaders, Fields, Format};
use tripline::record::{Feature, Schema};
use tripline::validate::Bounds;

const WIDTH: usize = 784;

fn image() -> Schema {
    let name = "image".into();
    let image = Feature::Image { name, channels: 1, height: 28, width: 28, scale: 255.0 };
    Schema { features: vec![image] }
}

/// A row with every byte in it, in no order a branch predictor could learn.
fn bytes() -> Vec<u8> {
    (0..WIDTH).map(|i| (i * i * 31 + i * 7) as u8).collect()
}

fn config(pointers: &[&str]) -> Config {
    let fields = Fields::new(pointers.iter().map(|&p| p.into()).collect()).ok();
    Config { fields, ..Config::default() }
}

fn decode(c: &mut Criterion) {
    let bytes = bytes();
    let row: Vec<f32> = bytes.iter().map(|&b| f32::from(b) / 255.0).collect();
    let f32_le: Vec<u8> = row.iter().flat_map(|x| x.to_le_bytes()).collect();
    let array = serde_json::to_vec(&row).unwrap();
    let object = [b"{\"id\":\"7f3a\",\"image\":", &array[..], b",\"at\":1700000000}"].concat();

    let mut group = c.benchmark_group("decode");
    let root = Codecs::new(&image(), &config(&[""]));
    let inside = Codecs::new(&image(), &config(&["/image"]));
    let mut rows = Vec::with_capacity(WIDTH);
    let byname = Codecs::new(&image(), &Config { fields: None, ..config(&[""]) });
    let instances = [b"{\"instances\":[", &array[..], b"]}"].concat();
    let v2 = br#"{"inputs":[{"name":"i","shape":[1,784],"datatype":"FP32","data":"#;
    let tensor = [&v2[..], &array, b"}]}"].concat();
    let v2 = br#"{"inputs":[{"name":"i","shape":[1,784],"datatype":"FP32","parameters":{"binary_data_size":3136}}]}"#;
    let binary = [&v2[..], &f32_le].concat();
    for (name, codecs, format, value) in [
        ("f32-le", &root, Format::F32Le, &f32_le),
        ("u8", &root, Format::U8, &bytes),
        ("json", &root, Format::Json, &array),
        ("json/pointer", &inside, Format::Json, &object),
        ("json/name", &byname, Format::Json, &object),
        ("kserve-v1", &byname, Format::KserveV1, &instances),
        ("oip-json", &byname, Format::OipJson, &tensor),
        ("oip-json/binary", &byname, Format::OipJson, &binary),
    ] {
        let codec = codecs.get(format).unwrap();
        group.throughput(Throughput::Bytes(value.len() as u64));
        group.bench_function(BenchmarkId::new("codec", name), |b| {
            b.iter(|| {
                rows.clear();
                codec.decode(black_box(value), &ContentHeaders::default(), &mut rows).unwrap();
                black_box(&rows);
            });
        });
    }

    let mut copy: Vec<u8> = Vec::with_capacity(WIDTH * 4);
    for (name, value) in [("f32-le", &f32_le), ("u8", &bytes)] {
        group.throughput(Throughput::Bytes(value.len() as u64));
        group.bench_function(BenchmarkId::new("memcpy", name), |b| {
            b.iter(|| {
                copy.clear();
                copy.extend_from_slice(black_box(value));
                black_box(&copy);
            });
        });
    }
    group.throughput(Throughput::Bytes(array.len() as u64));
    group.bench_function("serde_json/json", |b| {
        b.iter(|| black_box(serde_json::from_slice::<Vec<f32>>(black_box(&array)).unwrap()));
    });
    group.finish();
}

fn encode(c: &mut Criterion) {
    let bytes = bytes();
    let row: Vec<f32> = bytes.iter().map(|&b| f32::from(b) / 255.0).collect();
    let array = serde_json::to_vec(&row).unwrap();
    let changed: Vec<f32> = row.iter().map(|x| x * 0.9).collect();
    let codecs = Codecs::new(&image(), &config(&[""]));
    let mut out = Vec::with_capacity(2 * array.len());
    c.bench_function("encode/json", |b| {
        b.iter(|| {
            out.clear();
            codecs.get(Format::Json).unwrap().encode(
                black_box(&array),
                &ContentHeaders::default(),
                black_box(&changed),
                &mut out,
            );
        });
    });
}

fn validate(c: &mut Criterion) {
    let bounds = Bounds::new(&image());
    let mut row = vec![0.5; WIDTH];
    let mut group = c.benchmark_group("validate");
    group.throughput(Throughput::Bytes(4 * WIDTH as u64));
    group.bench_function("good row", |b| b.iter(|| bounds.check_row(black_box(&mut row))));
    group.finish();
}

criterion_group!(benches, decode, encode, validate);
criterion_main!(benches);
