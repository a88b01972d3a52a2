//! The networks that a bundle may have: which file each one is, which columns it reads and writes.

use super::{MANIFEST, TENSORS};
use crate::record::Columns;

/// One network of the list.
#[derive(Clone, Copy, Debug)]
pub struct NetworkKind {
    /// What messages call it.
    pub name: &'static str,
    /// Its ONNX file.
    pub file: &'static str,
    /// Whether no bundle goes without it; of one that classifies, no bundle whose manifest says what its
    /// output means.
    pub is_required: bool,
    /// It runs once for every pair: reads the first column, writes the second.
    pub fills: &'static [(Columns, Columns)],
    /// The column that its second output is, if it has one; written on the run of the first pair.
    pub beside: Option<Columns>,
    pub outputs: NetworkOutputs,
}

/// What an output row of a network is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetworkOutputs {
    /// As wide as a row, `[d]`.
    Row,
    /// A number for each label, `[k]`, of the model that we protect: somebody else exported it.
    Labels,
    /// One number, the log-odds that the row was attacked.
    Logit,
    /// [`COPIES_A_ROW`] rows, `[c · d]`: copies of the row, for the model that we protect.
    Copies,
}

/// File names of the networks.
pub const AUTOENCODER: &str = "autoencoder.onnx";
pub const PROTECTED_MODEL: &str = "protected-model.onnx";
pub const RESTORER: &str = "restorer.onnx";
pub const LIKELIHOOD: &str = "likelihood.onnx";
pub const PIXEL_ODDS: &str = "pixel-odds.onnx";
pub const LAYER_ODDS: &str = "layer-odds.onnx";
pub const COPIES: &str = "copies.onnx";

/// Copies that a row has, if it has copies.
pub const COPIES_A_ROW: usize = 8;

/// Every network that there can be, in the order in which they run: what one reads, those before it wrote.
pub const NETWORKS: [NetworkKind; 7] = [
    NetworkKind {
        name: "the autoencoder",
        file: AUTOENCODER,
        is_required: false,
        fills: &[(Columns::X, Columns::TWIN)],
        beside: None,
        outputs: NetworkOutputs::Row,
    },
    NetworkKind {
        name: "the restorer",
        file: RESTORER,
        is_required: false,
        fills: &[(Columns::X, Columns::RESTORED)],
        beside: None,
        outputs: NetworkOutputs::Row,
    },
    NetworkKind {
        name: "the likelihood",
        file: LIKELIHOOD,
        is_required: false,
        fills: &[(Columns::X, Columns::SURPRISAL)],
        beside: None,
        outputs: NetworkOutputs::Row,
    },
    NetworkKind {
        name: "the detector of pixels",
        file: PIXEL_ODDS,
        is_required: false,
        fills: &[(Columns::X, Columns::PIXEL_ODDS)],
        beside: None,
        outputs: NetworkOutputs::Logit,
    },
    NetworkKind {
        name: "the network of copies",
        file: COPIES,
        is_required: false,
        fills: &[(Columns::X, Columns::COPIES)],
        beside: None,
        outputs: NetworkOutputs::Copies,
    },
    NetworkKind {
        name: "the protected model",
        file: PROTECTED_MODEL,
        is_required: true,
        fills: &[
            (Columns::X, Columns::ANSWER),
            (Columns::TWIN, Columns::TWIN_ANSWER),
            (Columns::RESTORED, Columns::RESTORED_ANSWER),
            (Columns::COPIES, Columns::COPY_ANSWERS),
        ],
        beside: Some(Columns::LAYERS),
        outputs: NetworkOutputs::Labels,
    },
    NetworkKind {
        name: "the detector of inner layers",
        file: LAYER_ODDS,
        is_required: false,
        fills: &[(Columns::LAYERS, Columns::LAYER_ODDS)],
        beside: None,
        outputs: NetworkOutputs::Logit,
    },
];

/// Every file that a bundle may have.
pub const FILES: [&str; NETWORKS.len() + 2] = {
    let mut files = [MANIFEST; NETWORKS.len() + 2];
    let mut i = 0;
    while i < NETWORKS.len() {
        files[i + 1] = NETWORKS[i].file;
        i += 1;
    }
    files[NETWORKS.len() + 1] = TENSORS;
    files
};

/// `needs`, and every column that must be filled first.
pub fn with_what_they_read(needs: Columns) -> Columns {
    NETWORKS.iter().rev().fold(needs, |needs, kind| {
        let needs = match kind.beside {
            Some(beside) if needs.contains(beside) => needs.and(kind.fills[0].1),
            _ => needs,
        };
        kind.fills.iter().fold(needs, |needs, &(from, into)| match needs.contains(into) {
            true => needs.and(from),
            false => needs,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_is_written_once_and_before_it_is_read() {
        let mut written = Columns::X;
        for kind in &NETWORKS {
            for &(from, into) in kind.fills {
                assert!(written.contains(from) && !written.contains(into), "{from:?} {into:?}");
                written = written.and(into);
            }
            if let Some(beside) = kind.beside {
                assert!(!written.contains(beside), "{beside:?}");
                written = written.and(beside);
            }
        }
        let layers = Columns::LAYERS.and(Columns::ANSWER).and(Columns::X);
        let odds = Columns::LAYER_ODDS;
        assert_eq!(with_what_they_read(odds), odds.and(layers));
        let answers = Columns::RESTORED_ANSWER.and(Columns::TWIN_ANSWER);
        let expected = answers.and(Columns::RESTORED).and(Columns::TWIN).and(Columns::X);
        assert_eq!(with_what_they_read(answers), expected);
        assert_eq!(with_what_they_read(Columns::SURPRISAL), Columns::SURPRISAL.and(Columns::X));
    }
}
