use ndarray::Array2;
use proptest::prelude::*;

use super::*;
use crate::fit::graph::trees::stumps;
use crate::fit::seed::{stream, unit};
use crate::model::{Network, Runtime};
use crate::record::Feature;

/// Two numbers, a whole number, a category of three values, and a number more.
const D: usize = 7;

fn schema() -> Schema {
    let number = |name: &str, low, high| Feature::number(name, low, high);
    let values = ["r", "s", "t"].map(String::from).to_vec();
    let category = Feature::Category { name: "c".into(), values, impute: None };
    let features = vec![
        number("a", 0.0, 1.0),
        number("b", 0.0, 1.0),
        number("whole", 0.0, 9.0),
        category,
        number("e", -1.0, 1.0),
    ];
    Schema { features }
}

fn rows(n: usize, seed: u64) -> Vec<f32> {
    let mut rng = stream(seed, Use::Sample);
    (0..n)
        .flat_map(|_| {
            let [a, b, e] = [0.0; 3].map(|_| unit(&mut rng));
            let whole = (10.0 * unit(&mut rng)).floor();
            let mut row = [a, b, whole, 0.0, 0.0, 0.0, 2.0 * e - 1.0];
            row[3 + (3.0 * unit(&mut rng)) as usize] = 1.0;
            row
        })
        .collect()
}

fn network() -> Network {
    let votes = [(0, 0.5), (0, 0.6), (1, 0.4), (2, 4.5), (2, 6.5), (3, 0.5), (6, 0.1)];
    let runtime = Runtime::load(None).unwrap();
    Network::load(&runtime, "the protected model", &stumps(D, &votes), D).unwrap()
}

/// What `query` makes of 40 rows: the rows that succeed, their labels before, and the rows themselves.
fn attacked(query: Query, seed: u64) -> (Vec<f32>, Vec<u32>, Vec<f32>) {
    let mut network = network();
    let oracle = &mut Oracle::new(&mut network);
    let (x, others, schema) = (rows(40, seed), rows(300, seed + 1), schema());
    let all = Array2::from_shape_vec((300, D), others.clone()).unwrap();
    let space = Space::of(&schema, all.view(), &(0..300).collect::<Vec<_>>());
    let (own, labels) = (oracle.labels(&x).unwrap(), oracle.labels(&others).unwrap());
    let (terrain, starts) = (Terrain::new(&schema, &space), Starts::new(others, labels));
    let before = oracle.asked();
    let (z, labels) = query.successes(oracle, &terrain, &starts, (&x, &own), seed).unwrap();
    assert!(oracle.asked() - before <= 40 * 252, "{query:?} asked {}", oracle.asked() - before);
    (z, labels, x)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]

    #[test]
    fn successes_have_another_label_and_are_rows_that_a_record_can_say(seed in 0_u64..1000) {
        let (mut network, bounds) = (network(), schema().bounds());
        for query in QUERIES {
            let (z, before, _) = attacked(query, seed);
            prop_assert_eq!(z.len(), before.len() * D);
            let after = Oracle::new(&mut network).labels(&z).unwrap();
            prop_assert!(after.iter().zip(&before).all(|(a, b)| a != b), "{query:?}");
            for row in z.chunks(D) {
                let inside = row.iter().zip(&bounds).all(|(v, (low, high))| (low..=high).contains(&v));
                prop_assert!(inside, "{query:?}: {row:?}");
                prop_assert_eq!(row[2].fract(), 0.0, "{:?}", query);
                let ones = row[3..6].iter().filter(|v| **v == 1.0).count();
                let zeros = row[3..6].iter().filter(|v| **v == 0.0).count();
                prop_assert_eq!((ones, zeros), (1, 2), "{:?}: {:?}", query, row);
            }
        }
    }

    #[test]
    fn the_same_seed_makes_the_same_rows(seed in 0_u64..1000) {
        for query in QUERIES {
            let [first, again] = [attacked(query, seed), attacked(query, seed)];
            prop_assert!(first.0.iter().zip(&again.0).all(|(a, b)| a.to_bits() == b.to_bits()));
            prop_assert_eq!(first.1, again.1);
        }
    }
}

#[test]
fn nearly_every_row_of_trees_is_moved_by_every_kind_that_begins_at_another_row() {
    for query in QUERIES.into_iter().filter(|query| *query != Query::Search) {
        let (_, labels, _) = attacked(query, 3);
        assert!(labels.len() >= 30, "{query:?}: {} of 40", labels.len());
    }
    let (_, labels, _) = attacked(Query::Search, 3);
    assert!(labels.len() >= 10, "search: {} of 40", labels.len());
}

#[test]
fn a_sparse_attack_changes_fewer_columns_than_a_line() {
    let changed = |query| {
        let (z, labels, x) = attacked(query, 5);
        // Of a row that comes back, the row that it has most values of is the one that it was.
        let same = |a: &[f32], b: &[f32]| a.iter().zip(b).filter(|(a, b)| a == b).count();
        let most = |row| x.chunks(D).map(|x| same(x, row)).max().unwrap();
        z.chunks(D).map(|row| D - most(row)).sum::<usize>() as f64 / labels.len() as f64
    };
    let (line, sparse) = (changed(Query::Line), changed(Query::Sparse));
    assert!(sparse < 0.7 * line, "sparse {sparse}, line {line}");
}

#[test]
fn an_attack_that_begins_nowhere_moves_nothing() {
    let mut network = network();
    let oracle = &mut Oracle::new(&mut network);
    let (x, schema) = (rows(10, 1), schema());
    let all = Array2::from_shape_vec((10, D), x.clone()).unwrap();
    let space = Space::of(&schema, all.view(), &(0..10).collect::<Vec<_>>());
    let own = oracle.labels(&x).unwrap();
    let (terrain, starts) = (Terrain::new(&schema, &space), Starts::new(vec![], vec![]));
    let (z, labels) = Query::Line.successes(oracle, &terrain, &starts, (&x, &own), 1).unwrap();
    assert!(z.is_empty() && labels.is_empty());
}
