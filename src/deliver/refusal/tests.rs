use super::*;

fn at(offset: i64) -> Position {
    Position { partition: Partition(3), offset: Offset(offset) }
}

fn facts(timestamp: i64) -> Facts {
    Facts { timestamp: Timestamp(timestamp), keyless: false, bytes: 100, least: 0 }
}

fn refusal(offset: i64, objection: Objection, sure: bool) -> Refusal {
    Refusal { at: at(offset), topic: "out".into(), objection, sure, takes: None }
}

#[test]
fn a_record_of_a_refused_request_is_tried_alone_before_it_leaves_otherwise() {
    let (mut refusals, now) = (Refusals::default(), Instant::now());
    let doubt = |r: &mut Refusals, offset| r.doubt(at(offset), "out", facts(5), now);
    refusals.take(&[refusal(1, Objection::Size, false), refusal(2, Objection::Size, false)], now);
    let suspicion = Some(Objection::Size);
    let alone = Doubt { alone: true, suspicion, requests: 1, ..Doubt::default() };
    let both = |r: &mut Refusals| [doubt(r, 1), doubt(r, 2)];
    assert_eq!(both(&mut refusals), [Some(alone); 2]);
    refusals.trying(Some(at(2)));
    assert!(refusals.take(&[refusal(2, Objection::Size, false)], now).is_empty());
    let letter = Doubt { form: Form::Letter, alone: false, objection: suspicion, ..alone };
    assert_eq!(both(&mut refusals), [Some(alone), Some(letter)]);
    let last = |next| refusals.last(|_| Some(Offset(next)));
    assert_eq!((last(2), last(3)), ([(Partition(3), Offset(2))].into(), [].into()));
    refusals.committed(Partition(3), Offset(2));
    assert_eq!(both(&mut refusals), [None, Some(letter)]);
}

#[test]
fn a_record_that_is_judged_otherwise_is_tried_anew() {
    let (mut refusals, now) = (Refusals::default(), Instant::now());
    refusals.take(&[refusal(1, Objection::Record, true)], now);
    let shown = facts(5);
    assert_eq!(refusals.doubt(at(1), "other", shown, now), None);
    let elsewhere = Refusal { topic: "other".into(), ..refusal(1, Objection::Size, true) };
    refusals.take(&[elsewhere], now);
    let doubt = refusals.doubt(at(1), "other", shown, now).expect("it is refused");
    assert_eq!((doubt.form, doubt.objection), (Form::Letter, Some(Objection::Size)));
}

#[test]
fn a_record_goes_through_every_form_and_is_stuck_only_after_the_last() {
    let (mut refusals, now) = (Refusals::default(), Instant::now());
    let mut forms = vec![];
    for _ in 0..5 {
        let stuck = refusals.take(&[refusal(1, Objection::Record, true)], now);
        let doubt = refusals.known(at(1), "out").expect("it is refused");
        forms.push((doubt.form, stuck.len()));
    }
    let (bare, stuck) = ((Form::Bare, 0), (Form::Bare, 1));
    assert_eq!(forms, [(Form::Letter, 0), (Form::Pointer, 0), bare, stuck, stuck]);
}

#[test]
fn what_a_topic_is_said_to_take_spares_others_the_trial_for_a_minute() {
    let (mut refusals, then) = (Refusals::default(), Instant::now());
    let (least, most) = (Timestamp(1_000_000), Timestamp(2_000_000));
    let takes = Some(Takes { within: Some((least, most)), keyed: true, bytes: None, plain: false });
    let first = Refusal { takes, ..refusal(1, Objection::Timestamp, false) };
    refusals.take(&[first], then);
    let mut doubt = |topic, timestamp, keyless, seconds| {
        let (facts, now) =
            (Facts { keyless, ..facts(timestamp) }, then + Duration::from_secs(seconds));
        refusals.doubt(at(9), topic, facts, now).and_then(|doubt| doubt.objection)
    };
    let stamp = Some(Objection::Timestamp);
    for (timestamp, expected) in [
        (999_999, stamp),
        (2_000_001, stamp),
        (1_000_000, None),
        (2_000_000, None),
        (-1, None),
        (-2, stamp),
        (i64::MIN, stamp),
        (i64::MAX, stamp),
    ] {
        assert_eq!(doubt("out", timestamp, false, 0), expected, "{timestamp}");
    }
    assert_eq!(doubt("out", 1_500_000, true, 0), Some(Objection::Record));
    assert_eq!(doubt("other", 1, true, 0), None);
    assert_eq!([doubt("out", 1, false, 59), doubt("out", 1, false, 60)], [stamp, None]);
    assert_eq!(
        [doubt("out", 2_001_000, false, 1), doubt("out", 2_001_001, false, 1)],
        [None, stamp]
    );
    // One that was in the request and is well inside is not what the topic objected to.
    let mut alone = |timestamp| {
        let doubt = refusals.doubt(at(1), "out", facts(timestamp), then);
        doubt.is_some_and(|doubt| doubt.alone && doubt.form == Form::Whole)
    };
    assert!(alone(1_000_000) && !alone(1_500_000));
}

