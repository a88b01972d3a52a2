//! The tensors of an Open Inference Protocol (V2) request ↔ cells: what JSON, its binary extension
//! and protobuf have in common.
//!
//! A request says rows in one of two ways. One tensor `[n, …]`, the only one, holds all cells of
//! `n` rows, whatever its name; or every feature has a tensor of its own name, `[n]`, `[n, 1]` or
//! `[n, …]`, in the schema's order unless readers go by name. Besides those only tensors may come that
//! the operator listed. The shape decides which way it is, so no request has two readings. A single
//! row may come without its first dimension, if its tensor is the only one.
//!
//! The dimensions behind the first are those of the row: `[cells]`, or an image's `[c, h, w]`; ones
//! among them do not matter. A server reads `[9, 1]` as nine rows of one cell, and `[1, 32, 32, 3]` as
//! an image whose colours stand side by side: neither is our row, so both are faults.
//!
//! It cannot tell `[c, h, w]` from `[h, w, c]` where the numbers are the same.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use super::datatype::Datatype;
use super::inputs::Sequence;
use super::shape::{RowShape, Shape};
use super::{Inputs, Layout};
use crate::record::{Ambiguity, Fault};

/// Which tensors of a request hold which cells.
#[derive(Debug)]
pub(super) struct Tensors {
    pub layout: Arc<Layout>,
    inputs: Inputs,
    by_name: HashMap<String, usize>,
    /// What a row of all cells looks like.
    row: RowShape,
}

/// One tensor's share: its elements are these cells of row 0, then of row 1, ….
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Part {
    /// Which of the request's tensors, counted from 0.
    pub tensor: usize,
    pub cells: Range<usize>,
}

/// What the shapes of a request's tensors come to.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Parts {
    pub rows: usize,
    /// In the order of the request.
    pub parts: Vec<Part>,
}

impl Tensors {
    pub fn new(layout: Arc<Layout>, inputs: Inputs) -> Self {
        let names = layout.places().iter().zip(0..);
        let by_name = names.map(|(place, i)| (place.name.clone(), i)).collect();
        Self { row: RowShape::whole(&layout), layout, inputs, by_name }
    }

    /// # Errors
    /// If `datatype` is one of integers, these cells are an image's, and nobody said that servers divide those: one that
    /// does not would see another image than we do.
    pub fn check_scale(&self, cells: &Range<usize>, datatype: Datatype) -> Result<(), Fault> {
        let is_scaled = |cell| self.layout.scale_of(cell) != 1.0;
        let differs = datatype.is_integer() && !self.inputs.scaled_integers;
        match differs && cells.clone().any(is_scaled) {
            true => Err(Fault::Ambiguous(Ambiguity::Scale)),
            false => Ok(()),
        }
    }

    /// Begins to take the tensors of a request.
    pub fn roll(&self) -> Roll<'_> {
        Roll {
            tensors: self,
            sequence: self.inputs.sequence(),
            count: 0,
            main: vec![],
            stray: None,
            table: false,
        }
    }
}

/// The tensors of one request, called one by one. Keeps at most one per feature.
#[derive(Debug)]
pub(super) struct Roll<'t> {
    tensors: &'t Tensors,
    sequence: Sequence<'t>,
    count: usize,
    /// Those that are not listed as extra; one more than there are features at most.
    main: Vec<Main>,
    /// What is wrong with them unless the only one holds all cells.
    stray: Option<Fault>,
    /// A server makes a table of the request: one tensor is one column.
    table: bool,
}

#[derive(Debug)]
struct Main {
    feature: Option<usize>,
    tensor: usize,
    shape: Shape,
    at: usize,
}

