//! How few random cuts part a row from the rest.
//!
//! For a reference that may hold attacks: each tree grows on 256 drawn rows, and few bad ones among
//! them are soon parted rather than taken for normal. The best single detector we measured on
//! contaminated tables (12 ADBench sets: mean AUROC .80, where nearest rows have .71), and weaker
//! than them on clean ones, so it joins only when `fit` is told `--contaminated`. Blind to
//! groups of attacks as dense as clean rows, and to what shows only across several features: every
//! cut is along one. About 100 paths of 8 steps a row, whatever its width.
//!
//! Source: F. T. Liu, K. M. Ting, Z.-H. Zhou, "Isolation Forest", ICDM 2008,
//! doi:10.1109/ICDM.2008.17.

use std::ops::Range;

use ndarray::{ArrayView1, ArrayViewMut1};

use super::tabular::suits;
use super::{Detector, Kind, Setting};
use crate::bundle::{Role, TensorError, Tensors};
use crate::record::{Columns, Rows};

pub(super) const KIND: Kind = Kind {
    name: "isolation-forest",
    needs: Columns::X,
    needs_protected_model: false,
    role: Role::Trigger,
    suits,
    contaminated_only: true,
    voice: |_| 1.0,
    #[cfg(feature = "fit")]
    learn: |rows, setting, rng| Box::new(IsolationForest::learn(rows, setting, rng)),
    load: |tensors, setting| Ok(Box::new(IsolationForest::load(tensors, setting)?)),
};

/// Most nodes of all trees together, and most cuts on a path: bounds what a hostile bundle asks
/// for. A hundred trees of 256 rows have at most 51 100 nodes, and their paths eight cuts.
const NODES_MAX: usize = 1 << 17;
const DEPTH_MAX: u8 = 32;

/// 2^(−mean path length / that of a random search tree), in (0, 1): .5 for a row like the others.
struct IsolationForest {
    nodes: Vec<Node>,
    /// First nodes of the trees, ascending.
    roots: Vec<usize>,
    /// Mean path length of a random tree over as many rows as a tree has grown on.
    usual: f32,
    /// Numbers in a row of the stream.
    width: usize,
}

#[derive(Clone, Copy)]
struct Node {
    /// Rows that reached it when the tree grew, ≥ 1.
    rows: f32,
    cut: Option<Cut>,
}

/// Where a node sends a row.
#[derive(Clone, Copy)]
struct Cut {
    feature: usize,
    /// A row below it goes to `left`, any other to `left + 1`.
    threshold: f32,
    left: usize,
}

impl IsolationForest {
    fn load(tensors: &Tensors, setting: Setting<'_>) -> Result<Self, TensorError> {
        let columns = COLUMNS.map(|name| tensors.vector(&format!("isolation-forest.{name}"), None));
        let [rows, feature, threshold, left] = columns;
        let (rows, feature, threshold, left) = (rows?, feature?, threshold?, left?);
        let roots = tensors.vector(ROOTS, None)?;
        let n = rows.len();
        for (name, column) in COLUMNS.iter().zip([&rows, &feature, &threshold, &left]) {
            if column.len() != n || n > NODES_MAX {
                return Err(TensorError::Shape {
                    name: format!("isolation-forest.{name}"),
                    got: vec![column.len()],
                    expected: format!("[{n}], at most {NODES_MAX}"),
                });
            }
        }
        let width = setting.schema.width();
        let mut depth = vec![0_u8; n];
        let mut nodes = Vec::with_capacity(n);
        for i in 0..n {
            let own = whole("isolation-forest.rows", rows[i], 1..1 << 24)?;
            // −1: a leaf.
            let cut = if feature[i] == -1.0 {
                None
            } else {
                let feature = whole("isolation-forest.feature", feature[i], 0..width)?;
                // Children come after their parent, so no path can turn back, and a bounded depth
                // bounds the time a row takes.
                let left = whole("isolation-forest.left", left[i], i + 1..n - 1)?;
                if depth[i] == DEPTH_MAX {
                    let (name, value) = ("isolation-forest.left".into(), left as f32);
                    let expected = "paths of at most 32 cuts";
                    return Err(TensorError::Value { name, value, expected });
                }
                depth[left] = depth[left].max(depth[i] + 1);
                depth[left + 1] = depth[left + 1].max(depth[i] + 1);
                Some(Cut { feature, threshold: threshold[i], left })
            };
            nodes.push(Node { rows: own as f32, cut });
        }
        let roots = roots.iter().map(|&root| whole(ROOTS, root, 0..n)).collect::<Result<_, _>>()?;
        Ok(Self::new(nodes, roots, width))
    }

