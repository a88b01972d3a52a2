//! What a model takes.

use super::*;

#[test]
fn inputs_of_other_types_and_of_unknown_width_take_the_row() {
    let float = onnx::FLOAT;
    let draft = |element, rows, axes: Option<&[usize]>| {
        Draft::default()
            .input("x", element, rows, axes)
            .constant(weights())
            .node("Cast", &["x"], vec![int("to", float.into())], "f")
            .node("MatMul", &["f", "w"], vec![], "z")
            .output("z", float, None, Some(&[2]))
            .bytes()
    };
    for (what, onnx) in [
        ("double", draft(DOUBLE, None, Some(&[2]))),
        ("half", draft(FLOAT16, None, Some(&[2]))),
        ("whole numbers", draft(INT64, None, Some(&[2]))),
        ("any width", draft(float, None, None)),
    ] {
        check(what, onnx, &ModelHints::default());
    }
    let refusal = imported(draft(float, None, Some(&[5])), &ModelHints::default()).unwrap_err();
    assert!(
        refusal.contains("takes 5 numbers a row") && refusal.contains("amount, items"),
        "{refusal}"
    );
}

#[test]
fn a_batch_of_one_becomes_any_batch_or_runs_row_by_row() {
    let float = onnx::FLOAT;
    let draft = |shape: &[i64]| {
        Draft::default()
            .input("x", float, Some(1), Some(&[2]))
            .constant(weights())
            .constant(Tensor::of_ints("shape", shape))
            .node("Reshape", &["x", "shape"], vec![], "r")
            .node("MatMul", &["r", "w"], vec![], "z")
            .output("z", float, Some(1), Some(&[2]))
            .bytes()
    };
    let any = check("declared only", draft(&[-1, 2]), &ModelHints::default());
    assert!(!any.found.contains("one row at a time"), "{}", any.found);
    let one = check("held to by the graph", draft(&[1, 2]), &ModelHints::default());
    assert!(one.found.contains("one row at a time"), "{}", one.found);

    let fixed = Draft::default()
        .input("x", float, Some(4), Some(&[2]))
        .constant(weights())
        .constant(Tensor::of_ints("shape", &[4, 2]))
        .node("Reshape", &["x", "shape"], vec![], "r")
        .node("MatMul", &["r", "w"], vec![], "z")
        .output("z", float, Some(4), Some(&[2]))
        .bytes();
    let refusal = imported(fixed, &ModelHints::default()).unwrap_err();
    assert!(refusal.contains("exactly 4 rows") && refusal.contains("dynamic batch"), "{refusal}");
}

#[test]
fn one_input_per_column_is_found_by_name_whatever_its_place() {
    let float = onnx::FLOAT;
    let draft = |names: [&str; 2], element: i32, axes: &[usize]| {
        let mut draft = Draft::default().constant(weights());
        let column = Tensor::of_ints("column", &[-1, 1]);
        draft = draft.constant(column);
        for name in names {
            draft = draft
                .input(name, element, None, Some(axes))
                .node("Cast", &[name], vec![int("to", float.into())], &format!("{name}_f"))
                .node("Reshape", &[&format!("{name}_f"), "column"], vec![], &format!("{name}_c"));
        }
        // Amount first in the sum, whatever comes first among the inputs.
        let [amount, items] =
            if names[0].to_lowercase().contains("amount") { names } else { [names[1], names[0]] };
        draft
            .node(
                "Concat",
                &[&format!("{amount}_c"), &format!("{items}_c")],
                vec![int("axis", 1)],
                "r",
            )
            .node("MatMul", &["r", "w"], vec![], "z")
            .output("z", float, None, Some(&[2]))
            .bytes()
    };
    for names in [["amount", "items"], ["items", "amount"], ["Amount_", "ITEMS"]] {
        for element in [float, DOUBLE, INT64] {
            check(
                &format!("{names:?} {element}"),
                draft(names, element, &[1]),
                &ModelHints::default(),
            );
            check(&format!("{names:?} flat"), draft(names, element, &[]), &ModelHints::default());
        }
    }
    let refusal = imported(draft(["amount", "count"], float, &[1]), &ModelHints::default());
    let refusal = refusal.unwrap_err();
    assert!(
        refusal.contains("\"count\"") && refusal.contains("--model-input INPUT=COLUMN"),
        "{refusal}"
    );
    let inputs = vec![("count".to_owned(), vec!["items".to_owned()])];
    check("said", draft(["amount", "count"], float, &[1]), &ModelHints { inputs, output: None });
}