#[test]
fn a_record_that_seems_well_inside_is_tried_alone_after_three_requests_that_were_refused_with_it() {
    let (mut refusals, now) = (Refusals::default(), Instant::now());
    let within = Some((Timestamp(0), Timestamp(10_000_000)));
    let takes = Some(Takes { within, keyed: false, bytes: None, plain: false });
    let mut alone = vec![];
    for _ in 0..4 {
        refusals.take(&[Refusal { takes, ..refusal(1, Objection::Timestamp, false) }], now);
        let doubt = refusals.doubt(at(1), "out", facts(5_000_000), now);
        alone.push(doubt.is_some_and(|doubt| doubt.alone));
    }
    assert_eq!(alone, [false, false, true, true]);
}

#[test]
fn a_letter_that_is_refused_too_is_one_for_the_reason_that_it_became_one() {
    let (mut refusals, now) = (Refusals::default(), Instant::now());
    let takes = Some(Takes { within: Some((Timestamp(10), Timestamp(20))), ..Takes::default() });
    refusals.take(&[Refusal { takes, ..refusal(1, Objection::Timestamp, false) }], now);
    refusals.doubt(at(9), "out", facts(5), now);
    refusals.take(&[refusal(9, Objection::Record, false)], now);
    let doubt = refusals.doubt(at(9), "out", facts(5), now).expect("it is old");
    let letter = (Form::Letter, true, Some(Objection::Timestamp));
    assert_eq!((doubt.form, doubt.alone, doubt.objection), letter);
}

#[test]
fn a_record_that_fits_its_topic_is_not_tried_alone_because_a_larger_one_was_in_its_request() {
    let (mut refusals, now) = (Refusals::default(), Instant::now());
    let takes = Some(Takes { bytes: Some(100_000), ..Takes::default() });
    let refused = |offset| Refusal { takes, ..refusal(offset, Objection::Size, false) };
    refusals.take(&[refused(1), refused(2)], now);
    let [small, large] = [10_000, 200_000].map(|bytes| Facts { bytes, ..facts(5) });
    let alone = |r: &mut Refusals, offset, facts| {
        r.doubt(at(offset), "out", facts, now).is_some_and(|doubt| doubt.alone)
    };
    assert!(!alone(&mut refusals, 1, small) && alone(&mut refusals, 2, large));
    let may_be_refused = |offset, facts| refusals.may_be_refused(at(offset), facts, now);
    assert!(!may_be_refused(1, small) && may_be_refused(2, large));
    assert!(!may_be_refused(3, large), "no topic refused it");
}

#[test]
fn a_topic_accepts_no_more_than_another_only_if_both_settings_are_known() {
    let (mut refusals, now) = (Refusals::default(), Instant::now());
    let refused = |topic: &str, bytes| {
        let takes = Some(Takes { bytes: Some(bytes), ..Takes::default() });
        Refusal { topic: topic.into(), takes, ..refusal(1, Objection::Size, false) }
    };
    refusals.take(&[refused("out", 10)], now);
    assert!(!refusals.accepts_no_more("letters", "out", now));
    refusals.take(&[refused("letters", 10)], now);
    assert!(refusals.accepts_no_more("letters", "out", now));
    refusals.take(&[refused("letters", 11)], now);
    assert!(!refusals.accepts_no_more("letters", "out", now));
}

#[test]
fn what_is_surely_too_large_leaves_otherwise_before_it_is_tried() {
    let (topic, at) = ("s.sanitized", at(3));
    let now = Instant::now();
    let large = |least| Facts { bytes: least, least, ..facts(5) };
    for (plain, least, expected) in [
        (true, 1001, Some(Objection::Size)),
        (true, 1000, None),
        // Compression may help.
        (false, 1001, None),
    ] {
        let mut refusals = Refusals::default();
        let takes = Some(Takes { bytes: Some(1000), plain, ..Takes::default() });
        let first = Refusal {
            at: self::at(1),
            topic: topic.into(),
            objection: Objection::Size,
            sure: true,
            takes,
        };
        refusals.take(&[first], now);
        let doubt = refusals.doubt(at, topic, large(least), now);
        assert_eq!(doubt.and_then(|doubt| doubt.objection), expected, "{plain} {least}");
        assert_eq!(refusals.is_too_large(topic, least, now), expected.is_some());
        // What was believed a minute ago is tried again.
        let later = now + Duration::from_secs(61);
        assert_eq!(refusals.doubt(at, topic, large(least), later), None);
    }
}