    fn new(nodes: Vec<Node>, roots: Vec<usize>, width: usize) -> Self {
        // A tree of one row has no path to compare with; 1 makes every score 1 / 2 ^ 0.
        let usual = path_length(nodes[roots[0]].rows).max(1.0);
        Self { nodes, roots, usual, width }
    }

    /// The leaf that a row ends in; calls `step` with every cut on the way, the rows that reached
    /// it when the tree grew, and those that went where this row goes.
    fn walk(
        &self,
        root: usize,
        x: ArrayView1<'_, f32>,
        mut step: impl FnMut(Cut, f32, f32),
    ) -> Node {
        let mut node = self.nodes[root];
        while let Some(cut) = node.cut {
            let right = usize::from(x[cut.feature] >= cut.threshold);
            let next = self.nodes[cut.left + right];
            step(cut, node.rows, next.rows);
            node = next;
        }
        node
    }
}

/// Mean length of an unsuccessful search in a random binary tree over `n` rows: what a path still
/// had to go where the tree stopped growing. H(n − 1) by its logarithm, as in the paper, §2.
fn path_length(n: f32) -> f32 {
    const EULER: f32 = 0.577_215_7;
    match n {
        n if n <= 1.0 => 0.0,
        n if n <= 2.0 => 1.0,
        n => 2.0 * ((n - 1.0).ln() + EULER) - 2.0 * (n - 1.0) / n,
    }
}

/// A tensor's number as an index.
fn whole(name: &str, value: f32, allowed: Range<usize>) -> Result<usize, TensorError> {
    // The cast saturates, and turns what is negative into 0.
    let index = value as usize;
    if value.fract() == 0.0 && value >= 0.0 && allowed.contains(&index) {
        return Ok(index);
    }
    let expected = "an index of what is there, children after their parent";
    Err(TensorError::Value { name: name.into(), value, expected })
}

impl Detector for IsolationForest {
    fn needs(&self) -> Columns {
        KIND.needs
    }

    fn score(&self, rows: &Rows<'_>, mut scores: ArrayViewMut1<'_, f32>) {
        for (x, score) in rows.x.rows().into_iter().zip(&mut scores) {
            let mut length = 0.0;
            for &root in &self.roots {
                let leaf = self.walk(root, x, |_, _, _| length += 1.0);
                length += path_length(leaf.rows);
            }
            *score = (-length / (self.roots.len() as f32 * self.usual)).exp2();
        }
    }

    /// The features along which a cut parted the row from more than half of its company: log2 of
    /// how many fewer are left, less the 1 that any cut would do.
    fn parts(&self, rows: &Rows<'_>, i: usize) -> Vec<f32> {
        let mut parts = vec![0.0; self.width];
        for &root in &self.roots {
            self.walk(root, rows.x.row(i), |cut, before, after| {
                parts[cut.feature] += ((before / after).log2() - 1.0).max(0.0);
            });
        }
        parts
    }

    fn save(&self, tensors: &mut Tensors) {
        let mut put = |name: &str, value: &dyn Fn(&Node) -> f32| {
            let values: Vec<f32> = self.nodes.iter().map(value).collect();
            tensors.put(format!("isolation-forest.{name}"), &[values.len()], values);
        };
        put("rows", &|node| node.rows);
        put("feature", &|node| node.cut.map_or(-1.0, |cut| cut.feature as f32));
        put("threshold", &|node| node.cut.map_or(0.0, |cut| cut.threshold));
        put("left", &|node| node.cut.map_or(0.0, |cut| cut.left as f32));
        let roots: Vec<f32> = self.roots.iter().map(|&root| root as f32).collect();
        tensors.put(ROOTS, &[roots.len()], roots);
    }
}

const COLUMNS: [&str; 4] = ["rows", "feature", "threshold", "left"];
const ROOTS: &str = "isolation-forest.roots";

