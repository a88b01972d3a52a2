use super::proto::{Attribute, SparseTensor};
use super::*;

fn tensor(name: &str, dims: &[i64]) -> Tensor {
    Tensor { name: name.into(), dims: dims.to_vec(), ..Tensor::default() }
}

/// `op(inputs) → outputs`, written "y = Op a b".
fn node(line: &str) -> Node {
    let (output, call) = line.split_once(" = ").unwrap();
    let mut words = call.split(' ').map(|word| if word == "_" { "" } else { word });
    let (domain, op_type) = match words.next().unwrap().rsplit_once('/') {
        Some((domain, op)) => (domain, op),
        None => ("", call.split(' ').next().unwrap()),
    };
    Node {
        output: output.split(' ').map(String::from).collect(),
        op_type: op_type.into(),
        domain: domain.into(),
        input: words.map(String::from).collect(),
        ..Node::default()
    }
}

/// A model of `lines`, with the constants `c` and `k`.
fn model(lines: &[&str]) -> Model {
    let graph = Graph {
        node: lines.iter().copied().map(node).collect(),
        initializer: vec![tensor("c", &[1]), tensor("k", &[2, 2])],
        sparse_initializer: vec![],
    };
    Model { graph: Some(graph), ..Model::default() }
}

fn function(name: &str, lines: &[&str]) -> Function {
    Function {
        name: name.into(),
        domain: "mine".into(),
        input: vec!["a".into()],
        output: vec!["b".into()],
        node: lines.iter().copied().map(node).collect(),
        ..Function::default()
    }
}

fn checked(model: &Model) -> Result<(), GraphError> {
    check(&model.encode_to_vec(), Vocabulary::Exported)
}

fn refusal(model: &Model) -> String {
    checked(model).expect_err("it was taken").to_string()
}

#[test]
fn an_operator_that_runs_another_graph_is_refused_wherever_it_stands() {
    for op in ["Loop", "Scan", "If", "SequenceMap"] {
        let line = format!("y = {op} x");
        assert!(refusal(&model(&[&line])).contains("runs another graph"), "{op}");
        let inside = Model {
            functions: vec![function("f", &[&format!("b = {op} a")])],
            ..model(&["y = mine/f x"])
        };
        assert!(refusal(&inside).contains("runs another graph"), "{op} in a function");
    }
    let mut hidden = model(&["y = Relu x"]);
    let attribute = Attribute { graphs: vec![Graph::default()], ..Attribute::default() };
    hidden.graph.as_mut().unwrap().node[0].attribute.push(attribute);
    assert!(refusal(&hidden).contains("runs another graph"));
}

#[test]
fn a_tensor_in_another_file_is_refused_wherever_it_stands() {
    let outside = Tensor { data_location: 1, ..tensor("w", &[9, 9]) };
    let listed = Tensor { external_data: vec![()], ..tensor("w", &[9, 9]) };
    let unknown = Tensor { data_location: 2, ..tensor("w", &[9, 9]) };
    for outside in [outside, listed, unknown] {
        let sparse = SparseTensor { values: Some(outside.clone()), ..SparseTensor::default() };
        let mut places = vec![model(&["y = Relu x"]); 4];
        let graph = |model: &mut Model| model.graph.take().unwrap();
        let attribute = Attribute { t: Some(outside.clone()), ..Attribute::default() };
        for (i, place) in places.iter_mut().enumerate() {
            let mut graph = graph(place);
            match i {
                0 => graph.initializer.push(outside.clone()),
                1 => graph.sparse_initializer.push(sparse.clone()),
                2 => graph.node[0].attribute.push(attribute.clone()),
                _ => {
                    let mut function = function("f", &["b = Constant"]);
                    function.node[0].attribute.push(attribute.clone());
                    place.functions.push(function);
                }
            }
            place.graph = Some(graph);
            assert!(refusal(place).contains("in another file"), "place {i}");
        }
    }
}

#[test]
fn a_size_that_a_row_decides_is_refused() {
    for lines in [
        &["s = Cast x", "y = ConstantOfShape s"][..],
        &["y = Expand c x"],
        &["y = Tile c x"],
        &["y = Range c x c"],
        &["y = Pad x x"],
        &["y = Resize x _ x"],
        &["y = Resize x _ _ x"],
        &["y = OneHot x x k"],
        // At most as large as before, and then anything can be gathered by it.
        &["n = NonZero x", "y = Gather k n"],
        &["y = Slice k c x"],
        &["y = Reshape x x"],
        &["y = TopK x x"],
        &["y = Compress k x"],
        &["y = mine/f x"],
    ] {
        let functions = vec![function("f", &["s = Abs a", "b = ConstantOfShape s"])];
        let grows = Model { functions, ..model(lines) };
        assert!(refusal(&grows).contains("depends on the numbers in a row"), "{lines:?}");
    }
}