impl Roll<'_> {
    /// Takes the request's next tensor, which stands at byte `at`.
    ///
    /// # Errors
    /// If there are more tensors than features, and the operator did not list them.
    pub fn call(&mut self, name: &str, shape: Shape, at: usize) -> Result<(), Fault> {
        let tensor = self.count;
        self.count += 1;
        let feature = self.tensors.by_name.get(name).copied();
        let met = match feature {
            Some(feature) => self.sequence.feature(feature),
            None => self.sequence.stranger(name),
        };
        if feature.is_none() && met.is_ok() {
            return Ok(());
        }
        if self.main.len() > self.tensors.by_name.len() {
            return Err(self.stray.unwrap_or(Fault::Unreadable { at }));
        }
        self.stray = self.stray.or(met.err());
        self.main.push(Main { feature, tensor, shape, at });
        Ok(())
    }

    /// Takes in whether a server makes a table of the request.
    pub fn table(&mut self, table: bool) {
        self.table |= table;
    }

    /// How many tensors were called.
    pub fn count(&self) -> usize {
        self.count
    }

    /// # Errors
    /// If no reading fits the shapes, or more than one does.
    pub fn parts(self) -> Result<Parts, Fault> {
        let cells = self.tensors.layout.cells();
        let [main] = &self.main[..] else { return self.by_name() };
        let first = main.tensor == 0 || self.tensors.inputs.by_name();
        let columns = self.table && self.tensors.layout.places().len() > 1;
        let whole = |rows| {
            if columns {
                return Err(Fault::Ambiguous(Ambiguity::Parameter));
            }
            let parts = vec![Part { tensor: main.tensor, cells: 0..cells }];
            if first { Ok(Parts { rows, parts }) } else { Err(Fault::Ambiguous(Ambiguity::Order)) }
        };
        let row = self.tensors.row;
        match (main.shape.rows(row), main.feature) {
            (Ok(rows), _) => whole(rows),
            // A tensor of one feature; but as long as a whole row, which a server may take it for.
            (Err(_), Some(_)) => match self.by_name() {
                Ok(_) if main.shape.elements == cells => Err(Fault::Ambiguous(Ambiguity::Shape)),
                Err(_) if row.is_exactly(main.shape.lengths()) => whole(1),
                parts => parts,
            },
            (Err(_), None) if row.is_exactly(main.shape.lengths()) => whole(1),
            (Err(fault), None) => Err(fault),
        }
    }

    fn by_name(&self) -> Result<Parts, Fault> {
        let places = self.tensors.layout.places();
        let mut seen = vec![false; places.len()];
        let mut rows = None;
        let mut parts = Vec::with_capacity(self.main.len());
        for main in &self.main {
            let Some(feature) = main.feature else { continue };
            if std::mem::replace(&mut seen[feature], true) {
                return Err(Fault::Unreadable { at: main.at });
            }
        }
        if let Some(fault) = self.stray {
            return Err(fault);
        }
        let mut unseen = places.iter().zip(&seen).filter(|(_, seen)| !**seen);
        if !self.tensors.inputs.by_name() && unseen.any(|(place, _)| place.is_imputed) {
            return Err(Fault::Ambiguous(Ambiguity::Absent));
        }
        for main in &self.main {
            let place = &places[main.feature.expect("a stranger is stray")];
            let cells = place.cells.clone();
            let expected = cells.len().saturating_mul(rows.unwrap_or(1));
            let arity = Fault::WrongArity { got: main.shape.elements, expected };
            let n = main.shape.rows(RowShape::of(place)).map_err(|fault| match fault {
                Fault::WrongArity { .. } => arity,
                fault => fault,
            })?;
            if rows.is_some_and(|rows| n != rows) {
                return Err(arity);
            }
            rows = Some(n);
            parts.push(Part { tensor: main.tensor, cells });
        }
        match rows {
            Some(rows) => Ok(Parts { rows, parts }),
            None => Err(Fault::WrongArity { got: 0, expected: self.tensors.layout.cells() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::InputsBy;
    use crate::record::{Feature, Schema};

    /// A number, a word and an image of two pixels: four cells.
    fn tensors() -> Tensors {
        let values = vec!["tcp".to_owned(), "7".to_owned()];
        let features = vec![
            Feature::number("x", 0.0, 9.0),
            Feature::Category { name: "c".into(), values, impute: None },
            Feature::Image { name: "i".into(), channels: 1, height: 1, width: 2, scale: 255.0 },
        ];
        let inputs = Inputs { extra: ["mask".to_owned()].into(), ..Inputs::default() };
        Tensors::new(Arc::new(Layout::new(&Schema { features }, 1000)), inputs)
    }

    fn parts(request: &[(&str, &[i64])]) -> Result<Parts, Fault> {
        parts_of(&tensors(), request)
    }

    fn parts_of(tensors: &Tensors, request: &[(&str, &[i64])]) -> Result<Parts, Fault> {
        let mut roll = tensors.roll();
        for (i, (name, dimensions)) in request.iter().enumerate() {
            let mut shape = Shape::default();
            dimensions.iter().for_each(|&length| shape.push(length).unwrap());
            roll.call(name, shape, 100 + i)?;
        }
        roll.parts()
    }

    #[test]
    fn an_input_that_is_absent_is_a_fault_where_readers_go_by_position() {
        let number =
            |name: &str, impute| Feature::Number { name: name.into(), min: 0.0, max: 9.0, impute };
        let features = vec![number("x", None), number("y", Some(1.0)), number("z", None)];
        let layout = Arc::new(Layout::new(&Schema { features }, 1000));
        let rows = |by, names: &[&str]| {
            let tensors = Tensors::new(layout.clone(), Inputs { by, ..Inputs::default() });
            let request: Vec<(&str, &[i64])> = names.iter().map(|&name| (name, &[2][..])).collect();
            parts_of(&tensors, &request).map(|parts| parts.rows)
        };
        let absent = Err(Fault::Ambiguous(Ambiguity::Absent));
        assert_eq!(rows(InputsBy::Position, &["x", "z"]), absent);
        assert_eq!(rows(InputsBy::Name, &["x", "z"]), Ok(2));
        assert_eq!(rows(InputsBy::Position, &["x", "y", "z"]), Ok(2));
        // Nothing stands in for this one: whoever checks rows names it.
        assert_eq!(rows(InputsBy::Position, &["x", "y"]), Ok(2));
    }

    fn check(request: &[(&str, &[i64])], rows: usize, expected: &[(usize, Range<usize>)]) {
        let part = |(tensor, cells): &(usize, Range<usize>)| Part {
            tensor: *tensor,
            cells: cells.clone(),
        };
        let expected = Parts { rows, parts: expected.iter().map(part).collect() };
        assert_eq!(parts(request), Ok(expected), "{request:?}");
    }

    fn check_arity(request: &[(&str, &[i64])], got: usize, expected: usize) {
        assert_eq!(parts(request), Err(Fault::WrongArity { got, expected }), "{request:?}");
    }

    fn check_ambiguous(request: &[(&str, &[i64])], what: Ambiguity) {
        assert_eq!(parts(request), Err(Fault::Ambiguous(what)), "{request:?}");
    }

    #[test]
    fn the_only_tensor_holds_all_cells_of_its_rows_whatever_its_name() {
        check(&[("input-0", &[3, 4])], 3, &[(0, 0..4)]);
        check(&[("x", &[3, 1, 4])], 3, &[(0, 0..4)]);
        check(&[("input-0", &[4])], 1, &[(0, 0..4)]);
        check_arity(&[("input-0", &[2, 3])], 6, 4);
        check_arity(&[("input-0", &[8])], 8, 4);
        check_arity(&[("input-0", &[0, 4])], 0, 4);
        check_arity(&[("input-0", &[])], 1, 4);
        check_arity(&[], 0, 4);
    }

    #[test]
    fn tensors_are_taken_by_name_in_the_schemas_order() {
        let all = [(0, 0..1), (1, 1..2), (2, 2..4)];
        check(&[("x", &[2, 1]), ("c", &[2]), ("i", &[2, 1, 2])], 2, &all);
        check(&[("x", &[2]), ("c", &[2]), ("i", &[2, 1, 2]), ("mask", &[7])], 2, &all);
        check(&[("input-0", &[2, 4]), ("mask", &[7])], 2, &[(0, 0..4)]);
        check_ambiguous(&[("c", &[2]), ("x", &[2])], Ambiguity::Order);
        check_ambiguous(&[("mask", &[2]), ("x", &[2])], Ambiguity::Order);
        check_ambiguous(&[("mask", &[2]), ("input-0", &[2, 4])], Ambiguity::Order);
        // What is not there is missing, not a fault of the shapes.
        check(&[("c", &[5])], 5, &[(0, 1..2)]);
        // Four rows of one feature, or one row of four.
        check_ambiguous(&[("x", &[4])], Ambiguity::Shape);
        check_arity(&[("x", &[2]), ("c", &[3])], 3, 2);
        check_arity(&[("x", &[2]), ("i", &[2])], 2, 4);
        check_ambiguous(&[("a", &[1, 4]), ("b", &[1, 4])], Ambiguity::Stranger);
    }

    /// A server may take the first tensor, whatever its name.
    #[test]
    fn a_tensor_that_nobody_named_is_refused_wherever_it_stands() {
        let stranger = ("input-0", &[1, 4][..]);
        let named = [("x", &[1][..]), ("c", &[1]), ("i", &[1, 2])];
        for at in 0..=3 {
            let mut request = named.to_vec();
            request.insert(at, stranger);
            check_ambiguous(&request, Ambiguity::Stranger);
        }
        check_ambiguous(&[("x", &[1]), ("X", &[1])], Ambiguity::Stranger);
    }

    /// A server keeps every dimension.
    #[test]
    fn a_shape_that_says_other_rows_is_refused() {
        check_ambiguous(&[("input-0", &[1, 2, 2])], Ambiguity::Shape);
        check_arity(&[("input-0", &[4, 1])], 4, 4);
        check_arity(&[("input-0", &[2, 2])], 4, 4);
        let features = |channels, height, width| {
            let name = "i".to_owned();
            vec![Feature::Image { name, channels, height, width, scale: 255.0 }]
        };
        let rows = |features: Vec<Feature>, dimensions: &[i64]| {
            let layout = Layout::new(&Schema { features }, 100_000);
            let tensors = Tensors::new(Arc::new(layout), Inputs::default());
            let mut roll = tensors.roll();
            let mut shape = Shape::default();
            dimensions.iter().for_each(|&length| shape.push(length).unwrap());
            roll.call("input-0", shape, 0).unwrap();
            roll.parts().map(|parts| parts.rows)
        };
        let ambiguous = Err(Fault::Ambiguous(Ambiguity::Shape));
        let colour = || features(3, 4, 5);
        assert_eq!(rows(colour(), &[2, 3, 4, 5]), Ok(2));
        assert_eq!(rows(colour(), &[3, 4, 5]), Ok(1));
        assert_eq!(rows(colour(), &[2, 60]), Ok(2));
        assert_eq!(rows(colour(), &[2, 4, 5, 3]), ambiguous);
        let grey = || features(1, 4, 5);
        assert_eq!(rows(grey(), &[2, 4, 5, 1]), Ok(2));
        assert_eq!(rows(grey(), &[4, 5]), Ok(1));
        assert_eq!(rows(grey(), &[1, 5, 4]), ambiguous);
    }

    #[test]
    fn a_feature_with_two_tensors_is_refused_however_many_others_there_are() {
        let twice = parts(&[("x", &[1]), ("y", &[1]), ("x", &[1])]);
        assert_eq!(twice, Err(Fault::Unreadable { at: 102 }));
        let many = parts(&[("x", &[1]), ("c", &[1]), ("i", &[1, 2]), ("x", &[1])]);
        assert_eq!(many, Err(Fault::Unreadable { at: 103 }));
    }

    #[test]
    fn a_hostile_shape_neither_overflows_nor_counts() {
        let push = |lengths: &[i64]| {
            let mut shape = Shape::default();
            lengths.iter().try_for_each(|&length| shape.push(length)).map(|()| shape.elements)
        };
        assert_eq!(push(&[-1]), None);
        assert_eq!(push(&[i64::MAX, i64::MAX]), None);
        assert_eq!(push(&[0, i64::MAX, i64::MAX]), Some(0));
        check_arity(&[("i", &[i64::MAX])], i64::MAX as usize, 2);
    }
}
