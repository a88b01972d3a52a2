use proptest::prelude::*;

use super::*;

fn layout() -> Layout {
    let values = ["tcp", "7"].map(String::from).to_vec();
    let features = vec![
        Feature::Id { name: "order".into() },
        Feature::number("amount", 0.0, 9.0),
        Feature::Category { name: "protocol".into(), values, impute: None },
        Feature::Image { name: "i".into(), channels: 1, height: 1, width: 2, scale: 255.0 },
    ];
    Layout::new(&Schema { features }, 10)
}

fn check_put(cell: usize, value: Scalar<'_>, expected: Result<[f32; 5], Fault>) {
    let mut row = [9.0; 5];
    let put = layout().put(&mut row, cell, value).map(|()| row.map(f32::to_bits));
    assert_eq!(put, expected.map(|row| row.map(f32::to_bits)), "{cell} {value:?}");
}

#[test]
fn each_cell_fills_its_own_columns() {
    check_put(0, Scalar::Text("a-17"), Ok([9.0; 5]));
    check_put(1, Scalar::Number(2.5), Ok([2.5, 9.0, 9.0, 9.0, 9.0]));
    check_put(1, Scalar::Bool(true), Ok([1.0, 9.0, 9.0, 9.0, 9.0]));
    check_put(2, Scalar::Text("tcp"), Ok([9.0, 1.0, 0.0, 9.0, 9.0]));
    check_put(2, Scalar::Number(7.0), Ok([9.0, 0.0, 1.0, 9.0, 9.0]));
    check_put(2, Scalar::Text("never"), Ok([9.0, 0.0, 0.0, 9.0, 9.0]));
    check_put(2, Scalar::Null, Ok([9.0, MISSING, MISSING, 9.0, 9.0]));
    check_put(4, Scalar::Number(0.5), Ok([9.0, 9.0, 9.0, 9.0, 0.5]));
    check_put(1, Scalar::Text("2"), Err(Fault::WrongType { feature: FeatureId(0) }));
}

#[test]
fn a_record_holds_as_many_rows_as_its_size_limit_has_room_for() {
    let layout = layout();
    let mut rows = vec![];
    assert_eq!(layout.begin(&mut rows, 2).map(|rows| rows.len()), Ok(10));
    let refused = layout.begin(&mut rows, 3).map(|_| ());
    assert_eq!(refused, Err(Fault::TooManyRows { rows: 3, rows_max: 2 }));
    assert!(layout.begin(&mut rows, 0).is_err());
    assert_eq!(rows.len(), 10);
}

#[test]
fn what_was_missing_and_what_is_an_id_is_never_written() {
    let layout = layout();
    let before = [MISSING, 0.0, 0.0, 0.25, 0.5];
    let after = [1.0, 1.0, 0.0, 0.25, 0.75];
    let changes: Vec<_> = (0..5).map(|cell| layout.change(&before, &after, cell)).collect();
    let word = Some(Cell::Word("tcp"));
    assert_eq!(changes, [None, None, word, None, Some(Cell::Number(0.75))]);
}

proptest! {
    #[test]
    fn what_is_written_reads_as_the_row(amount in -1e9_f32..1e9, at in 0..2_usize) {
        let layout = layout();
        let mut row = [amount, 0.0, 0.0, 0.5, 0.5];
        row[1 + at] = 1.0;
        let mut read = [MISSING; 5];
        for cell in 0..layout.cells() {
            match layout.get(&row, cell) {
                Some(Cell::Number(x)) => {
                    layout.put(&mut read, cell, Scalar::Number(x.into())).unwrap();
                }
                Some(Cell::Word(word)) => {
                    layout.put(&mut read, cell, Scalar::Text(word)).unwrap();
                }
                None => prop_assert_eq!(cell, 0),
            }
        }
        prop_assert_eq!(read, row);
    }
}

#[test]
fn a_number_of_a_category_that_readers_round_differently_is_ambiguous() {
    let ambiguous = Err(Fault::Ambiguous(Ambiguity::Number));
    for number in [9_007_199_254_740_992.0, -9_007_199_254_740_994.0, 1e300] {
        check_put(2, Scalar::Number(number), ambiguous);
    }
    check_put(2, Scalar::Number(9_007_199_254_740_991.0), Ok([9.0, 0.0, 0.0, 9.0, 9.0]));
}