#[test]
fn a_category_reaches_the_model_as_its_word_or_as_its_number() {
    let category = |values: [&str; 2]| {
        let values = values.map(String::from).to_vec();
        Feature::Category { name: "shop".into(), values, impute: None }
    };
    let schema =
        |values| Schema { features: vec![Feature::number("amount", -9.0, 9.0), category(values)] };
    // The second shop, the first, and one that was never seen.
    let rows = [5.0, 0.0, 1.0, 5.0, 1.0, 0.0, 5.0, 0.0, 0.0];
    // Log-odds: 7 for the second shop, 3 for the first, else 0.
    let keys = Attribute {
        name: "keys_strings".into(),
        strings: vec!["a".into(), "b".into()],
        kind: 8,
        ..Attribute::default()
    };
    let values = Attribute {
        name: "values_floats".into(),
        floats: vec![3.0, 7.0],
        kind: 6,
        ..Attribute::default()
    };
    let otherwise =
        Attribute { name: "default_float".into(), f: 0.0, kind: 1, ..Attribute::default() };
    let both = || Tensor::of("both", &[1, 2], [-0.5, 0.5].into_iter());
    let float = onnx::FLOAT;
    let words = Draft::default()
        .input("shop", TEXT, None, Some(&[1]))
        .constant(both())
        .node("LabelEncoder", &["shop"], vec![keys, values, otherwise], "number")
        .node("MatMul", &["number", "both"], vec![], "z")
        .output("z", float, None, Some(&[2]))
        .bytes();
    let as_number = |names: &[&str]| {
        let mut draft = Draft::default().constant(both());
        draft = match names {
            [one] => draft
                .input(one, float, None, Some(&[2]))
                .constant(Tensor::of_ints("at", &[1]))
                .node("Gather", &[one, "at"], vec![int("axis", 1)], "number"),
            _ => draft.input("shop", INT64, None, Some(&[1])).node(
                "Cast",
                &["shop"],
                vec![int("to", float.into())],
                "number",
            ),
        };
        draft
            .node("MatMul", &["number", "both"], vec![], "z")
            .output("z", float, None, Some(&[2]))
            .bytes()
    };
    for (what, values, onnx) in [
        ("words", ["a", "b"], words),
        ("its number, by name", ["3", "7"], as_number(&["shop", "other"])),
        ("its number, in one tensor", ["3", "7"], as_number(&["row"])),
    ] {
        let schema = schema(values);
        let canonical = imported_for(&schema, &rows, onnx, &ModelHints::default());
        let canonical = canonical.unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(log_odds(&canonical, &rows, 3), [7.0, 3.0, 0.0], "{what}");
    }
    let refusal =
        imported_for(&schema(["a", "b"]), &rows, as_number(&["row"]), &ModelHints::default());
    assert!(refusal.unwrap_err().contains("has the word \"a\""));
}

