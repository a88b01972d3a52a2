//! An autoencoder that somebody else trained: kept as it is, once it can be trusted to be a function
//! of one row.
//!
//! The whole guard stands on a row having one twin, whatever batch it comes in and however often it
//! is asked. So the file may hold only what `model::graph` lets every network of the guard hold; and
//! then it is tried. A network that draws its random numbers from the row
//! itself, or counts its calls beyond the few hundred made here, would pass.

use super::protected::BATCH_ROWS;
use crate::model::{ModelError, Network, Runtime};

/// Why a network cannot be the autoencoder.
#[derive(Debug, thiserror::Error)]
pub enum BroughtError {
    #[error(
        "the autoencoder gives {got} for number {column} of row {row} {how}, and {expected} for the \
         same row alone: export it in inference mode, without batch statistics or state"
    )]
    Changes { row: usize, column: usize, how: String, got: f32, expected: f32 },
    #[error(transparent)]
    Model(#[from] ModelError),
}

/// Rows it is tried on, one by one and together.
pub const TRIAL_ROWS: usize = 256;

/// A batch that divides nothing, so that a cut would show.
const ODD_ROWS: usize = 7;

/// Holds `onnx` to everything the guard needs of it. Shapes: `sample` `[n · width]`, rows in model
/// units.
///
/// # Errors
/// What it has or does that no autoencoder of ours may.
pub fn check(
    runtime: &Runtime,
    onnx: &[u8],
    sample: &[f32],
    width: usize,
) -> Result<(), BroughtError> {
    let mut network = Network::load(runtime, "the autoencoder", onnx, width)?;
    if network.outputs() != width {
        return Err(BroughtError::Model(ModelError::Signature {
            network: "the autoencoder",
            expected: format!("{width} outputs per row"),
            got: network.outputs().to_string(),
        }));
    }
    let rows = (sample.len() / width).min(TRIAL_ROWS);
    trial(&mut network, &sample[..rows * width], width)
}

/// Each row alone, then twice in every batch size: always the same bits.
fn trial(network: &mut Network, x: &[f32], width: usize) -> Result<(), BroughtError> {
    let (mut alone, mut out) = (Vec::with_capacity(x.len()), vec![]);
    for row in x.chunks_exact(width) {
        network.run(row, &mut out)?;
        alone.extend_from_slice(&out);
    }
    for size in [1, ODD_ROWS, TRIAL_ROWS] {
        for _ in 0..2 {
            let mut at = 0;
            for batch in x.chunks(size * width) {
                network.run(batch, &mut out)?;
                for (i, got) in out.iter().enumerate() {
                    let expected = alone[at + i];
                    if got.to_bits() != expected.to_bits() {
                        return Err(BroughtError::Changes {
                            row: (at + i) / width,
                            column: i % width,
                            how: match size {
                                1 => "asked once more".into(),
                                _ => format!("in a batch of {}", batch.len() / width),
                            },
                            got: *got,
                            expected,
                        });
                    }
                }
                at += out.len();
            }
        }
    }
    Ok(())
}

/// Mean squared error per number over the rows `which` of `x` [·, d], in the units that `apply` makes
/// of column j's numbers: those of training, so that networks of any origin can be compared.
///
/// # Errors
/// If the network fails.
pub fn loss(
    runtime: &Runtime,
    onnx: &[u8],
    x: &ndarray::Array2<f32>,
    which: &[usize],
    apply: impl Fn(usize, f32) -> f32,
) -> Result<f64, ModelError> {
    let width = x.ncols();
    let mut network = Network::load(runtime, "the autoencoder", onnx, width)?;
    let (mut values, mut out, mut sum) = (vec![], vec![], 0.0);
    for batch in which.chunks(BATCH_ROWS) {
        values.clear();
        batch.iter().for_each(|&i| values.extend(x.row(i)));
        network.run(&values, &mut out)?;
        for (i, (&x, &twin)) in values.iter().zip(&out).enumerate() {
            let residual = apply(i % width, x) - apply(i % width, twin);
            sum += f64::from(residual * residual);
        }
    }
    Ok(sum / (which.len() * width).max(1) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A network of `tests/onnx`, made by `make.py` there with another library than ours.
    fn file(name: &str) -> Vec<u8> {
        let path = format!("{}/tests/onnx/{name}.onnx", env!("CARGO_MANIFEST_DIR"));
        std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    fn checked(onnx: &[u8]) -> Result<(), String> {
        let runtime = Runtime::load(None).unwrap();
        let sample: Vec<f32> = (0..4 * 300).map(|i| (i % 17) as f32 / 7.0).collect();
        check(&runtime, onnx, &sample, 4).map_err(|error| error.to_string())
    }

    #[test]
    fn a_convolution_that_another_library_wrote_is_taken() {
        assert_eq!(checked(&file("conv")), Ok(()));
    }

    #[test]
    fn a_network_that_is_no_function_of_one_row_is_refused_with_the_reason() {
        for (name, reason) in [
            ("random", "uses RandomNormalLike, which is drawn, not computed"),
            ("contrib", "uses Gelu of the domain \"com.microsoft\""),
            ("branch", "uses If, which runs another graph"),
            ("external", "keeps the tensor \"cube\" in another file"),
            ("narrow", "must have 4 outputs per row"),
            ("batch-norm", "for number 0 of row 0 in a batch of 7"),
        ] {
            let refusal = checked(&file(name)).expect_err(name);
            assert!(refusal.contains(reason), "{name}: {refusal}");
        }
    }

    #[test]
    fn bytes_that_are_no_network_are_refused() {
        assert!(checked(b"\xff\xff").unwrap_err().contains("no ONNX file"));
        assert!(checked(b"").unwrap_err().contains("without a graph"));
    }
}
