//! The programs of `examples/` do what they say; each asserts it itself.

#[path = "../../examples/score_records.rs"]
mod score_records;
#[path = "../../examples/write_a_codec.rs"]
mod write_a_codec;
#[path = "../../examples/write_a_detector.rs"]
mod write_a_detector;

#[test]
fn records_are_scored_without_kafka() {
    score_records::main().expect("it runs");
}

#[test]
fn a_codec_of_ones_own_reads_and_writes_back() {
    write_a_codec::main().expect("it runs");
}

#[test]
fn a_detector_of_ones_own_tells_triggers_from_clean_images() {
    write_a_detector::main().expect("it runs");
}