#[test]
fn an_encoder_that_fails_on_a_word_it_does_not_know_is_made_to_pass_it() {
    let values = ["a", "b"].map(String::from).to_vec();
    let schema =
        Schema { features: vec![Feature::Category { name: "shop".into(), values, impute: None }] };
    let words = Attribute {
        name: "cats_strings".into(),
        strings: vec!["a".into(), "b".into()],
        kind: 8,
        ..Attribute::default()
    };
    let onnx = |zeros| {
        Draft::default()
            .input("shop", TEXT, None, Some(&[1]))
            .constant(Tensor::of("both", &[2, 2], [-0.5, 0.5, -1.5, 1.5].into_iter()))
            .constant(Tensor::of_ints("flat", &[-1, 2]))
            .node("OneHotEncoder", &["shop"], vec![words.clone(), int("zeros", zeros)], "hot")
            .node("Reshape", &["hot", "flat"], vec![], "row")
            .node("MatMul", &["row", "both"], vec![], "z")
            .output("z", onnx::FLOAT, None, Some(&[2]))
            .bytes()
    };
    // The first shop, the second, and one that was never seen: the rows of a twin may have none.
    let rows = [1.0, 0.0, 0.0, 1.0, 0.0, 0.0];
    for (zeros, said) in [(0, true), (1, false)] {
        let canonical = imported_for(&schema, &rows[..4], onnx(zeros), &ModelHints::default());
        let canonical = canonical.unwrap();
        assert_eq!(canonical.found.contains("0 in all columns"), said, "{}", canonical.found);
        assert_eq!(log_odds(&canonical, &rows, 2), [1.0, 3.0, 0.0]);
    }
}

#[test]
fn an_image_reaches_the_model_in_the_order_of_its_axes() {
    let image =
        Feature::Image { name: "image".into(), channels: 3, height: 2, width: 2, scale: 255.0 };
    let schema = Schema { features: vec![image] };
    // One channel each: red, green, blue; the model sees the mean of each channel.
    let rows: Vec<f32> =
        (0..3).flat_map(|on| (0..12).map(move |i| f32::from(u8::from(i / 4 == on)))).collect();
    let float = onnx::FLOAT;
    let draft = |element, axes: &[usize], over: &[i64]| {
        let shades = [0.0, 0.0, 0.0, 0.0625, 0.0, 0.125].into_iter();
        let shades = Tensor::of("shades", &[3, 2], shades);
        Draft::default()
            .input("image", element, None, Some(axes))
            .constant(shades)
            .constant(Tensor::of_ints("flat", &[-1, 3]))
            .node("Cast", &["image"], vec![int("to", float.into())], "f")
            .node("ReduceMean", &["f"], vec![ints("axes", over)], "mean")
            .node("Reshape", &["mean", "flat"], vec![], "colors")
            .node("MatMul", &["colors", "shades"], vec![], "z")
            .output("z", float, None, Some(&[2]))
            .bytes()
    };
    for (what, onnx, scale) in [
        ("channels first", draft(float, &[3, 2, 2], &[2, 3]), 1.0),
        ("channels last", draft(float, &[2, 2, 3], &[1, 2]), 1.0),
        ("half, channels last", draft(FLOAT16, &[2, 2, 3], &[1, 2]), 1.0),
        ("pixels", draft(UINT8, &[2, 2, 3], &[1, 2]), 255.0),
    ] {
        let canonical = imported_for(&schema, &rows, onnx, &ModelHints::default());
        let canonical = canonical.unwrap_or_else(|error| panic!("{what}: {error}"));
        let odds = log_odds(&canonical, &rows, 12);
        assert_eq!(odds, [0.0, scale / 16.0, scale / 8.0], "{what}: {}", canonical.found);
    }
}

#[test]
fn what_was_put_around_a_network_has_a_gradient() {
    let one = Draft::default()
        .input("x", onnx::FLOAT, Some(1), Some(&[2]))
        .constant(one_weight())
        .node("MatMul", &["x", "w"], vec![], "z")
        .node("Sigmoid", &["z"], vec![], "p")
        .output("p", onnx::FLOAT, Some(1), Some(&[1]))
        .bytes();
    let canonical = check("sigmoid", one, &ModelHints::default());
    let function = Function::read(&canonical.onnx).unwrap();
    let runtime = Runtime::load(None).unwrap();
    let name = "the protected model";
    let mut network = crate::model::Network::load(&runtime, name, &canonical.onnx, 2).unwrap();
    function.agrees(&mut network, &ROWS, true).unwrap();
}
