//! What it costs to make a value poorer, to seal it and to open it: each step on a record of 300 bytes, and 8 KiB of JSON.
//!
//! `steps/none` is the walk over the value without a step on the way (a field that is not there), so a step costs what lies
//! between it and its own line. `parse` is serde_json reading the same bytes. It does not see Kafka.
//!
//! `cargo bench --profile dev --bench privacy`

use std::hint::black_box;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64U;
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, criterion_group, criterion_main};
use tripline::open::{
    Arena, ContentHeaders, JWE_ALGORITHMS, JweSpec, Jwk, KeyMaterial, Sealer, SecretKey, seal_as,
};
use tripline::sanitize::{FIELD_STEPS, FieldSettings, Output, OutputSpec, Scratch, StepSpec};

const RECORD: &str = r#"{"amount": 1.5, "shop": {"id": "4711-0815-2342", "name": "Corner shop", "city": "Lisboa"},
    "x0": 45, "x1": 0, "x2": 86, "x3": 0, "x4": 44, "x5": -17, "x6": 41, "x7": 42, "x8": 2, "age": 42,
    "lines": [{"sku": "a", "n": 1}, {"sku": "b", "n": 2}], "note": "left at the door, twice"}"#;

fn key() -> SecretKey {
    SecretKey::new((0..32).collect())
}

fn output(kind: &str, field: &str) -> Output {
    let settings = FieldSettings {
        field: field.into(),
        key: Some(("names".into(), key())),
        keep_last: Some(4),
        chars: Some(3),
        with: Some("a shop".into()),
        edges: Some(vec![10.0, 18.0, 65.0]),
        ..FieldSettings::default()
    };
    let steps = vec![StepSpec { kind: kind.into(), settings }];
    OutputSpec { steps, ..OutputSpec::default() }.build().expect("a step")
}

fn steps(c: &mut Criterion) {
    let mut group = c.benchmark_group("steps");
    let (mut scratch, mut out) = (Scratch::default(), Vec::new());
    let mut run = |name: &str, output: Output| {
        group.bench_function(name, |b| {
            b.iter(|| {
                out.clear();
                output
                    .value(black_box(RECORD.as_bytes()), None, &mut scratch, &mut out)
                    .expect("it fits");
                black_box(&out);
            });
        });
    };
    run("none", output("null", "/absent"));
    for kind in FIELD_STEPS {
        run(kind.name, output(kind.name, if kind.name == "bands" { "/age" } else { "/shop/id" }));
    }
    run("drop", output("drop", "/shop/id"));
    group.finish();
}

fn eight_kib(c: &mut Criterion) {
    let mut text = r#"{"age": 42, "image": ["#.to_owned();
    while text.len() < 8186 {
        text += "0.0625, ";
    }
    text += "1]}";
    let value = text.as_bytes();
    let mut group = c.benchmark_group("8 KiB");
    group.bench_function("parse", |b| {
        b.iter(|| {
            black_box(serde_json::from_slice::<serde_json::Value>(black_box(value)).expect("JSON"))
        });
    });
    let output = output("bands", "/age");
    let (mut scratch, mut out) = (Scratch::default(), Vec::new());
    group.bench_function("one step", |b| {
        b.iter(|| {
            out.clear();
            output.value(black_box(value), None, &mut scratch, &mut out).expect("it fits");
            black_box(&out);
        });
    });
    sealing(&mut group, value);
    opening(&mut group, value);
    group.finish();
}

/// To seal for the owner of a key, as quarantine is, or a model with a key of its own.
fn sealing(group: &mut BenchmarkGroup<'_, WallTime>, value: &[u8]) {
    let jwk = |text: &str| Jwk::read(text).expect("a key").material;
    let secret = jwk(&format!(r#"{{"kty":"oct","k":"{}"}}"#, B64U.encode(key().expose())));
    let p256 = jwk(r#"{"kty":"EC","crv":"P-256","x":"weNJy2HscCSM6AEDTDg04biOvhFhyyWvOHQfeF_PxMQ",
            "y":"e8lnCO-AlStT-NJVX-crhB7QRYhiix03illJOVAOyck"}"#);
    let x25519 =
        jwk(r#"{"kty":"OKP","crv":"X25519","x":"hSDwCYkwp1R0i33ctD73Wg2_Og0mOBr066SpjqqbTmo"}"#);
    let keys: [(&str, &KeyMaterial); 3] =
        [("A256KW", &secret), ("P-256", &p256), ("X25519", &x25519)];
    let (mut out, mut scratch) = (vec![], vec![]);
    for (name, key) in keys {
        let sealer = Sealer::new("k", key).expect("it seals");
        group.bench_function(format!("seal {name}"), |b| {
            b.iter(|| {
                out.clear();
                sealer
                    .seal(black_box(value), None, &mut scratch, &mut out)
                    .expect("random numbers");
                black_box(&out);
            });
        });
    }
}

/// To open what comes sealed, as a batch does, and to seal it again as it came.
fn opening(group: &mut BenchmarkGroup<'_, WallTime>, value: &[u8]) {
    let text = include_str!("../tests/frozen/jose/jwe-vectors.json");
    let all: Vec<serde_json::Value> = serde_json::from_str(text).expect("JSON");
    let keys = all.iter().map(|one| Jwk::read(&one["jwk"].to_string()).expect("a key"));
    let keys: Vec<_> = keys.map(|jwk| (jwk.id.expect("an id"), jwk.material)).collect();
    let algorithms = JWE_ALGORITHMS.to_vec();
    let spec =
        JweSpec { keys: keys.clone(), elsewhere: vec![], algorithms, required: true, reseal: None };
    let opener = spec.build().expect("it is sound");
    let headers = ContentHeaders::default();
    let (mut arena, mut scratch, mut out) = (Arena::default(), vec![], vec![]);
    for (one, (_, key)) in all.iter().zip(&keys) {
        let (alg, vector) =
            (one["alg"].as_str().expect("text"), one["jwe"].as_str().expect("text"));
        let mut sealed = vec![];
        seal_as((vector.as_bytes(), key), value, &mut scratch, &mut sealed).expect("random");
        arena.reserve(sealed.len());
        group.bench_function(format!("open {alg}"), |b| {
            b.iter(|| {
                black_box(opener.open(black_box(&sealed), &headers, &mut arena).expect("it opens"));
                arena.wipe();
            });
        });
        group.bench_function(format!("seal again {alg}"), |b| {
            b.iter(|| {
                out.clear();
                seal_as((&sealed, key), black_box(value), &mut scratch, &mut out).expect("random");
                black_box(&out);
            });
        });
    }
}

criterion_group!(benches, steps, eight_kib);
criterion_main!(benches);
