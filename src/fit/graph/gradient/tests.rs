use candle_core::{Device, Tensor, Var};
use prost::Message;
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::fit::seed::{Use, stream, unit};
use crate::model::{Network, Runtime};

fn rng() -> ChaCha8Rng {
    stream(9, Use::Weights)
}

fn random(n: usize) -> Vec<f32> {
    let mut rng = rng();
    (0..n).map(|_| unit(&mut rng)).collect()
}

/// A small network with every kind of operator that ours are made of.
fn network() -> Function {
    let mut rng = rng();
    let mut b = Builder::new("test", 2 * 6 * 6, &mut rng);
    let x = b.reshape(&b.input(), &[2, 6, 6]);
    let a = b.convolution(&x, (2, 8), 3, 2, 2.0);
    let a = b.relu(&a);
    let up = b.node("DepthToSpace", &[&a], vec![int("blocksize", 2), word("mode", "CRD")]);
    let pooled =
        b.node("MaxPool", &[&x], vec![ints("kernel_shape", &[3, 3]), ints("pads", &[1; 4])]);
    let mean = b.node(
        "AveragePool",
        &[&x],
        vec![ints("kernel_shape", &[2, 2]), ints("strides", &[1, 1]), ints("pads", &[0, 0, 1, 1])],
    );
    let all = b.node("Concat", &[&up, &pooled, &mean], vec![int("axis", 1)]);
    let out = b.convolution(&all, (6, 1), 5, 1, 1.0);
    let out = b.node("Sigmoid", &[&out], vec![]);
    let flat = b.reshape(&out, &[36]);
    let out = b.dense(&flat, 36, 5, 1.0);
    b.finish(&out, 5).unwrap()
}

#[test]
fn a_function_gives_what_onnx_runtime_gives() {
    let function = network();
    let x = random(3 * 72);
    let again = network().into_onnx().unwrap().unwrap();
    let runtime = Runtime::load(None).unwrap();
    let mut network = Network::load(&runtime, "the network", &again, 72).unwrap();
    function.agrees(&mut network, &x, false).unwrap();
    assert_eq!(
        Function::read(&again).unwrap().apply(&rows(x, 72).unwrap()).unwrap().dims(),
        [3, 5]
    );
}

/// Central differences of Σ (output · weights), along random directions.
#[test]
fn the_gradient_is_the_slope_in_rows_and_in_weights() {
    let function = network();
    let weigh = Tensor::from_vec(random(15), (3, 5), &Device::Cpu).unwrap();
    let sum = |x: &Tensor| {
        let out = function.apply(x).unwrap().mul(&weigh).unwrap();
        out.sum_all().unwrap()
    };
    let x = Var::from_tensor(&rows(random(3 * 72), 72).unwrap()).unwrap();
    let gradients = sum(&x).backward().unwrap();
    let mut checked = vec![x.clone()];
    checked.extend(function.variables());
    for var in checked {
        let slope = gradients.get(&var).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let start = var.as_tensor().copy().unwrap();
        let n = start.elem_count();
        let mut rng = stream(n as u64, Use::Shuffle);
        let direction: Vec<f32> = (0..n).map(|_| unit(&mut rng) - 0.5).collect();
        let expected: f32 = slope.iter().zip(&direction).map(|(g, d)| g * d).sum();
        let step = Tensor::from_vec(direction, start.shape(), &Device::Cpu).unwrap();
        let at = |scale: f64| {
            var.set(&(&start + (&step * scale).unwrap()).unwrap()).unwrap();
            f64::from(sum(&x).to_scalar::<f32>().unwrap())
        };
        // Short: further away lie the kinks of ReLU and of the maximum.
        let got = (at(3e-4) - at(-3e-4)) / 6e-4;
        var.set(&start).unwrap();
        let error = (got - f64::from(expected)).abs();
        assert!(error < 0.04 * f64::from(expected.abs()).max(0.05), "{got} and {expected}");
    }
}

#[test]
fn a_softmax_at_the_end_is_left_off_and_an_operator_without_gradient_is_named() {
    let mut rng = rng();
    let mut b = Builder::new("test", 3, &mut rng);
    let z = b.dense(&b.input(), 3, 2, 1.0);
    let p = b.node("Softmax", &[&z], vec![]);
    let mut function = b.finish(&p, 2).unwrap();
    let graph = function.model.graph.as_mut().unwrap();
    // `finish` reshapes; let the Softmax be last.
    graph.output[0].name = p.clone();
    let onnx = function.model.encode_to_vec();
    let got = Function::read(&onnx).unwrap();
    let out = got.apply(&rows(vec![1.0, 0.0, 2.0], 3).unwrap()).unwrap().to_vec2::<f32>().unwrap();
    assert!((out[0].iter().sum::<f32>() - 1.0).abs() > 1e-3, "{out:?}");

    let mut b = Builder::new("test", 3, &mut rng);
    let x = b.input();
    let out = b.node("TopK", &[&x], vec![]);
    let refused = b.finish(&out, 3).unwrap().apply(&rows(vec![0.0; 3], 3).unwrap()).unwrap_err();
    assert_eq!(refused.to_string(), "operator TopK has no gradient here");
}
