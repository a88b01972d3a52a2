//! The network of copies: a row, disturbed by a little in a few ways that stay the same.
//!
//! Where the protected model gives copies another label than the row, the row is near a boundary:
//! `unsteady-answer` listens to that.

use super::error::TrainError;
use crate::detect::SIZES;
use crate::fit::attack::{Space, normal};
use crate::fit::graph::export::{model_of, to_bytes};
use crate::fit::graph::gradient::int;
use crate::fit::graph::onnx::{Graph, Node, Tensor, rows_of};
use crate::fit::seed::{Use, stream, unit};

/// The network as an ONNX file: `x` [n, d] → `copies` [n, c · d]. Copy i adds normal noise of
/// [`SIZES`]`[i]` deviations to every number, the same in every row; every second copy has that of the one
/// before with the other sign. Whole numbers stay whole; all stay inside the schema's bounds.
///
/// # Errors
/// If the rows are too wide for a file.
pub fn copies(space: &Space, seed: u64) -> Result<Vec<u8>, TrainError> {
    let (d, mut rng) = (space.width(), stream(seed, Use::Copies));
    let mut graph =
        Graph { name: "copies".into(), input: vec![rows_of("x", d)], ..Graph::default() };
    for (name, ends) in [("low", &space.low), ("high", &space.high)] {
        graph.initializer.push(Tensor::of(name, &[d], ends.iter().copied()));
    }
    let (mut noise, mut parts) = (vec![], vec![]);
    for (i, size) in SIZES.into_iter().enumerate() {
        if i % 2 == 0 {
            noise = (0..d)
                // A unit is three deviations.
                .map(|j| {
                    let value = size * normal(&mut rng) * space.unit[j] / 3.0;
                    match space.step[j] {
                        0.0 => value,
                        // Up or down to a step, so that it is as large in expectation.
                        step => (value / step + unit(&mut rng)).floor() * step,
                    }
                })
                .collect();
        } else {
            noise.iter_mut().for_each(|value| *value = -*value);
        }
        let [by, moved, above, within] =
            ["by", "moved", "above", "within"].map(|name| format!("{name}{i}"));
        graph.initializer.push(Tensor::of(&by, &[d], noise.iter().copied()));
        graph.node.push(node("Add", &["x", &by], &moved));
        graph.node.push(node("Max", &[&moved, "low"], &above));
        graph.node.push(node("Min", &[&above, "high"], &within));
        parts.push(within);
    }
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let concat = Node { attribute: vec![int("axis", 1)], ..node("Concat", &parts, "copies") };
    graph.node.push(concat);
    graph.output.push(rows_of("copies", parts.len() * d));
    Ok(to_bytes(&model_of(graph))?)
}

fn node(op: &str, inputs: &[&str], output: &str) -> Node {
    Node {
        input: inputs.iter().map(|&input| input.into()).collect(),
        output: vec![output.into()],
        op_type: op.into(),
        ..Node::default()
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;
    use crate::model::{Network, Runtime};
    use crate::record::{Feature, Schema};

    #[test]
    fn copies_are_near_come_in_pairs_and_keep_categories_whole_numbers_and_bounds() {
        let values = ["a", "b"].map(String::from).to_vec();
        let features = vec![
            Feature::number("any", -40.0, 40.0),
            Feature::Category { name: "c".into(), values, impute: None },
            Feature::number("whole", 0.0, 60.0),
        ];
        let schema = Schema { features };
        let x = Array2::from_shape_fn((60, 4), |(i, j)| match j {
            0 => i as f32 - 29.5,
            1 => (i % 2) as f32,
            2 => 1.0 - (i % 2) as f32,
            _ => i as f32,
        });
        let space = Space::of(&schema, x.view(), &(0..60).collect::<Vec<_>>());
        let onnx = copies(&space, 1).unwrap();
        assert_eq!(onnx, copies(&space, 1).unwrap());
        let mut network = Network::load(&Runtime::load(None).unwrap(), "copies", &onnx, 4).unwrap();
        let mut out = vec![];
        network.run(x.as_slice().unwrap(), &mut out).unwrap();
        for (row, copies) in x.rows().into_iter().zip(out.chunks(4 * SIZES.len())) {
            for (pair, sizes) in copies.chunks(8).zip(SIZES.chunks(2)) {
                let by = |copy: usize, j: usize| pair[4 * copy + j] - row[j];
                assert!((by(0, 0) + by(1, 0)).abs() < 1e-4 && by(0, 0) != 0.0);
                assert!(by(0, 0).abs() < 5.0 * sizes[0] * space.unit[0]);
                assert!([1, 2].iter().all(|&j| by(0, j) == 0.0 && by(1, j) == 0.0));
                assert!([0, 1].iter().all(|&copy| pair[4 * copy + 3].fract() == 0.0));
                assert!([0, 1].iter().all(|&copy| (0.0..=60.0).contains(&pair[4 * copy + 3])));
            }
        }
    }
}
