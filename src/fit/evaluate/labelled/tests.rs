//! What an evaluation says.

use super::*;

fn group(label: &str, rows: usize, flagged: usize, auroc: f64) -> Group {
    Group { label: label.into(), rows, flagged, auroc: Some(auroc), ..Group::default() }
}

fn evaluation() -> Evaluation {
    let alone = |kind: &str, weight, auroc| Alone { kind: kind.into(), weight, auroc };
    let refused = BTreeMap::from([("out-of-bounds", 3), ("missing", 1)]);
    Evaluation {
        bundle: "payments".into(),
        digest: "5".repeat(64),
        data: "march.csv".into(),
        budget: "1%".parse().unwrap(),
        clean: Group { refused: refused.clone(), auroc: None, ..group("clean", 2004, 21, 0.0) },
        clean_expected: (8, 35),
        attacks: Group { refused: refused.clone(), ..group("attacks", 504, 450, 0.9871) },
        by_label: vec![
            Group { refused, ..group("card testing", 404, 398, 0.9993) },
            group("mule", 100, 52, 0.93),
        ],
        detectors: vec![alone("reconstruction", 0.5, Some(0.9812)), alone("range", 0.0, Some(0.5))],
        unread: vec!["difficulty".into()],
    }
}

#[test]
fn an_evaluation_says_what_passes_and_what_is_caught() {
    insta::assert_snapshot!(evaluation().to_string());
}

#[test]
fn clean_rows_that_are_flagged_too_often_and_a_table_without_labels_read_as_such() {
    let mut evaluation = evaluation();
    evaluation.clean = group("clean", 2000, 90, 0.0);
    evaluation.attacks = Group::default();
    evaluation.by_label = vec![];
    insta::assert_snapshot!(evaluation.to_string());
}

#[test]
fn clean_rows_that_are_flagged_too_seldom_are_told_and_what_the_file_may_lack() {
    let mut evaluation = evaluation();
    let refused = BTreeMap::from([("wrong-type", 3)]);
    evaluation.clean = Group { refused, ..group("clean", 2003, 7, 0.0) };
    let text = evaluation.to_string();
    assert!(text.contains("FEWER THAN CHANCE EXPLAINS") && text.contains("--missing"), "{text}");
    evaluation.clean = group("clean", 2000, 8, 0.0);
    assert!(!evaluation.to_string().contains("THAN CHANCE"));
}
