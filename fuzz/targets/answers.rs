//! The deployed model's answers.

use tripline::answers::{
    AnswerBody, AnswerSettings, AnswerSource, BodySettings, FORMATS, HeaderOrField, Identity, Join,
    JoinSettings, JoinValue,
};
use tripline::record::{Header, Offset, Partition, Position, Record, Stamp, Timestamp};

/// A record of the answers topic, and one of the join topic: whatever is made of them is read again.
pub fn answers(input: &[u8]) {
    let (labels, body) = (["a", "b"].map(str::to_owned).to_vec(), AnswerBody::new(input));
    let settings = BodySettings { labels, ..BodySettings::default() };
    for format in FORMATS {
        let _ = (format.fits(&body), format.read(&body, &settings));
    }
    let headers: &[Header<'_>] = &[(b"content-type", Some(b"application/cloudevents+json"))];
    let at = Position { partition: Partition(0), offset: Offset(0) };
    let stamp = Stamp::of_sender(Timestamp(5));
    let record = Record { at, stamp, key: Some(input), headers: &headers, value: Some(input) };
    for id in [
        HeaderOrField::Key,
        HeaderOrField::Header("ce-id".into()),
        HeaderOrField::Field("/id".into()),
    ] {
        let settings = AnswerSettings { id, format: None, body: settings.clone() };
        let mut source = AnswerSource::new(Identity::new(b"k"), settings);
        let mut value = vec![];
        if source.half(&record, Timestamp(7), &mut value).is_ok() {
            assert!(JoinValue::read(&value).is_ok(), "ours is not read");
        }
    }
    let settings =
        JoinSettings { horizon_ms: 10, window_ms: 5, pending_max: 10, ids_max: 40, margin: 0.02 };
    let mut join = Join::new(settings);
    let _ = join.take(Offset(0), input);
    let _ = join.take(Offset(1), input);
    assert!(join.waiting() <= 20);
    let again = join.restore(join.next(), join.low(), &join.to_bytes());
    assert_eq!(again.expect("it is ours").to_bytes(), join.to_bytes());
}
