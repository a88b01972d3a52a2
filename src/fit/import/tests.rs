//! Models as exporters write them, made by hand: each is a way to write the same answer.

mod inputs;

use prost::Message as _;

use super::*;
use crate::fit::data::options::ModelHints;
use crate::fit::graph::gradient::{Function, int, ints};
use crate::fit::graph::onnx::{
    self, Attribute, DOUBLE, FLOAT16, Graph, INT64, Model, Node, Opset, TEXT, Tensor, UINT8, Value,
    tensor_value,
};
use crate::fit::train::protected::Protected;
use crate::record::Feature;

/// A graph in the making, for one row of `x` and the matrix `w`.
#[derive(Default)]
struct Draft {
    graph: Graph,
    trees: bool,
}

impl Draft {
    fn input(
        mut self,
        name: &str,
        element: i32,
        rows: Option<i64>,
        axes: Option<&[usize]>,
    ) -> Self {
        self.graph.input.push(tensor_value(name, element, rows, axes));
        self
    }

    fn output(
        mut self,
        name: &str,
        element: i32,
        rows: Option<i64>,
        axes: Option<&[usize]>,
    ) -> Self {
        self.graph.output.push(tensor_value(name, element, rows, axes));
        self
    }

    fn constant(mut self, tensor: Tensor) -> Self {
        self.graph.initializer.push(tensor);
        self
    }

    fn node(mut self, op: &str, inputs: &[&str], attribute: Vec<Attribute>, output: &str) -> Self {
        let domain = if ["ZipMap", "LabelEncoder", "OneHotEncoder"].contains(&op) {
            "ai.onnx.ml"
        } else {
            ""
        };
        self.trees |= !domain.is_empty();
        self.graph.node.push(Node {
            input: inputs.iter().map(|&name| name.into()).collect(),
            output: vec![output.into()],
            op_type: op.into(),
            attribute,
            domain: domain.into(),
        });
        self
    }

    fn bytes(self) -> Vec<u8> {
        let opset = |domain: &str, version| Opset { domain: domain.into(), version };
        let mut opset_import = vec![opset("", 17)];
        opset_import.extend(self.trees.then(|| opset("ai.onnx.ml", 2)));
        Model { ir_version: 8, graph: Some(self.graph), opset_import, ..Model::default() }
            .encode_to_vec()
    }
}

/// `z = x · w`, `[n, 2]`; the second label's logit is `x0 - x1` greater than the first's.
fn weights() -> Tensor {
    Tensor::of("w", &[2, 2], [-0.5, 0.5, 0.5, -0.5].into_iter())
}

/// The weights of one logit.
fn one_weight() -> Tensor {
    Tensor::of("w", &[2, 1], [1.0, -1.0].into_iter())
}

fn schema() -> Schema {
    let number = |name: &str| Feature::number(name, -9.0, 9.0);
    Schema { features: vec![number("amount"), Feature::Id { name: "id".into() }, number("items")] }
}

const ROWS: [f32; 6] = [1.0, 0.0, 0.0, 2.0, 3.0, 3.0];

fn imported(onnx: Vec<u8>, hints: &ModelHints) -> Result<Canonical, String> {
    imported_for(&schema(), &ROWS, onnx, hints)
}

fn imported_for(
    schema: &Schema,
    rows: &[f32],
    onnx: Vec<u8>,
    hints: &ModelHints,
) -> Result<Canonical, String> {
    let runtime = Runtime::load(None).unwrap();
    import(&runtime, onnx, None, schema, rows, hints).map_err(|error| error.to_string())
}

/// The log-odds of the second label for each row, as the guard would compute them.
fn log_odds(canonical: &Canonical, rows: &[f32], width: usize) -> Vec<f32> {
    let runtime = Runtime::load(None).unwrap();
    let protected = Protected::read(&runtime, canonical.onnx.clone(), rows, width).unwrap();
    assert_eq!(protected.labels, 2);
    let kind = protected.kind;
    let onnx = protected.onnx;
    let file = crate::bundle::PROTECTED_MODEL;
    let mut networks = crate::model::Networks::new(&runtime, width, Some(kind), |name| {
        (name == file).then_some(onnx.as_slice())
    })
    .unwrap();
    let mut filled = crate::model::Filled::default();
    networks.fill(crate::record::Columns::ANSWER, rows, &mut filled).unwrap();
    let rows = filled.rows(rows);
    rows.answer.rows().into_iter().map(|row| row[1] - row[0]).collect()
}

fn check(what: &str, onnx: Vec<u8>, hints: &ModelHints) -> Canonical {
    let canonical = imported(onnx, hints).unwrap_or_else(|error| panic!("{what}: {error}"));
    for (got, expected) in log_odds(&canonical, &ROWS, 2).into_iter().zip([1.0, -2.0, 0.0]) {
        assert!((got - expected).abs() < 2e-3, "{what}: {got} for {expected}; {}", canonical.found);
    }
    canonical
}

fn plain() -> Draft {
    Draft::default().input("x", onnx::FLOAT, None, Some(&[2])).constant(weights())
}

#[test]
fn a_model_in_the_guards_own_form_stays_byte_for_byte() {
    let onnx = plain()
        .node("MatMul", &["x", "w"], vec![], "logits")
        .output("logits", onnx::FLOAT, None, Some(&[2]))
        .bytes();
    assert_eq!(check("plain", onnx.clone(), &ModelHints::default()).onnx, onnx);
}

