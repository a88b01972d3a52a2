//! Which inputs of a request may stand where, so that a server that takes them by their places reads
//! what one that takes them by their names reads.
//!
//! KServe's own servers read `inputs[0]` of a V2 request whatever its name, and make a table out of
//! V1 objects whose columns stand in the sender's order. So unless an operator says that readers go by
//! name, features come in the schema's order, and whatever else may come stands behind them.

use std::collections::BTreeSet;

use crate::record::{Ambiguity, Fault};

/// What a stream allows besides its features.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inputs {
    /// How those who read the stream find an input.
    pub by: InputsBy,
    /// Inputs that are no features and may come.
    pub extra: BTreeSet<String>,
    /// Whether who reads a V2 request divides the integers of an image by the schema's scale, as we do.
    pub scaled_integers: bool,
}

/// How a reader finds an input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum InputsBy {
    /// `"position"`: by its place among the others.
    #[default]
    Position,
    /// `"name"`: by its name, wherever it stands.
    Name,
}

/// The inputs of one request, met one by one.
#[derive(Clone, Debug)]
pub(super) struct Sequence<'i> {
    inputs: &'i Inputs,
    /// The place in the schema of the feature that was met last.
    last: Option<usize>,
    extra: bool,
}

impl Inputs {
    pub(super) fn sequence(&self) -> Sequence<'_> {
        Sequence { inputs: self, last: None, extra: false }
    }

    pub fn by_name(&self) -> bool {
        self.by == InputsBy::Name
    }
}

impl Sequence<'_> {
    /// Meets the feature at place `at` of the schema.
    ///
    /// # Errors
    /// If readers go by position, and it stands behind a later feature or behind something else.
    pub fn feature(&mut self, at: usize) -> Result<(), Fault> {
        let misplaced = self.extra || self.last.is_some_and(|last| at < last);
        if misplaced && !self.inputs.by_name() {
            return Err(Fault::Ambiguous(Ambiguity::Order));
        }
        self.last = Some(at);
        Ok(())
    }

    /// Meets an input that is no feature.
    ///
    /// # Errors
    /// If the operator did not list it.
    pub fn stranger(&mut self, name: &str) -> Result<(), Fault> {
        self.extra = true;
        match self.inputs.extra.contains(name) {
            true => Ok(()),
            false => Err(Fault::Ambiguous(Ambiguity::Stranger)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Meets features by number and others by name.
    fn meet(by: InputsBy, all: &[Result<usize, &str>]) -> Result<(), Fault> {
        let extra = BTreeSet::from(["mask".to_owned()]);
        let inputs = Inputs { by, extra, scaled_integers: false };
        let mut sequence = inputs.sequence();
        all.iter().try_for_each(|met| match *met {
            Ok(at) => sequence.feature(at),
            Err(name) => sequence.stranger(name),
        })
    }

    #[test]
    fn features_come_in_order_and_listed_inputs_behind_them_unless_readers_go_by_name() {
        let order = Err(Fault::Ambiguous(Ambiguity::Order));
        for (all, by_position) in [
            (&[Ok(0), Ok(1), Ok(3)][..], Ok(())),
            (&[Ok(0), Ok(1), Err("mask")], Ok(())),
            (&[Ok(1), Ok(0)], order),
            (&[Err("mask"), Ok(0)], order),
        ] {
            assert_eq!(meet(InputsBy::Position, all), by_position, "{all:?}");
            assert_eq!(meet(InputsBy::Name, all), Ok(()), "{all:?}");
        }
    }

    #[test]
    fn an_input_that_nobody_listed_is_refused_whoever_reads() {
        let stranger = Err(Fault::Ambiguous(Ambiguity::Stranger));
        for by in [InputsBy::Position, InputsBy::Name] {
            assert_eq!(meet(by, &[Ok(0), Err("masK")]), stranger);
        }
    }
}