#[cfg(feature = "fit")]
pub(super) use learn::crowd;

#[cfg(feature = "fit")]
mod learn {
    use ndarray::{Array2, Axis};
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::RngCore;

    use super::*;
    use crate::math::draw;
    use crate::record::Feature;

    /// The paper's: more trees or rows change the order of scores little.
    const TREES: usize = 100;
    const ROWS_PER_TREE: usize = 256;

    impl IsolationForest {
        pub(super) fn learn(rows: &Rows<'_>, setting: Setting<'_>, rng: &mut ChaCha8Rng) -> Self {
            let pixel = |f: &Feature| matches!(f, Feature::Image { .. });
            let columns = setting.schema.columns().filter(|(f, _)| !pixel(f));
            let columns: Vec<usize> = columns.flat_map(|(_, columns)| columns).collect();
            let mut grown = Grown { nodes: vec![], columns, rng };
            let roots = (0..TREES).map(|_| {
                let drawn = draw(rows.len(), ROWS_PER_TREE, grown.rng);
                grown.tree(rows.x.select(Axis(0), &drawn))
            });
            let roots = roots.collect();
            Self::new(grown.nodes, roots, setting.schema.width())
        }
    }

    /// The rows that take the most cuts to part, all but a `share` of them, in their order.
    pub(in crate::detect) fn crowd(
        rows: &Rows<'_>,
        share: f64,
        setting: Setting<'_>,
        rng: &mut ChaCha8Rng,
    ) -> Vec<usize> {
        let mut scores = ndarray::Array1::zeros(rows.len());
        IsolationForest::learn(rows, setting, rng).score(rows, scores.view_mut());
        let mut order: Vec<usize> = (0..rows.len()).collect();
        // A stable sort: among equals the later rows go first, whatever the machine.
        order.sort_by(|&a, &b| scores[a].total_cmp(&scores[b]));
        let out = (share * rows.len() as f64) as usize;
        order.truncate((rows.len() - out).max(1));
        order.sort_unstable();
        order
    }