#[test]
fn a_size_that_follows_from_the_batch_is_taken() {
    for lines in [
        &["s = Shape x", "z = ConstantOfShape s", "y = Add x z"][..],
        &["s = Shape x", "b = Gather s c", "t = Concat b c", "y = Expand k t"],
        &["y = Resize x _ c"],
        &["y = Pad x c"],
        &["n = NonZero k", "y = Gather x n"],
        &["v i = TopK x c", "y = OneHot i c k"],
        &["y = mine/f x"],
    ] {
        let functions = vec![function("f", &["s = Shape a", "b = ConstantOfShape s"])];
        let taken = Model { functions, ..model(lines) };
        assert_eq!(checked(&taken), Ok(()), "{lines:?}");
    }
}

#[test]
fn what_is_drawn_is_refused_and_dropout_only_in_training() {
    assert!(refusal(&model(&["y = RandomNormalLike x"])).contains("drawn, not computed"));
    assert!(refusal(&model(&["y = Dropout x c k"])).contains("drawn, not computed"));
    assert_eq!(checked(&model(&["y = Dropout x c"])), Ok(()));
    let mut still = model(&["y = Dropout x c t"]);
    let off = Tensor { raw_data: vec![0], ..tensor("t", &[]) };
    still.graph.as_mut().unwrap().initializer.push(off);
    assert_eq!(checked(&still), Ok(()));
    let training = Model { training_info: vec![()], ..model(&["y = Relu x"]) };
    assert!(refusal(&training).contains("how to train it"));
}

#[test]
fn functions_that_multiply_or_call_themselves_are_refused() {
    // Each calls the one before it ten times: 10⁶ operators in 61 lines.
    let mut functions = vec![function("f0", &["b = Relu a"; 10])];
    for i in 1..6 {
        let call = format!("b = mine/f{} a", i - 1);
        functions.push(function(&format!("f{i}"), &[&call[..]; 10]));
    }
    let long = Model { functions, ..model(&["y = mine/f5 x"]) };
    assert_eq!(checked(&long), Err(GraphError::TooLong));
    let functions = vec![function("f", &["b = mine/f a"])];
    let endless = Model { functions, ..model(&["y = mine/f x"]) };
    assert_eq!(checked(&endless), Err(GraphError::TooDeep { name: "f".into() }));
    let twice = vec![function("f", &["b = Relu a"]); 2];
    assert!(refusal(&Model { functions: twice, ..model(&["y = mine/f x"]) }).contains("once"));
    let relu = Function { domain: String::new(), ..function("Relu", &["b = Abs a"]) };
    assert!(refusal(&Model { functions: vec![relu], ..model(&["y = Relu x"]) }).contains("Relu"));
}

#[test]
fn a_tensor_larger_than_a_gigabyte_is_refused() {
    for dims in [&[1 << 20, 1 << 20][..], &[i64::MAX, 2], &[-1]] {
        let mut large = model(&["y = Relu x"]);
        large.graph.as_mut().unwrap().initializer.push(tensor("w", dims));
        assert!(refusal(&large).contains("are the most"), "{dims:?}");
        let mut sparse = model(&["y = Relu x"]);
        let tensor = SparseTensor { dims: dims.to_vec(), ..SparseTensor::default() };
        sparse.graph.as_mut().unwrap().sparse_initializer.push(tensor);
        assert!(refusal(&sparse).contains("are the most"), "{dims:?}");
    }
}

#[test]
fn the_guards_own_networks_speak_only_the_standard() {
    let own = |model: &Model| check(&model.encode_to_vec(), Vocabulary::Standard);
    for line in ["y = com.microsoft/Gelu x", "y = ai.onnx.ml/TreeEnsembleRegressor x"] {
        assert_eq!(checked(&model(&[line])), Ok(()), "{line}");
        assert!(own(&model(&[line])).is_err(), "{line}");
    }
    for line in ["y = com.microsoft/EPContext x", "y = elsewhere/Gelu x"] {
        assert!(refusal(&model(&[line])).contains("of the domain"), "{line}");
    }
    let functions = vec![function("f", &["b = Relu a"])];
    assert!(own(&Model { functions, ..model(&["y = Relu x"]) }).is_err());
}

#[test]
fn another_format_in_disguise_is_refused() {
    let mut bytes = model(&["y = Relu x"]).encode_to_vec();
    bytes[4..8].copy_from_slice(b"ORTM");
    assert_eq!(check(&bytes, Vocabulary::Exported), Err(GraphError::OrtFormat));
    let none = check(b"", Vocabulary::Exported);
    assert_eq!(none, Err(GraphError::NoGraph));
    assert!(matches!(check(b"\xff\xff", Vocabulary::Exported), Err(GraphError::NotOnnx(_))));
}
