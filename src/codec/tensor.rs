//! The tensors of an Open Inference Protocol (V2) request ↔ cells: what JSON, its binary extension
//! and protobuf have in common.
//!
//! A request says rows in one of two ways. One tensor `[n, …]`, the only one, holds all cells of
//! `n` rows, whatever its name; or every feature has a tensor of its own name, `[n]`, `[n, 1]` or
//! `[n, …]`, and the others are left alone. The shape decides which, so no request has two
//! readings. A single row may come without its first dimension, if its tensor is the only one.
//!
//! It cannot tell a transposed shape from a right one where the lengths agree, nor which tensors a
//! model really reads: one that names no feature is not scored.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use super::Layout;
use crate::record::Fault;

/// Which tensors of a request hold which cells.
#[derive(Debug)]
pub(super) struct Tensors {
    pub layout: Arc<Layout>,
    by_name: HashMap<String, usize>,
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

/// The lengths of a tensor's dimensions, as far as they matter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Shape {
    /// None for a tensor without dimensions: one element.
    first: Option<usize>,
    pub elements: usize,
}

impl Default for Shape {
    fn default() -> Self {
        Self { first: None, elements: 1 }
    }
}

impl Shape {
    /// Takes the next dimension; nothing if it is negative, or if there are more elements than
    /// can be counted.
    pub fn push(&mut self, length: i64) -> Option<()> {
        let length = usize::try_from(length).ok()?;
        self.first.get_or_insert(length);
        self.elements = self.elements.checked_mul(length)?;
        Some(())
    }

    /// The rows that this tensor holds if each has so many `cells` in it.
    fn rows(&self, cells: usize) -> Option<usize> {
        self.first.filter(|&n| n > 0 && n.checked_mul(cells) == Some(self.elements))
    }
}

impl Tensors {
    pub fn new(layout: Arc<Layout>) -> Self {
        let names = layout.places().iter().zip(0..);
        let by_name = names.map(|(place, i)| (place.name.clone(), i)).collect();
        Self { layout, by_name }
    }

    /// Begins to take the tensors of a request.
    pub fn roll(&self) -> Roll<'_> {
        Roll { tensors: self, count: 0, first: Shape::default(), named: vec![] }
    }
}

/// The tensors of one request, called one by one. Keeps at most one per feature.
#[derive(Debug)]
pub(super) struct Roll<'t> {
    tensors: &'t Tensors,
    count: usize,
    first: Shape,
    named: Vec<Named>,
}

#[derive(Debug)]
struct Named {
    feature: usize,
    tensor: usize,
    shape: Shape,
    at: usize,
}

impl Roll<'_> {
    /// Takes the request's next tensor, which stands at byte `at`.
    ///
    /// # Errors
    /// If more tensors have a feature's name than there are features.
    pub fn call(&mut self, name: &str, shape: Shape, at: usize) -> Result<(), Fault> {
        let tensor = self.count;
        if tensor == 0 {
            self.first = shape;
        }
        if let Some(&feature) = self.tensors.by_name.get(name) {
            if self.named.len() == self.tensors.by_name.len() {
                return Err(Fault::Unreadable { at });
            }
            self.named.push(Named { feature, tensor, shape, at });
        }
        self.count += 1;
        Ok(())
    }

    /// How many tensors were called.
    pub fn count(&self) -> usize {
        self.count
    }

    /// # Errors
    /// If no reading fits the shapes, or a feature has two tensors.
    pub fn parts(mut self) -> Result<Parts, Fault> {
        let layout = &self.tensors.layout;
        let (cells, only) = (layout.cells(), self.count == 1);
        let whole = |rows| Parts { rows, parts: vec![Part { tensor: 0, cells: 0..cells }] };
        if only && let Some(rows) = self.first.rows(cells) {
            return Ok(whole(rows));
        }
        match self.by_name() {
            Err(Fault::WrongArity { .. }) if only && self.first.elements == cells => Ok(whole(1)),
            parts => parts,
        }
    }

    fn by_name(&mut self) -> Result<Parts, Fault> {
        let places = self.tensors.layout.places();
        self.named.sort_unstable_by_key(|named| (named.feature, named.tensor));
        let twice = self.named.windows(2).find(|pair| pair[0].feature == pair[1].feature);
        if let Some(pair) = twice {
            return Err(Fault::Unreadable { at: pair[1].at });
        }
        self.named.sort_unstable_by_key(|named| named.tensor);
        let mut rows = None;
        let mut parts = Vec::with_capacity(self.named.len());
        for named in &self.named {
            let cells = places[named.feature].cells.clone();
            let n = named.shape.rows(cells.len());
            let expected = cells.len().saturating_mul(rows.or(n).unwrap_or(1));
            if n.is_none() || rows.is_some_and(|rows| n != Some(rows)) {
                return Err(Fault::WrongArity { got: named.shape.elements, expected });
            }
            rows = n;
            parts.push(Part { tensor: named.tensor, cells });
        }
        match rows {
            Some(rows) => Ok(Parts { rows, parts }),
            None => {
                let got = if self.count == 0 { 0 } else { self.first.elements };
                Err(Fault::WrongArity { got, expected: self.tensors.layout.cells() })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Feature, Schema};

    /// A number, a word and an image of two pixels: four cells.
    fn tensors() -> Tensors {
        let values = vec!["tcp".to_owned(), "7".to_owned()];
        let features = vec![
            Feature::number("x", 0.0, 9.0),
            Feature::Category { name: "c".into(), values, impute: None },
            Feature::Image { name: "i".into(), channels: 1, height: 1, width: 2, scale: 255.0 },
        ];
        Tensors::new(Arc::new(Layout::new(&Schema { features }, 1000)))
    }

    fn parts(request: &[(&str, &[i64])]) -> Result<Parts, Fault> {
        let tensors = tensors();
        let mut roll = tensors.roll();
        for (i, (name, dimensions)) in request.iter().enumerate() {
            let mut shape = Shape::default();
            dimensions.iter().for_each(|&length| shape.push(length).unwrap());
            roll.call(name, shape, 100 + i)?;
        }
        roll.parts()
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

    #[test]
    fn the_only_tensor_holds_all_cells_of_its_rows_whatever_its_name() {
        check(&[("input-0", &[3, 4])], 3, &[(0, 0..4)]);
        check(&[("x", &[3, 2, 2])], 3, &[(0, 0..4)]);
        check(&[("input-0", &[4])], 1, &[(0, 0..4)]);
        check_arity(&[("input-0", &[2, 3])], 6, 4);
        check_arity(&[("input-0", &[8])], 8, 4);
        check_arity(&[("input-0", &[0, 4])], 0, 4);
        check_arity(&[("input-0", &[])], 1, 4);
        check_arity(&[], 0, 4);
    }

    #[test]
    fn tensors_are_taken_by_name_and_strangers_are_left_alone() {
        check(
            &[("i", &[2, 1, 2]), ("stranger", &[9, 9]), ("x", &[2, 1]), ("c", &[2])],
            2,
            &[(0, 2..4), (2, 0..1), (3, 1..2)],
        );
        // What is not there is missing, not a fault of the shapes.
        check(&[("c", &[5])], 5, &[(0, 1..2)]);
        // Four rows of one feature, and not one row of four.
        check(&[("x", &[4])], 4, &[(0, 0..1)]);
        check_arity(&[("x", &[2]), ("c", &[3])], 3, 2);
        check_arity(&[("x", &[2]), ("i", &[2])], 2, 4);
        check_arity(&[("a", &[1, 4]), ("b", &[1, 4])], 4, 4);
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