    struct Grown<'a> {
        nodes: Vec<Node>,
        columns: Vec<usize>,
        rng: &'a mut ChaCha8Rng,
    }

    impl Grown<'_> {
        /// Grows one tree on the rows `x`; its root.
        fn tree(&mut self, x: Array2<f32>) -> usize {
            let root = self.nodes.len();
            // A path longer than a balanced tree's belongs to the crowd: no need to follow it.
            let depth_max = (x.nrows() as f32).log2().ceil() as usize;
            self.nodes.push(Node { rows: x.nrows() as f32, cut: None });
            let mut open = vec![(root, (0..x.nrows()).collect::<Vec<_>>(), 0)];
            while let Some((node, rows, depth)) = open.pop() {
                if rows.len() <= 1 || depth == depth_max {
                    continue;
                }
                let Some((feature, threshold)) = self.cut(&x, &rows) else { continue };
                let left = self.nodes.len();
                self.nodes[node].cut = Some(Cut { feature, threshold, left });
                let (high, low): (Vec<_>, Vec<_>) =
                    rows.into_iter().partition(|&i| x[[i, feature]] >= threshold);
                for (i, rows) in [low, high].into_iter().enumerate() {
                    self.nodes.push(Node { rows: rows.len() as f32, cut: None });
                    open.push((left + i, rows, depth + 1));
                }
            }
            root
        }

        /// A feature among those that differ within `rows`, and a number between its extremes:
        /// both sides get at least one row. None if the rows are all the same.
        fn cut(&mut self, x: &Array2<f32>, rows: &[usize]) -> Option<(usize, f32)> {
            let mut columns = self.columns.clone();
            while !columns.is_empty() {
                let feature = columns.swap_remove(below(columns.len(), self.rng));
                let values = rows.iter().map(|&i| x[[i, feature]]);
                let (low, high) = values
                    .fold((f32::INFINITY, f32::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
                if low < high {
                    let share = (self.rng.next_u32() >> 8) as f32 / (1 << 24) as f32;
                    // Weighed, for their difference can overflow; above `low`, or nobody went left.
                    let threshold = low * (1.0 - share) + high * share;
                    return Some((feature, threshold.clamp(low.next_up(), high)));
                }
            }
            None
        }
    }

    fn below(n: usize, rng: &mut ChaCha8Rng) -> usize {
        ((u128::from(rng.next_u64()) * n as u128) >> 64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Feature, Schema};

    #[test]
    fn path_lengths_are_those_of_the_paper() {
        // c(256) as scikit-learn's `_average_path_length` gives it.
        assert!((path_length(256.0) - 10.244_771).abs() < 1e-5);
        assert_eq!((path_length(1.0), path_length(2.0)), (0.0, 1.0));
    }

    /// A forest of one tree over four rows with one cut at 0, of which one number is replaced.
    fn loaded(tensor: &str, at: usize, value: f32) -> Result<IsolationForest, TensorError> {
        let schema = Schema { features: vec![Feature::number("a", -1.0, 1.0)] };
        let mut tensors = Tensors::default();
        let columns = [
            ("rows", vec![4.0, 1.0, 3.0]),
            ("feature", vec![0.0, -1.0, -1.0]),
            ("threshold", vec![0.0, 0.0, 0.0]),
            ("left", vec![1.0, 0.0, 0.0]),
            ("roots", vec![0.0]),
        ];
        for (name, mut values) in columns {
            if name == tensor {
                values[at] = value;
            }
            tensors.put(format!("isolation-forest.{name}"), &[values.len()], values);
        }
        IsolationForest::load(&tensors, Setting { schema: &schema, labels: 1, last_inputs: 0 })
    }

    #[test]
    fn a_row_alone_behind_its_cut_scores_higher_than_the_crowd() {
        let x = ndarray::array![[-0.5_f32], [0.0], [0.5]];
        let rows = Rows::only(x.view());
        let mut scores = ndarray::Array1::zeros(3);
        loaded("", 0, 0.0).unwrap().score(&rows, scores.view_mut());
        // 2^(−(1 + c(1)) / c(4)) and 2^(−(1 + c(3)) / c(4)), with c(3) = 1.207, c(4) = 1.852.
        let expected = [0.6878, 0.4378, 0.4378];
        scores
            .iter()
            .zip(expected)
            .for_each(|(s, e): (&f32, f32)| assert!((s - e).abs() < 1e-3, "{s} {e}"));
    }

    #[test]
    fn a_tree_that_loops_or_points_outside_is_refused() {
        assert!(loaded("", 0, 0.0).is_ok());
        let hostile = [
            ("left", 0, 0.0), // its own child
            ("left", 0, 2.0), // the right child is outside
            ("left", 0, 1e30),
            ("left", 0, 0.5),
            ("feature", 0, 1.0),
            ("feature", 0, -2.0),
            ("feature", 1, 0.0), // then `left` is 0: back to the root
            ("rows", 1, -4.0),
            ("rows", 1, 0.0),
            ("roots", 0, 3.0),
            ("roots", 0, -1.0),
        ];
        for (tensor, at, value) in hostile {
            assert!(loaded(tensor, at, value).is_err(), "{tensor}[{at}] = {value} was accepted");
        }
    }

    #[test]
    fn a_path_of_33_cuts_is_refused_and_one_of_32_is_not() {
        let chain = |cuts: usize| {
            let schema = Schema { features: vec![Feature::number("a", -1.0, 1.0)] };
            let n = 2 * cuts + 1;
            // Every second node is a leaf; the others lead to the next two.
            let cut = |i: usize| i.is_multiple_of(2) && i + 1 < n;
            let column = |value: &dyn Fn(usize) -> f32| (0..n).map(value).collect::<Vec<_>>();
            let mut tensors = Tensors::default();
            let mut put = |name: &str, values: Vec<f32>| {
                tensors.put(format!("isolation-forest.{name}"), &[values.len()], values);
            };
            put("rows", column(&|_| 1.0));
            put("feature", column(&|i| if cut(i) { 0.0 } else { -1.0 }));
            put("threshold", column(&|_| 0.0));
            put("left", column(&|i| if cut(i) { (i + 1) as f32 } else { 0.0 }));
            put("roots", vec![0.0]);
            IsolationForest::load(&tensors, Setting { schema: &schema, labels: 1, last_inputs: 0 })
                .is_ok()
        };
        assert_eq!((chain(32), chain(33)), (true, false));
    }
}