#[test]
fn whatever_the_outputs_are_called_and_typed_the_answer_is_found() {
    let product = || plain().node("MatMul", &["x", "w"], vec![], "z");
    let probable = || product().node("Softmax", &["z"], vec![int("axis", 1)], "p");
    let label = |draft: Draft| {
        draft.node("ArgMax", &["z"], vec![int("axis", 1), int("keepdims", 0)], "label").output(
            "label",
            INT64,
            None,
            Some(&[]),
        )
    };
    let float = onnx::FLOAT;
    let one = || Draft::default().input("x", float, None, Some(&[2])).constant(one_weight());
    let sigmoid = |draft: Draft| {
        draft.node("MatMul", &["x", "w"], vec![], "z").node("Sigmoid", &["z"], vec![], "p")
    };
    let scaled = Tensor::of("s", &[1], [1.0].into_iter());
    let cast = |to: i32| vec![int("to", to.into())];
    for (what, draft) in [
        ("label, then probabilities", label(probable()).output("p", float, None, Some(&[2]))),
        ("width by name only", label(probable()).output("p", float, None, None)),
        (
            "embedding first",
            product()
                .node("MatMul", &["z", "w"], vec![], "hidden")
                .node("Identity", &["z"], vec![], "class_logits")
                .output("hidden", float, None, Some(&[2]))
                .output("class_logits", float, None, Some(&[2])),
        ),
        (
            "double",
            product().node("Cast", &["z"], cast(DOUBLE), "d").output("d", DOUBLE, None, Some(&[2])),
        ),
        (
            "half",
            product().node("Cast", &["z"], cast(FLOAT16), "h").output(
                "h",
                FLOAT16,
                None,
                Some(&[2]),
            ),
        ),
        ("one sigmoid", sigmoid(one()).output("p", float, None, Some(&[1]))),
        (
            "one sigmoid, squeezed",
            sigmoid(one())
                .constant(Tensor::of_ints("axes", &[1]))
                .node("Squeeze", &["p", "axes"], vec![], "q")
                .output("q", float, None, Some(&[])),
        ),
        (
            "one probability that no sigmoid made",
            sigmoid(one()).constant(scaled).node("Mul", &["p", "s"], vec![], "q").output(
                "q",
                float,
                None,
                Some(&[1]),
            ),
        ),
        (
            "images' answer",
            product()
                .constant(Tensor::of_ints("shape", &[-1, 2, 1, 1]))
                .node("Reshape", &["z", "shape"], vec![], "r")
                .output("r", float, None, Some(&[2, 1, 1])),
        ),
    ] {
        check(what, draft.bytes(), &ModelHints::default());
    }
}

#[test]
fn maps_from_label_to_probability_are_opened() {
    let classes = Attribute { name: "classlabels_int64s".into(), ..ints("", &[0, 1]) };
    let mut draft = plain()
        .node("MatMul", &["x", "w"], vec![], "z")
        .node("Softmax", &["z"], vec![int("axis", 1)], "probabilities")
        .node("ZipMap", &["probabilities"], vec![classes], "output_probability");
    // A sequence of maps: no tensor.
    let maps = Value { name: "output_probability".into(), r#type: None };
    draft.graph.output.push(maps);
    let canonical = check("maps", draft.bytes(), &ModelHints::default());
    assert!(canonical.found.contains("output_probability: 2 labels"), "{}", canonical.found);
}

#[test]
fn an_output_for_each_label_is_a_column_of_the_answer() {
    let column = |draft: Draft, name: &str, at: i64| {
        let of = format!("at {name}");
        draft
            .constant(Tensor::of_ints(&of, &[at]))
            .node("Gather", &["p", &of], vec![int("axis", 1)], name)
            .output(name, onnx::FLOAT, None, Some(&[1]))
    };
    let draft = plain().node("MatMul", &["x", "w"], vec![], "z");
    let draft = draft.node("Softmax", &["z"], vec![int("axis", 1)], "p");
    let onnx = column(column(draft, "i0", 0), "i1", 1).bytes();
    let canonical = check("apart", onnx.clone(), &ModelHints::default());
    assert!(canonical.found.contains("i0, i1: 2 labels"), "{}", canonical.found);
    let said = ModelHints { output: Some("i1".into()), ..ModelHints::default() };
    check("one of them was said", onnx, &said);
}

#[test]
fn what_cannot_be_told_is_asked_for_by_name() {
    let two = || {
        plain()
            .node("MatMul", &["x", "w"], vec![], "a")
            .node("Neg", &["a"], vec![], "b")
            .output("b", onnx::FLOAT, None, Some(&[2]))
            .output("a", onnx::FLOAT, None, Some(&[2]))
            .bytes()
    };
    let refusal = imported(two(), &ModelHints::default()).unwrap_err();
    assert!(refusal.contains("b (2 a row), a (2 a row)"), "{refusal}");
    assert!(refusal.contains("--model-output NAME"), "{refusal}");
    let output = |name: &str| ModelHints { output: Some(name.into()), ..ModelHints::default() };
    check("said", two(), &output("a"));
    assert!(imported(two(), &output("c")).unwrap_err().contains("no output \"c\""));

    let logit = Draft::default()
        .input("x", onnx::FLOAT, None, Some(&[2]))
        .constant(one_weight())
        .node("MatMul", &["x", "w"], vec![], "z")
        .output("z", onnx::FLOAT, None, Some(&[1]))
        .bytes();
    let refusal = imported(logit.clone(), &ModelHints::default()).unwrap_err();
    assert!(refusal.contains("--model-output z=logit"), "{refusal}");
    check("a logit", logit, &output("z=logit"));

    let label = plain()
        .node("MatMul", &["x", "w"], vec![], "z")
        .node("ArgMax", &["z"], vec![int("axis", 1)], "label")
        .output("label", INT64, None, Some(&[1]))
        .bytes();
    let refusal = imported(label, &ModelHints::default()).unwrap_err();
    assert!(refusal.contains("export its probabilities too"), "{refusal}");
}
