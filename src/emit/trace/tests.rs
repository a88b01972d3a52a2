//! The layout of the header, byte by byte.

use super::*;

const WINDOW: Rectangle = Rectangle { corner: FeatureId(1), height: 3, width: 2, share: 0.5 };

fn trace() -> Trace<'static> {
    Trace {
        flagged: true,
        corrected: false,
        fault: false,
        observed: true,
        unscored: false,
        source: Position { partition: Partition(3), offset: Offset(258) },
        bundle: *b"digest!!",
        revision: *b"revision",
        p: 1.0,
        merged: 2.0,
        rows: 3,
        row: 1,
        scores: &[0.5],
        shares: &[1.0],
        reasons: Reasons::of_parts([0.0, 4.0].into_iter())
            .within(WINDOW)
            .against(&[0.0, 1.0], &[0.0, 0.5]),
    }
}

fn packed() -> Vec<u8> {
    let mut bytes = vec![];
    trace().pack(&mut bytes);
    bytes
}

#[test]
fn the_layout_is_the_one_in_the_table() {
    let mut expected = vec![4, 0b1001, 3, 0, 0, 0, 2, 1, 0, 0, 0, 0, 0, 0];
    expected.extend(b"digest!!");
    expected.extend(b"revision");
    expected.extend([0, 0, 128, 63, 0, 0, 0, 64]);
    expected.extend([3, 0, 0, 0, 1, 0, 0, 0]);
    expected.extend([1, 0, 0, 0, 63]);
    expected.extend([1, 255]);
    expected.extend([1, 1, 0, 0, 0, 0, 0, 128, 63, 0, 0, 128, 63, 0, 0, 0, 63]);
    expected.extend([1, 1, 0, 0, 0, 3, 2, 0, 0, 0, 63]);
    assert_eq!(packed(), expected);
}

#[test]
fn a_trace_reads_back_as_it_was_packed() {
    let expected = ReadTrace {
        flagged: true,
        source: trace().source,
        bundle: *b"digest!!",
        revision: *b"revision",
        p: 1.0,
        merged: 2.0,
        rows: 3,
        row: 1,
        scores: vec![0.5],
        shares: vec![1.0],
        reasons: vec![ReadReason { feature: FeatureId(1), share: 1.0, seen: 1.0, typical: 0.5 }],
        named: vec![],
        window: Some(WINDOW),
    };
    assert_eq!(ReadTrace::unpack(&packed()), Some(expected));
}

#[test]
fn the_header_is_as_long_as_the_table_says() {
    let length = |k: usize, flagged: bool| {
        let parts = if flagged { [1.0; 9].iter() } else { [].iter() };
        let row = [0.0; 9];
        let reasons = Reasons::of_parts(parts.copied()).against(&row, &row);
        let reasons = if flagged { reasons.within(WINDOW) } else { reasons };
        let scores = vec![0.5; k];
        let shares = if flagged { &scores[..] } else { &[] };
        let mut bytes = vec![];
        Trace { scores: &scores, shares, reasons, ..trace() }.pack(&mut bytes);
        bytes.len()
    };
    assert_eq!([length(5, true), length(8, true)], [149, 164]);
    assert_eq!([length(5, false), length(8, false)], [70, 82]);
}

fn schema() -> Schema {
    let values = ["canary-a", "canary-b", "canary-c"].map(String::from).to_vec();
    let category = Feature::Category { name: "country".into(), values, impute: None };
    Schema { features: vec![Feature::number("amount", 0.0, 9.0), category] }
}

fn packed_as(detail: TraceDetail) -> Vec<u8> {
    let row = [1234.5, 0.0, 1.0, 0.0];
    let reasons = Reasons::of_parts([3.0, 0.0, 2.0, 2.0].into_iter()).against(&row, &[77.25; 4]);
    let mut bytes = vec![];
    let scores = &[0.625][..];
    Trace { reasons, scores, ..trace() }.pack_as(detail, &schema(), &mut bytes);
    bytes
}

#[test]
fn a_trace_of_shares_has_no_number_and_no_category_of_the_record() {
    let bytes = packed_as(TraceDetail::Shares);
    let read = ReadTrace::unpack(&bytes).unwrap();
    assert_eq!(read.source, trace().source);
    assert_eq!((read.p, read.rows, read.row, &read.shares[..]), (1.0, 3, 1, &[1.0][..]));
    // Two columns of the category are one feature, and the larger one.
    let total = 4.0 / 7.0;
    assert_eq!(read.named[0], ("country".to_owned(), total));
    assert_eq!(read.named[1].0, "amount");
    assert!(read.reasons.is_empty() && read.scores.is_empty() && read.merged.is_nan());
    let has = |part: &[u8]| bytes.windows(part.len()).any(|window| window == part);
    assert!(!has(b"canary"));
    for number in [1234.5_f32, 77.25, 0.625, trace().merged] {
        assert!(!has(&number.to_le_bytes()), "{number}");
    }
}

#[test]
fn a_trace_of_nothing_still_says_where_the_record_came_from() {
    let bytes = packed_as(TraceDetail::Source);
    let read = ReadTrace::unpack(&bytes).unwrap();
    assert_eq!((read.source, read.bundle), (trace().source, *b"digest!!"));
    assert!(read.p.is_nan() && read.named.is_empty() && read.shares.is_empty());
    assert_eq!(packed_as(TraceDetail::Full)[0], VERSION);
    for end in 0..bytes.len() {
        assert_eq!(ReadTrace::unpack(&bytes[..end]), None, "cut at {end}");
    }
}

#[test]
fn a_trace_that_was_cut_off_or_is_of_another_version_is_none() {
    let bytes = packed();
    for end in 0..bytes.len() {
        assert_eq!(ReadTrace::unpack(&bytes[..end]), None, "cut at {end}");
    }
    for version in [0, 3, 6] {
        let mut other = bytes.clone();
        other[0] = version;
        assert_eq!(ReadTrace::unpack(&other), None, "{version}");
    }
}
